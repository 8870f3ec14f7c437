/**
 * TimeZone: a number of hours east, INTERVAL '…', a name of the IANA database in any case, or a POSIX rule. What is
 * shown is what PostgreSQL shows: offsets as POSIX rules, names as the database spells them.
 */
import { stringToText } from '@pgtroupe/adt/mb/mbutils';
import { DEFAULT_SETTINGS } from '@pgtroupe/adt/fmgr';
import { formatInterval, parseInterval, readInterval } from '@pgtroupe/adt/interval';
import { findZone } from '@pgtroupe/adt/pgtz';
import { ZONE_NAMES } from '@pgtroupe/adt/tznames';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';

const NUMBER = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const INTERVAL = /^interval\s*'([^']*)'$/i;
/** A POSIX rule's offset stays below a week. */
const OFFSET_LIMIT_SECONDS = 168 * 3600;
const ANY_TYPMOD_PRECISION = 0xffff;

let spellings: ReadonlyMap<string, string> | undefined;

/** Throws PostgreSQL's error, or returns what SHOW prints. */
export function checkTimeZone(value: string): string {
  if (NUMBER.test(value)) return offsetZone(value, Math.trunc(Number(value) * 3600));
  const literal = INTERVAL.exec(value)?.[1];
  if (literal !== undefined) {
    const interval = readInterval(parseInterval(DEFAULT_SETTINGS, stringToText(literal), -1));
    if (interval.months !== 0) throw invalid(value, 'Cannot specify months in time zone interval.');
    if (interval.days !== 0) throw invalid(value, 'Cannot specify days in time zone interval.');
    return offsetZone(value, Number(interval.time / 1_000_000n));
  }
  spellings ??= new Map(ZONE_NAMES.map(name => [name.toLowerCase(), name]));
  const name = spellings.get(value.toLowerCase());
  if (name !== undefined) return name;
  const zone = findZone(value);
  if (zone !== undefined) return zone.fixed ? value.toUpperCase() : zone.name;
  throw invalid(value);
}

/** The value of SET TIME ZONE INTERVAL: text that `checkTimeZone` reads. */
export function timeZoneInterval(cast: RawNode): string {
  const [mask, precision] = (cast['typeName'].typmods ?? []) as { ival?: { ival?: number } }[];
  const range = mask?.ival?.ival;
  const typmod = range === undefined ? -1 : (range << 16) | (precision?.ival?.ival ?? ANY_TYPMOD_PRECISION);
  const text = stringToText((cast['arg'].sval?.sval ?? '') as string);
  return `INTERVAL '${formatInterval(parseInterval(DEFAULT_SETTINGS, text, typmod), 'postgres')}'`;
}

/** A POSIX rule counts westwards. */
function offsetZone(value: string, eastSeconds: number): string {
  const seconds = Math.abs(eastSeconds);
  if (seconds >= OFFSET_LIMIT_SECONDS) throw invalid(value, 'UTC timezone offset is out of range.');
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = seconds % 3600 === 0 ? 1 : seconds % 60 === 0 ? 2 : 3;
  const offset = parts
    .slice(0, shown)
    .map(part => String(part).padStart(2, '0'))
    .join(':');
  return eastSeconds < 0 ? `<-${offset}>+${offset}` : `<+${offset}>-${offset}`;
}

function invalid(value: string, detail?: string): Error {
  return ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid value for parameter "TimeZone": "${value}"`, { detail });
}
