/**
 * Time zones that say their rules themselves, as POSIX writes them in TZ (localtime.c, tzparse): "EST5", "<+03>-3", "04:30",
 * "PST8PDT,M3.2.0,M11.1.0". Without rules of its own daylight saving is the present one of the United States. Offsets in such
 * a text are west of UTC.
 */
import { date2j, POSTGRES_EPOCH_JDATE, POSTGRES_EPOCH_UNIX, SECS_PER_DAY } from './calendar.ts';

/** What one half of the year is: seconds EAST of UTC, and what is shown. */
export interface PosixTime {
  readonly offset: number;
  readonly abbrev: string;
}

type Day =
  | { readonly kind: 'dayOfWeek'; readonly month: number; readonly week: number; readonly day: number }
  /** From 1, the 29th of February is not counted. */
  | { readonly kind: 'julian'; readonly day: number }
  | { readonly kind: 'dayOfYear'; readonly day: number };

/** When to change, in the time that ends then. */
type Rule = Day & { readonly seconds: number };

export interface PosixRules {
  /** As PostgreSQL shows it: in capitals. */
  readonly name: string;
  readonly standard: PosixTime;
  readonly saving: (PosixTime & { readonly start: Rule; readonly end: Rule }) | undefined;
}

const ABBREV = String.raw`(?:<([^>]*)>|((?!<)[^\d,+-]*))`;
const OFFSET = String.raw`([+-]?)(\d+)(?::(\d+)(?::(\d+))?)?`;
const SPECIFICATION = new RegExp(`^${ABBREV}${OFFSET}(?:${ABBREV}(?:${OFFSET})?(?:[,;](.*))?)?$`);
const RULE = new RegExp(String.raw`^(?:M(\d+)\.(\d+)\.(\d+)|J(\d+)|(\d+))(?:/${OFFSET})?$`);
const UNITED_STATES = 'M3.2.0,M11.1.0';
const HOUR = 3600;
/** Long enough to meet a year that has the rules' two days in order, if there is one. */
const YEARS_BACK = 8;

/** undefined where the text is no such specification. */
export function parsePosixZone(text: string): PosixRules | undefined {
  const name = text.replace(/[a-z]/g, c => c.toUpperCase());
  const m = SPECIFICATION.exec(name);
  if (m === null) return undefined;
  const west = secondsOf(m.slice(3, 7));
  if (west === undefined) return undefined;
  const standard = { offset: 0 - west, abbrev: m[1] ?? m[2] ?? '' };
  if (m.slice(7).every(part => part === undefined || part === ''))
    return m[7] === undefined ? { name, standard, saving: undefined } : undefined;
  const dst = m[7] ?? m[8] ?? '';
  if (dst === '') return undefined;
  const dstWest = m[10] === undefined ? west - HOUR : secondsOf(m.slice(9, 13));
  const [first, second, ...more] = (m[13] ?? UNITED_STATES).split(',').map(parseRule);
  if (dstWest === undefined || first === undefined || second === undefined || more.length > 0) return undefined;
  return { name, standard, saving: { offset: 0 - dstWest, abbrev: dst, start: first, end: second } };
}

/** Of a sign, hours, minutes and seconds. */
function secondsOf([sign, h, min = '0', s = '0']: readonly (string | undefined)[]): number | undefined {
  const [hours, minutes, seconds] = [Number(h), Number(min), Number(s)];
  if (hours > 167 || minutes > 59 || seconds > 60) return undefined;
  const all = hours * HOUR + minutes * 60 + seconds;
  return sign === '-' ? -all : all;
}

function parseRule(text: string): Rule | undefined {
  const m = RULE.exec(text);
  if (m === null) return undefined;
  const seconds = m[7] === undefined ? 2 * HOUR : secondsOf(m.slice(6, 10));
  if (seconds === undefined) return undefined;
  const number = (at: number, low: number, high: number): number | undefined => {
    const value = Number(m[at]);
    return value >= low && value <= high ? value : undefined;
  };
  if (m[1] !== undefined) {
    const [month, week, day] = [number(1, 1, 12), number(2, 1, 5), number(3, 0, 6)];
    if (month === undefined || week === undefined || day === undefined) return undefined;
    return { kind: 'dayOfWeek', month, week, day, seconds };
  }
  const day = m[4] === undefined ? number(5, 0, 365) : number(4, 1, 365);
  if (day === undefined) return undefined;
  return { kind: m[4] === undefined ? 'dayOfYear' : 'julian', day, seconds };
}

const isLeap = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
/** Days since the Unix epoch. */
const dayNumber = (year: number, month: number, day: number): number =>
  date2j(year, month, day) - POSTGRES_EPOCH_JDATE + POSTGRES_EPOCH_UNIX / SECS_PER_DAY;

function dayOf(rule: Rule, year: number): number {
  const january = dayNumber(year, 1, 1);
  if (rule.kind === 'dayOfYear') return january + rule.day;
  if (rule.kind === 'julian') return january + rule.day - 1 + (isLeap(year) && rule.day >= 60 ? 1 : 0);
  const first = dayNumber(year, rule.month, 1);
  const length = (rule.month === 12 ? dayNumber(year + 1, 1, 1) : dayNumber(year, rule.month + 1, 1)) - first;
  // The epoch was a Thursday.
  const weekday = (((first + 4) % 7) + 7) % 7;
  let day = (rule.day - weekday + 7) % 7;
  for (let week = 1; week < rule.week && day + 7 < length; week++) day += 7;
  return first + day;
}

/** Is it daylight saving time? */
export function isPosixDst({ standard, saving }: PosixRules, unixSeconds: number): boolean {
  if (saving === undefined) return false;
  const year = 1970 + Math.floor(unixSeconds / (365.2425 * SECS_PER_DAY));
  let found = false;
  for (let y = year + 1; y >= year - YEARS_BACK; y--) {
    const start = dayOf(saving.start, y) * SECS_PER_DAY + saving.start.seconds - standard.offset;
    const end = dayOf(saving.end, y) * SECS_PER_DAY + saving.end.seconds - saving.offset;
    const length = (isLeap(y) ? 366 : 365) * SECS_PER_DAY + saving.offset - standard.offset;
    // A year in which one would not follow the other has no change.
    if (end === start || (end > start && end - start >= length)) continue;
    found = true;
    const last = Math.max(start <= unixSeconds ? start : -Infinity, end <= unixSeconds ? end : -Infinity);
    if (last !== -Infinity) return last === start;
  }
  return !found;
}
