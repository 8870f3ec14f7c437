/**
 * Time zones. Rules come from the JavaScript engine's copy of the IANA database (Intl), asked once
 * per zone and week and remembered; UTC and fixed offsets never ask. POSIX specifications are understood too (posixtz.ts).
 *
 * Times here are seconds of the Unix epoch, offsets are seconds east of UTC.
 */
import {
  date2j,
  POSTGRES_EPOCH_JDATE,
  POSTGRES_EPOCH_UNIX,
  SECS_PER_DAY,
  splitDays,
  splitTime,
  splitTimestamp,
  type Timestamp,
  type Tm,
} from './calendar.ts';
import { isPosixDst, parsePosixZone, type PosixRules, type PosixTime } from './posixtz.ts';

export interface Zone {
  readonly name: string;
  /** Never changes: no date is needed to know the offset. */
  readonly fixed: boolean;
  offsetAt(unixSeconds: number): number;
  abbrevAt(unixSeconds: number): string;
  isDstAt(unixSeconds: number): boolean;
}

/** As the IANA data abbreviates an offset without a name of its own. */
function numericAbbrev(offset: number): string {
  const minutes = Math.abs(offset) / 60;
  const h = String(Math.floor(minutes / 60)).padStart(2, '0');
  const m = minutes % 60 === 0 ? '' : String(Math.floor(minutes % 60)).padStart(2, '0');
  return `${offset < 0 ? '-' : '+'}${h}${m}`;
}

class FixedZone implements Zone {
  readonly name: string;
  readonly fixed = true;
  readonly offset: number;
  readonly abbrev: string;

  constructor(name: string, offset: number, abbrev: string) {
    this.name = name;
    this.offset = offset;
    this.abbrev = abbrev;
  }

  offsetAt(): number {
    return this.offset;
  }

  abbrevAt(): string {
    return this.abbrev;
  }

  isDstAt(): boolean {
    return false;
  }
}

const WEEK = 7 * SECS_PER_DAY;
/** Gregorian dates repeat after this many seconds: 400 years. */
const CYCLE = 146097 * SECS_PER_DAY;
/** Before this zones keep local mean time; after it rules repeat for ever. */
const FIRST = -5e9;
const LAST = 1.6e10;

/** Names in which Intl's long names and the IANA abbreviations are known to agree. */
const LONG_NAMES: Readonly<Record<string, string>> = {
  'Central European Standard Time': 'CET',
  'Central European Summer Time': 'CEST',
  'Eastern European Standard Time': 'EET',
  'Eastern European Summer Time': 'EEST',
  'Western European Standard Time': 'WET',
  'Western European Summer Time': 'WEST',
  'Greenwich Mean Time': 'GMT',
  'British Summer Time': 'BST',
  'Irish Standard Time': 'IST',
  'Moscow Standard Time': 'MSK',
  'Moscow Summer Time': 'MSD',
  'India Standard Time': 'IST',
  'Japan Standard Time': 'JST',
  'Korean Standard Time': 'KST',
  'China Standard Time': 'CST',
  'Hong Kong Standard Time': 'HKT',
  'Pakistan Standard Time': 'PKT',
  'Israel Standard Time': 'IST',
  'Israel Daylight Time': 'IDT',
  'South Africa Standard Time': 'SAST',
  'Central Africa Time': 'CAT',
  'East Africa Time': 'EAT',
  'West Africa Standard Time': 'WAT',
  'Western Indonesia Time': 'WIB',
  'Australian Eastern Standard Time': 'AEST',
  'Australian Eastern Daylight Time': 'AEDT',
  'Australian Central Standard Time': 'ACST',
  'Australian Central Daylight Time': 'ACDT',
  'Australian Western Standard Time': 'AWST',
  'New Zealand Standard Time': 'NZST',
  'New Zealand Daylight Time': 'NZDT',
  'Hawaii-Aleutian Standard Time': 'HST',
  'Alaska Standard Time': 'AKST',
  'Alaska Daylight Time': 'AKDT',
  'Newfoundland Standard Time': 'NST',
  'Newfoundland Daylight Time': 'NDT',
  'Atlantic Standard Time': 'AST',
  'Atlantic Daylight Time': 'ADT',
  'Eastern Standard Time': 'EST',
  'Eastern Daylight Time': 'EDT',
  'Central Standard Time': 'CST',
  'Central Daylight Time': 'CDT',
  'Mountain Standard Time': 'MST',
  'Mountain Daylight Time': 'MDT',
  'Pacific Standard Time': 'PST',
  'Pacific Daylight Time': 'PDT',
  'Coordinated Universal Time': 'UTC',
};

class IntlZone implements Zone {
  readonly name: string;
  readonly fixed = false;
  private readonly parts: Intl.DateTimeFormat;
  private names: Intl.DateTimeFormat | undefined;
  /** Offset by week; undefined where the offset changes within the week. */
  private readonly weeks = new Map<number, number | undefined>();

  constructor(name: string, parts: Intl.DateTimeFormat) {
    this.name = name;
    this.parts = parts;
  }

  private ask(unixSeconds: number): number {
    let year = 0;
    let mon = 1;
    let day = 1;
    let hour = 0;
    let min = 0;
    let sec = 0;
    for (const part of this.parts.formatToParts(unixSeconds * 1000)) {
      const v = Number(part.value);
      if (part.type === 'year') year = v;
      else if (part.type === 'month') mon = v;
      else if (part.type === 'day') day = v;
      else if (part.type === 'hour') hour = v;
      else if (part.type === 'minute') min = v;
      else if (part.type === 'second') sec = v;
    }
    const local =
      (date2j(year, mon, day) - POSTGRES_EPOCH_JDATE) * SECS_PER_DAY +
      hour * 3600 +
      min * 60 +
      sec +
      POSTGRES_EPOCH_UNIX;
    return local - unixSeconds;
  }

  private clamp(unixSeconds: number): number {
    if (unixSeconds < FIRST) return FIRST;
    return unixSeconds > LAST ? unixSeconds - Math.ceil((unixSeconds - LAST) / CYCLE) * CYCLE : unixSeconds;
  }

  offsetAt(unixSeconds: number): number {
    const t = this.clamp(unixSeconds);
    const week = Math.floor(t / WEEK);
    const known = this.weeks.get(week);
    if (known !== undefined) return known;
    if (!this.weeks.has(week)) {
      const start = this.ask(week * WEEK);
      const end = this.ask((week + 1) * WEEK - 1);
      if (this.weeks.size > 20000) this.weeks.clear();
      this.weeks.set(week, start === end ? start : undefined);
      if (start === end) return start;
    }
    return this.ask(Math.floor(t));
  }

  abbrevAt(unixSeconds: number): string {
    this.names ??= new Intl.DateTimeFormat('en-US', { timeZone: this.name, timeZoneName: 'long' });
    const name =
      this.names.formatToParts(this.clamp(unixSeconds) * 1000).find(p => p.type === 'timeZoneName')?.value ?? '';
    const offset = this.offsetAt(unixSeconds);
    // Mean solar time, before there were zones: never a multiple of a quarter of an hour in practice.
    if (offset % 900 !== 0) return 'LMT';
    return LONG_NAMES[name] ?? numericAbbrev(offset);
  }

  isDstAt(unixSeconds: number): boolean {
    const t = this.clamp(unixSeconds);
    const year = 365.2425 * SECS_PER_DAY;
    const other = Math.min(this.offsetAt(t - year / 2), this.offsetAt(t + year / 2));
    return this.offsetAt(t) > other;
  }
}

const UTC_NAMES = new Set(['utc', 'etc/utc', 'uct', 'etc/uct', 'zulu', 'etc/zulu', 'universal', 'etc/universal']);
const GMT_NAMES = new Set(['gmt', 'etc/gmt', 'gmt0', 'etc/gmt0', 'gmt+0', 'gmt-0', 'greenwich', 'etc/greenwich']);
const zones = new Map<string, Zone | null>();

class PosixZone implements Zone {
  readonly name: string;
  readonly fixed = false;
  private readonly rules: PosixRules;

  constructor(rules: PosixRules) {
    this.name = rules.name;
    this.rules = rules;
  }

  private timeAt(unixSeconds: number): PosixTime {
    const { standard, saving } = this.rules;
    return saving !== undefined && isPosixDst(this.rules, unixSeconds) ? saving : standard;
  }

  offsetAt(unixSeconds: number): number {
    return this.timeAt(unixSeconds).offset;
  }

  abbrevAt(unixSeconds: number): string {
    return this.timeAt(unixSeconds).abbrev;
  }

  isDstAt(unixSeconds: number): boolean {
    return isPosixDst(this.rules, unixSeconds);
  }
}

function posixZone(name: string): Zone | undefined {
  const rules = parsePosixZone(name);
  if (rules === undefined) return undefined;
  const { standard, saving } = rules;
  return saving === undefined ? new FixedZone(rules.name, standard.offset, standard.abbrev) : new PosixZone(rules);
}

function openZone(name: string): Zone | undefined {
  const lower = name.toLowerCase();
  if (UTC_NAMES.has(lower)) return new FixedZone(name, 0, 'UTC');
  if (GMT_NAMES.has(lower)) return new FixedZone(name, 0, 'GMT');
  // Intl takes "+05:30" for a zone; PostgreSQL does not.
  if (/^[A-Za-z]/.test(name)) {
    try {
      const options = {
        timeZone: name,
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      } as const;
      return new IntlZone(name, new Intl.DateTimeFormat('en-US', options));
    } catch (e) {
      if (!(e instanceof RangeError)) throw e;
    }
  }
  return posixZone(name);
}

/** A zone by name, case-insensitive; undefined when there is none. */
export function findZone(name: string): Zone | undefined {
  let zone = zones.get(name);
  if (zone === undefined) {
    zone = openZone(name) ?? null;
    if (zones.size > 2000) zones.clear();
    zones.set(name, zone);
  }
  return zone ?? undefined;
}

export function fixedZone(offset: number): Zone {
  // As POSIX writes it: what is shown, then the offset with its sign turned round.
  const seconds = Math.abs(offset);
  const two = (n: number): string => String(n).padStart(2, '0');
  const minutes = Math.floor(seconds / 60) % 60;
  const clock =
    two(Math.floor(seconds / 3600)) +
    (seconds % 3600 === 0 ? '' : `:${two(minutes)}`) +
    (seconds % 60 === 0 ? '' : `:${two(seconds % 60)}`);
  return offset < 0
    ? new FixedZone(`<-${clock}>+${clock}`, offset, `-${clock}`)
    : new FixedZone(`<+${clock}>-${clock}`, offset, `+${clock}`);
}

/** Seconds of the Unix epoch, whole, of a timestamptz. */
export function unixSecondsOf(t: Timestamp): number {
  splitTimestamp(t);
  return splitDays * SECS_PER_DAY + Math.floor(splitTime / 1e6) + POSTGRES_EPOCH_UNIX;
}

/** A local time as if it were one of UTC. */
export function localSeconds(tm: Tm): number {
  const days = date2j(tm.year, tm.mon, tm.mday) - POSTGRES_EPOCH_JDATE;
  return days * SECS_PER_DAY + tm.hour * 3600 + tm.min * 60 + tm.sec + POSTGRES_EPOCH_UNIX;
}

/**
 * Offset, in seconds WEST of UTC as PostgreSQL counts them, of a local time. In the gap of spring
 * the time counts by the offset before; in the overlap of autumn by the one after.
 */
export function determineTimeZoneOffset(tm: Tm, zone: Zone): number {
  const local = localSeconds(tm);
  if (zone.fixed) {
    tm.isdst = 0;
    return 0 - zone.offsetAt(local);
  }
  const before = zone.offsetAt(local - SECS_PER_DAY);
  const after = zone.offsetAt(local + SECS_PER_DAY);
  if (before === after) return 0 - before;
  let low = local - SECS_PER_DAY;
  let high = local + SECS_PER_DAY;
  while (high - low > 1) {
    const mid = Math.floor((low + high) / 2);
    if (zone.offsetAt(mid) === before) low = mid;
    else high = mid;
  }
  const boundary = high;
  const beforeTime = local - before;
  const afterTime = local - after;
  if (beforeTime < boundary && afterTime < boundary) return 0 - before;
  if (beforeTime > boundary && afterTime >= boundary) return 0 - after;
  return beforeTime > afterTime ? 0 - before : 0 - after;
}

const ALPHABETIC = new Set(Object.values(LONG_NAMES));
const STEP = 28 * SECS_PER_DAY;
/** Three years: no zone went without a name it had for longer and took it up again. */
const STEPS = 40;

/**
 * What an abbreviation means in its zone at an instant, in seconds east of UTC: what it meant when the zone last used it (MSK in
 * summer is winter's), or will soon (pg_interpret_timezone_abbrev). undefined where the zone did not.
 */
export function offsetOfAbbreviation(zone: Zone, abbrev: string, unixSeconds: number): number | undefined {
  if (!ALPHABETIC.has(abbrev)) return undefined;
  for (let i = 0; i < 2 * STEPS; i++) {
    const at = unixSeconds + (i < STEPS ? -i : i - STEPS) * STEP;
    if (zone.abbrevAt(at) === abbrev) return zone.offsetAt(at);
  }
  return undefined;
}
