/**
 * Names of units: what interval input, extract() and date_trunc() understand.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { textToString } from './mb/mbutils.ts';
import { clipName } from './name.ts';
import { dateToken } from './datetime.ts';

export type Unit =
  | 'microsecond'
  | 'millisecond'
  | 'second'
  | 'minute'
  | 'hour'
  | 'day'
  | 'week'
  | 'month'
  | 'quarter'
  | 'year'
  | 'decade'
  | 'century'
  | 'millennium'
  | 'timezone'
  | 'timezone_hour'
  | 'timezone_minute'
  | 'dow'
  | 'isodow'
  | 'doy'
  | 'isoyear'
  | 'julian'
  | 'epoch';

const WORDS: readonly (readonly [Unit, string])[] = [
  ['century', 'c cent centuries century'],
  ['day', 'd day days'],
  ['decade', 'dec decade decades decs'],
  ['hour', 'h hour hours hr hrs'],
  ['minute', 'm min mins minute minutes'],
  ['microsecond', 'microsecon us usec usecond useconds usecs'],
  ['millennium', 'mil millennia millennium mils'],
  ['millisecond', 'millisecon ms msec msecond mseconds msecs'],
  ['month', 'mon mons month months'],
  ['quarter', 'qtr quarter'],
  ['second', 's sec second seconds secs'],
  ['timezone', 'timezone'],
  ['timezone_hour', 'timezone_h'],
  ['timezone_minute', 'timezone_m'],
  ['week', 'w week weeks'],
  ['year', 'y year years yr yrs'],
];

const UNITS = new Map<string, Unit>(WORDS.flatMap(([unit, words]) => words.split(' ').map(w => [w, unit] as const)));
const SPECIAL = new Set(['dow', 'doy', 'isodow', 'isoyear', 'julian']);

/** Words of an interval; 'ago' and the throw-away '@' are the caller's. */
export function deltaUnit(word: string): Unit | undefined {
  return UNITS.get(word.slice(0, 10));
}

export function unitName(text: Uint8Array): string {
  return textToString(clipName(text)).replace(/[A-Z]/g, c => c.toLowerCase());
}

/** Units of extract(): those of intervals, and some only dates have. */
export function extractUnit(name: string): Unit | undefined {
  const unit = deltaUnit(name);
  if (unit) return unit;
  const token = dateToken(name);
  if (token?.kind === 'units' && SPECIAL.has(token.value)) return token.value as Unit;
  return token?.kind === 'reserved' && token.value === 'epoch' ? 'epoch' : undefined;
}

export function unitNotSupported(name: string, typeName: string, detail?: string): PgError {
  return ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `unit "${name}" not supported for type ${typeName}`, { detail });
}

/** For dates and timestamps: a word that dates know, but not as a unit, is refused in other words. */
export function unknownUnit(name: string, typeName: string): PgError {
  return dateToken(name)?.kind === 'reserved' ? unitNotSupported(name, typeName) : unitNotRecognized(name, typeName);
}

export function unitNotRecognized(name: string, typeName: string): PgError {
  return ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unit "${name}" not recognized for type ${typeName}`);
}
