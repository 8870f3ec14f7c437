/**
 * Type interval: months, days and microseconds that do not add up to each other.
 *
 * Payload (16 bytes, little-endian):  0 int64 time (µs)   8 int32 days   12 int32 months
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { FunctionCall, FunctionTable, IntervalStyle, SessionSettings } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import {
  ALL_SECS_M,
  DecodeError,
  decodeTimeFields,
  decoding,
  type Field,
  leadingInt,
  M_DAY,
  M_HOUR,
  M_MICROSECOND,
  M_MILLISECOND,
  M_MINUTE,
  M_MONTH,
  M_SECOND,
  M_YEAR,
  parseDateTime,
  parseFraction,
  TIME_M,
} from './datetime.ts';
import { pad2, seconds } from './datetime_out.ts';
import { deltaUnit, type Unit, extractUnit, unitName, unitNotRecognized, unitNotSupported } from './datetime_units.ts';
import { rint } from './float.ts';
import { finite, packNumeric } from './numericvar.ts';
import { viewOf, wireView } from './pqwire.ts';
import { parseTypmods, timePrecision } from './typmod.ts';

export interface Interval {
  readonly months: number;
  readonly days: number;
  readonly time: bigint;
}

const USECS_PER_DAY = 86400000000n;
const USECS_PER_HOUR = 3600000000n;
const USECS_PER_MINUTE = 60000000n;
const USECS_PER_SEC = 1000000n;
const INT64_MIN = -(1n << 63n);
const INT64_MAX = (1n << 63n) - 1n;

export const intervalRange = (): PgError => ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'interval out of range');
const fits32 = (n: number): boolean => n >= -0x80000000 && n <= 0x7fffffff;
const fits64 = (n: bigint): boolean => n >= INT64_MIN && n <= INT64_MAX;

export function readInterval(bytes: Uint8Array): Interval {
  const view = viewOf(bytes);
  return { time: view.getBigInt64(0, true), days: view.getInt32(8, true), months: view.getInt32(12, true) };
}

/** Range-checked payload. */
export function makeInterval(months: number, days: number, time: bigint): Uint8Array {
  if (!fits32(months) || !fits32(days) || !fits64(time)) throw intervalRange();
  const out = new Uint8Array(16);
  const view = viewOf(out);
  view.setBigInt64(0, time, true);
  view.setInt32(8, days, true);
  view.setInt32(12, months, true);
  return out;
}

/** Field masks of INTERVAL … TO …, as the typmod's upper half holds them. */
const R_YEAR = M_YEAR;
const R_MONTH = M_MONTH;
const R_DAY = M_DAY;
const R_HOUR = M_HOUR;
const R_MINUTE = M_MINUTE;
const R_SECOND = M_SECOND;
const FULL_RANGE = 0x7fff;
const FULL_PRECISION = 0xffff;
const KNOWN_RANGES = [
  R_YEAR,
  R_MONTH,
  R_DAY,
  R_HOUR,
  R_MINUTE,
  R_SECOND,
  R_YEAR | R_MONTH,
  R_DAY | R_HOUR,
  R_DAY | R_HOUR | R_MINUTE,
  R_DAY | R_HOUR | R_MINUTE | R_SECOND,
  R_HOUR | R_MINUTE,
  R_HOUR | R_MINUTE | R_SECOND,
  R_MINUTE | R_SECOND,
  FULL_RANGE,
];

/** Sums of an interval under construction, each within its type. */
class IntervalBuilder {
  usec = 0n;
  days = 0;
  months = 0;
  years = 0;

  addMicros(value: bigint, fraction: number, scale: number): void {
    this.usec += value * BigInt(scale);
    this.addFraction(fraction, scale);
  }

  addFraction(fraction: number, scale: number): void {
    const scaled = fraction * scale;
    let usec = Math.trunc(scaled);
    const rest = scaled - usec;
    if (rest > 0.5) usec++;
    else if (rest < -0.5) usec--;
    this.usec += BigInt(usec);
    if (!fits64(this.usec)) throw new DecodeError('overflow');
  }

  addDays(value: bigint, scale: number): void {
    this.days = this.check(value, scale, this.days);
  }

  addMonths(value: bigint): void {
    this.months = this.check(value, 1, this.months);
  }

  addYears(value: bigint, scale: number): void {
    this.years = this.check(value, scale, this.years);
  }

  private check(value: bigint, scale: number, base: number): number {
    const n = Number(value);
    const sum = n * scale + base;
    if (!fits32(n) || !fits32(n * scale) || !fits32(sum)) throw new DecodeError('overflow');
    return sum + 0;
  }

  addFractionDays(fraction: number, scale: number): void {
    const scaled = fraction * scale;
    const extra = Math.trunc(scaled);
    this.days = this.check(BigInt(extra), 1, this.days);
    this.addFraction(scaled - extra, 86400000000);
  }

  addFractionYears(fraction: number, scale: number): void {
    this.months = this.check(BigInt(rint(fraction * scale * 12)), 1, this.months);
  }

  negate(): void {
    this.usec = -this.usec;
    this.days = -this.days + 0;
    this.months = -this.months + 0;
    this.years = -this.years + 0;
    if (!fits64(this.usec) || !fits32(this.days) || !fits32(this.months) || !fits32(this.years))
      throw new DecodeError('overflow');
  }

  build(): Uint8Array {
    return makeInterval(this.years * 12 + this.months, this.days, this.usec);
  }
}

/** The unit of a number without one, from the typmod's fields. */
function defaultUnit(range: number): Unit {
  switch (range) {
    case R_YEAR:
      return 'year';
    case R_MONTH:
    case R_YEAR | R_MONTH:
      return 'month';
    case R_DAY:
      return 'day';
    case R_HOUR:
    case R_DAY | R_HOUR:
      return 'hour';
    case R_MINUTE:
    case R_HOUR | R_MINUTE:
    case R_DAY | R_HOUR | R_MINUTE:
      return 'minute';
    default:
      return 'second';
  }
}

// Masks of units that have no place in dates.
const M_DECADE = 1 << 25;
const M_CENTURY = 1 << 26;
const M_MILLENNIUM = 1 << 27;
const M_WEEK = 1 << 24;

function addQuantity(b: IntervalBuilder, unit: Unit | 'none', value: bigint, fraction: number): number {
  switch (unit) {
    case 'microsecond':
      b.addMicros(value, fraction, 1);
      return M_MICROSECOND;
    case 'millisecond':
      b.addMicros(value, fraction, 1000);
      return M_MILLISECOND;
    case 'second':
      b.addMicros(value, fraction, 1000000);
      return fraction === 0 ? M_SECOND : ALL_SECS_M;
    case 'minute':
      b.addMicros(value, fraction, 60000000);
      return M_MINUTE;
    case 'hour':
      b.addMicros(value, fraction, 3600000000);
      return M_HOUR;
    case 'day':
      b.addDays(value, 1);
      b.addFraction(fraction, 86400000000);
      return M_DAY;
    case 'week':
      b.addDays(value, 7);
      b.addFractionDays(fraction, 7);
      return M_WEEK;
    case 'month':
      b.addMonths(value);
      b.addFractionDays(fraction, 30);
      return M_MONTH;
    case 'year':
      b.addYears(value, 1);
      b.addFractionYears(fraction, 1);
      return M_YEAR;
    case 'decade':
      b.addYears(value, 10);
      b.addFractionYears(fraction, 10);
      return M_DECADE;
    case 'century':
      b.addYears(value, 100);
      b.addFractionYears(fraction, 100);
      return M_CENTURY;
    case 'millennium':
      b.addYears(value, 1000);
      b.addFractionYears(fraction, 1000);
      return M_MILLENNIUM;
    default:
      throw new DecodeError('format');
  }
}

function timeMicros(text: string, range: number): bigint {
  const t = decodeTimeFields(text, range === (R_MINUTE | R_SECOND));
  const usec = ((BigInt(t.hour) * 60n + BigInt(t.min)) * 60n + BigInt(t.sec)) * USECS_PER_SEC + BigInt(t.fsec);
  if (!fits64(usec)) throw new DecodeError('overflow');
  return usec;
}

/** DecodeInterval(): the fields are read from the right, so that units come before their numbers. */
function decodeInterval(fields: readonly Field[], range: number, style: IntervalStyle): IntervalBuilder {
  const b = new IntervalBuilder();
  const signed = (f: Field): boolean => f.text[0] === '-' || f.text[0] === '+';
  // In SQL style one leading minus is meant for all that follows, unless there are other signs.
  const forceNegative =
    style === 'sql_standard' && fields.length > 0 && fields[0].text[0] === '-' && !fields.slice(1).some(signed);
  let unit: Unit | 'none' | undefined;
  let ago = false;
  let fmask = 0;
  const addTime = (usec: bigint): number => {
    // A time of day is the whole of the time part: what smaller units said before is the mask's affair.
    b.usec = forceNegative && usec > 0n ? -usec : usec;
    unit = 'day';
    return TIME_M;
  };
  for (let i = fields.length - 1; i >= 0; i--) {
    const { type, text } = fields[i];
    let mask = 0;
    if (type === 'time') mask = addTime(timeMicros(text, range));
    else if (type === 'string' || type === 'special') {
      if (text === 'ago') {
        ago = true;
        unit = 'none';
        continue;
      }
      const word = deltaUnit(text);
      if (!word) throw new DecodeError('format');
      unit = word;
      continue;
    } else {
      const signedTime = type === 'tz' && text.includes(':') ? tryTime(text.slice(1), range) : undefined;
      if (signedTime !== undefined) mask = addTime(text[0] === '-' ? -signedTime : signedTime);
      else {
        unit ??= defaultUnit(range);
        const m = /^([+-]?)(\d*)(.*)$/.exec(text);
        if (!m) throw new DecodeError('format');
        const negative = m[1] === '-';
        let value = BigInt(m[2] || '0');
        if (negative) value = -value;
        if (!fits64(value)) throw new DecodeError('overflow');
        let fraction = 0;
        if (m[3][0] === '-') {
          const months = leadingInt(m[3].slice(1));
          if (months.value < 0 || months.value >= 12) throw new DecodeError('overflow');
          if (months.rest !== '') throw new DecodeError('format');
          unit = 'month';
          value = value * 12n + BigInt(negative ? -months.value : months.value);
          if (!fits64(value)) throw new DecodeError('overflow');
        } else if (m[3][0] === '.') {
          fraction = parseFraction(m[3]) * (negative ? -1 : 1);
        } else if (m[3] !== '' || m[2] === '') throw new DecodeError('format');
        if (forceNegative) {
          if (value > 0n) value = -value;
          if (fraction > 0) fraction = -fraction;
        }
        mask = addQuantity(b, unit, value, fraction);
        if (unit === 'hour') unit = 'day';
      }
    }
    if ((mask & fmask) !== 0) throw new DecodeError('format');
    fmask |= mask;
  }
  if (fmask === 0) throw new DecodeError('format');
  if (ago) b.negate();
  return b;
}

function tryTime(text: string, range: number): bigint | undefined {
  try {
    return timeMicros(text, range);
  } catch (e) {
    if (e instanceof DecodeError) return undefined;
    throw e;
  }
}

/** ISO 8601 durations: PnYnMnDTnHnMnS, PnW, and the alternative P0001-02-03T04:05:06 forms. */
function decodeIso8601(text: string): IntervalBuilder {
  const b = new IntervalBuilder();
  const fail = (): DecodeError => new DecodeError('format');
  if (text.length < 2 || text[0] !== 'P') throw fail();
  let rest = text.slice(1);
  let datePart = true;
  let haveField = false;
  let width = 0;
  const number = (): { whole: bigint; fraction: number } => {
    const m = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/.exec(rest);
    if (!m) throw fail();
    width = /^-?(\d*)/.exec(rest)![1].length;
    rest = rest.slice(m[0].length);
    const value = Number(m[0]);
    if (Math.abs(value) > 1e15) throw new DecodeError('overflow');
    const whole = Math.trunc(value);
    return { whole: BigInt(whole), fraction: value - whole };
  };
  const take = (): string => {
    const c = rest[0] ?? '';
    rest = rest.slice(1);
    return c;
  };
  while (rest !== '') {
    if (rest[0] === 'T') {
      datePart = false;
      haveField = false;
      take();
      continue;
    }
    const { whole, fraction } = number();
    const unit = take();
    if (datePart) {
      if (unit === 'Y') addQuantity(b, 'year', whole, fraction);
      else if (unit === 'M') addQuantity(b, 'month', whole, fraction);
      else if (unit === 'W') addQuantity(b, 'week', whole, fraction);
      else if (unit === 'D') addQuantity(b, 'day', whole, fraction);
      else if (unit === 'T' || unit === '' || unit === '-') {
        if (unit !== '-' && width === 8 && !haveField) {
          b.addYears(whole / 10000n, 1);
          b.addMonths((whole / 100n) % 100n);
          b.addDays(whole % 100n, 1);
          b.addFraction(fraction, 86400000000);
        } else {
          if (haveField) throw fail();
          addQuantity(b, 'year', whole, fraction);
          if (unit === '-') {
            const month = number();
            addQuantity(b, 'month', month.whole, month.fraction);
            if (rest !== '' && rest[0] !== 'T') {
              if (take() !== '-') throw fail();
              const day = number();
              addQuantity(b, 'day', day.whole, day.fraction);
              if (rest !== '' && rest[0] !== 'T') throw fail();
            }
          }
        }
        if (unit === '') return b;
        datePart = false;
        haveField = false;
        if (rest[0] === 'T') take();
        continue;
      } else throw fail();
    } else if (unit === 'H') addQuantity(b, 'hour', whole, fraction);
    else if (unit === 'M') addQuantity(b, 'minute', whole, fraction);
    else if (unit === 'S') addQuantity(b, 'second', whole, fraction);
    else if (unit === '' || unit === ':') {
      if (unit === '' && width === 6 && !haveField) {
        addQuantity(b, 'hour', whole / 10000n, 0);
        addQuantity(b, 'minute', (whole / 100n) % 100n, 0);
        addQuantity(b, 'second', whole % 100n, 0);
        b.addFraction(fraction, 1);
        return b;
      }
      if (haveField) throw fail();
      addQuantity(b, 'hour', whole, fraction);
      if (unit === '') return b;
      const minute = number();
      addQuantity(b, 'minute', minute.whole, minute.fraction);
      if (rest === '') return b;
      if (take() !== ':') throw fail();
      const second = number();
      addQuantity(b, 'second', second.whole, second.fraction);
      if (rest === '') return b;
      throw fail();
    } else throw fail();
    haveField = true;
  }
  return b;
}

export function parseInterval(settings: SessionSettings, text: Uint8Array, typmod: number): Uint8Array {
  const range = typmod >= 0 ? (typmod >> 16) & FULL_RANGE : FULL_RANGE;
  const interval = decoding(text, 'interval', () => {
    let b: IntervalBuilder;
    try {
      try {
        b = decodeInterval(parseDateTime(text, 256), range, settings.intervalStyle);
      } catch (e) {
        if (!(e instanceof DecodeError) || e.failure !== 'format') throw e;
        b = decodeIso8601(textToString(text));
      }
    } catch (e) {
      if (e instanceof DecodeError && e.failure === 'overflow') throw new DecodeError('interval-overflow');
      throw e;
    }
    return b.build();
  });
  return adjustForTypmod(interval, typmod);
}

function roundTime(time: bigint, precision: number): bigint {
  const scale = 10n ** BigInt(6 - precision);
  const half = precision === 6 ? 0n : scale / 2n;
  return time >= 0n ? ((time + half) / scale) * scale : -(((-time + half) / scale) * scale);
}

/** Drops what the fields of INTERVAL … TO … leave out, and rounds to the precision. */
function adjustForTypmod(bytes: Uint8Array, typmod: number): Uint8Array {
  if (typmod < 0) return bytes;
  const range = (typmod >> 16) & FULL_RANGE;
  const precision = typmod & 0xffff;
  let { months, days, time } = readInterval(bytes);
  if (range !== FULL_RANGE) {
    if (!KNOWN_RANGES.includes(range)) throw ereport(ERRCODE.INTERNAL_ERROR, `unrecognized interval typmod: ${typmod}`);
    if (range === R_YEAR) months = Math.trunc(months / 12) * 12;
    if ((range & (R_DAY | R_HOUR | R_MINUTE | R_SECOND)) === 0) {
      days = 0;
      time = 0n;
    } else if ((range & R_SECOND) === 0) {
      const unit = (range & R_MINUTE) !== 0 ? USECS_PER_MINUTE : (range & R_HOUR) !== 0 ? USECS_PER_HOUR : 0n;
      time = unit === 0n ? 0n : (time / unit) * unit;
    }
  }
  if (precision !== FULL_PRECISION) {
    if (precision > 6)
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `interval(${precision}) precision must be between 0 and 6`);
    time = roundTime(time, precision);
  }
  return makeInterval(months, days, time);
}

interface Parts {
  readonly year: number;
  readonly mon: number;
  readonly day: number;
  readonly hour: bigint;
  readonly min: number;
  readonly sec: number;
  readonly fsec: number;
}

function partsOf(v: Interval): Parts {
  return {
    year: Math.trunc(v.months / 12) + 0,
    mon: (v.months % 12) + 0,
    day: v.days,
    hour: v.time / USECS_PER_HOUR,
    min: Number((v.time / USECS_PER_MINUTE) % 60n),
    sec: Number((v.time / USECS_PER_SEC) % 60n),
    fsec: Number(v.time % USECS_PER_SEC),
  };
}

const plural = (n: number | bigint): string => (n === 1 || n === 1n ? '' : 's');
const abs = (n: bigint): bigint => (n < 0n ? -n : n);

function formatPostgres(p: Parts): string {
  let out = '';
  let before = false;
  for (const [value, unit] of [
    [p.year, 'year'],
    [p.mon, 'mon'],
    [p.day, 'day'],
  ] as const) {
    if (value === 0) continue;
    out += `${out === '' ? '' : ' '}${before && value > 0 ? '+' : ''}${value} ${unit}${plural(value)}`;
    before = value < 0;
  }
  if (out !== '' && p.hour === 0n && p.min === 0 && p.sec === 0 && p.fsec === 0) return out;
  const minus = p.hour < 0n || p.min < 0 || p.sec < 0 || p.fsec < 0;
  return `${out}${out === '' ? '' : ' '}${minus ? '-' : before ? '+' : ''}${abs(p.hour).toString().padStart(2, '0')}:${pad2(Math.abs(p.min))}:${seconds(p.sec, p.fsec)}`;
}

function formatVerbose(p: Parts): string {
  let out = '@';
  let zero = true;
  let before = false;
  for (const [value, unit] of [
    [BigInt(p.year), 'year'],
    [BigInt(p.mon), 'mon'],
    [BigInt(p.day), 'day'],
    [p.hour, 'hour'],
    [BigInt(p.min), 'min'],
  ] as const) {
    if (value === 0n) continue;
    let shown = value;
    if (zero) {
      before = value < 0n;
      shown = abs(value);
    } else if (before) shown = -value;
    out += ` ${shown} ${unit}${plural(shown)}`;
    zero = false;
  }
  if (p.sec !== 0 || p.fsec !== 0) {
    out += ' ';
    if (p.sec < 0 || (p.sec === 0 && p.fsec < 0)) {
      if (zero) before = true;
      else if (!before) out += '-';
    } else if (before) out += '-';
    out += `${seconds(p.sec, p.fsec, false)} sec${Math.abs(p.sec) !== 1 || p.fsec !== 0 ? 's' : ''}`;
    zero = false;
  }
  return `${out}${zero ? ' 0' : ''}${before ? ' ago' : ''}`;
}

function formatSqlStandard(p: Parts): string {
  const values = [BigInt(p.year), BigInt(p.mon), BigInt(p.day), p.hour, BigInt(p.min), BigInt(p.sec), BigInt(p.fsec)];
  const negative = values.some(v => v < 0n);
  const positive = values.some(v => v > 0n);
  const yearMonth = p.year !== 0 || p.mon !== 0;
  const dayTime = values.slice(2).some(v => v !== 0n);
  if (!negative && !positive) return '0';
  const [year, mon, day, hour, min] = values.map(abs);
  const tail = `${hour}:${pad2(Number(min))}:${seconds(p.sec, p.fsec)}`;
  if ((negative && positive) || (yearMonth && dayTime)) {
    const sign = (minus: boolean): string => (minus ? '-' : '+');
    const time = sign(p.hour < 0n || p.min < 0 || p.sec < 0 || p.fsec < 0);
    return `${sign(p.year < 0 || p.mon < 0)}${year}-${mon} ${sign(p.day < 0)}${day} ${time}${tail}`;
  }
  const lead = negative ? '-' : '';
  if (yearMonth) return `${lead}${year}-${mon}`;
  return p.day !== 0 ? `${lead}${day} ${tail}` : lead + tail;
}

function formatIso8601(p: Parts): string {
  const part = (value: number | bigint, unit: string): string => (value == 0 ? '' : `${value}${unit}`);
  const date = part(p.year, 'Y') + part(p.mon, 'M') + part(p.day, 'D');
  let time = part(p.hour, 'H') + part(p.min, 'M');
  if (p.sec !== 0 || p.fsec !== 0) time += `${p.sec < 0 || p.fsec < 0 ? '-' : ''}${seconds(p.sec, p.fsec, false)}S`;
  if (date === '' && time === '') return 'PT0S';
  return `P${date}${time === '' ? '' : `T${time}`}`;
}

/** An interval as a time zone: seconds east. */
export function intervalZone(fc: FunctionCall, zone: Uint8Array): bigint {
  const v = readInterval(zone);
  if (v.months !== 0 || v.days !== 0)
    throw ereport(
      ERRCODE.INVALID_PARAMETER_VALUE,
      `interval time zone "${formatInterval(zone, fc.settings.intervalStyle)}" must not include months or days`,
    );
  return v.time / 1000000n;
}

export function formatInterval(bytes: Uint8Array, style: IntervalStyle): string {
  const parts = partsOf(readInterval(bytes));
  switch (style) {
    case 'postgres':
      return formatPostgres(parts);
    case 'postgres_verbose':
      return formatVerbose(parts);
    case 'sql_standard':
      return formatSqlStandard(parts);
    case 'iso_8601':
      return formatIso8601(parts);
  }
}

/** Length with months of 30 days, for comparison; beyond 64 bits. */
export function intervalLength(bytes: Uint8Array): bigint {
  const { months, days, time } = readInterval(bytes);
  return BigInt(months * 30 + days) * USECS_PER_DAY + time;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const x = intervalLength(a);
  const y = intervalLength(b);
  return x < y ? -1 : x > y ? 1 : 0;
}

export function addIntervals(a: Uint8Array, b: Uint8Array, sign: 1 | -1): Uint8Array {
  const x = readInterval(a);
  const y = readInterval(b);
  return makeInterval(x.months + sign * y.months, x.days + sign * y.days, sign > 0 ? x.time + y.time : x.time - y.time);
}

const tsRound = (x: number): number => rint(x * 1000000) / 1000000;

/** Multiplication and division by a float: fractions of months go to days, of days to time. */
export function scaleInterval(bytes: Uint8Array, by: (x: number) => number): Uint8Array {
  const v = readInterval(bytes);
  const exactMonths = by(v.months);
  const exactDays = by(v.days);
  if (
    !(exactMonths >= -0x80000000 && exactMonths < 0x80000000) ||
    !(exactDays >= -0x80000000 && exactDays < 0x80000000)
  )
    throw intervalRange();
  const months = Math.trunc(exactMonths);
  let days = Math.trunc(exactDays);
  const monthDays = tsRound((exactMonths - months) * 30);
  let secs = tsRound((exactDays - days + monthDays - Math.trunc(monthDays)) * 86400);
  if (Math.abs(secs) >= 86400) {
    const extra = Math.trunc(secs / 86400);
    days += extra;
    secs -= extra * 86400;
  }
  days += Math.trunc(monthDays);
  const time = rint(by(Number(v.time)) + secs * 1000000);
  if (!(time >= -(2 ** 63) && time < 2 ** 63)) throw intervalRange();
  return makeInterval(months + 0, days + 0, BigInt(time));
}

function justifyHours(v: Interval): Interval {
  let days = v.days + Number(v.time / USECS_PER_DAY);
  let time = v.time % USECS_PER_DAY;
  if (days > 0 && time < 0n) {
    time += USECS_PER_DAY;
    days--;
  } else if (days < 0 && time > 0n) {
    time -= USECS_PER_DAY;
    days++;
  }
  return { months: v.months, days, time };
}

function justifyDays(v: Interval, time: bigint): Interval {
  let months = v.months + Math.trunc(v.days / 30);
  let days = v.days % 30;
  if (months > 0 && (days < 0 || (days === 0 && time < 0n))) {
    days += 30;
    months--;
  } else if (months < 0 && (days > 0 || (days === 0 && time > 0n))) {
    days -= 30;
    months++;
  }
  return { months: months + 0, days: days + 0, time: v.time };
}

function justifyInterval(v: Interval): Interval {
  const whole = { ...v, days: v.days + Number(v.time / USECS_PER_DAY), time: v.time % USECS_PER_DAY };
  const days = justifyDays(whole, whole.time);
  if (days.days > 0 && days.time < 0n) return { ...days, days: days.days - 1, time: days.time + USECS_PER_DAY };
  if (days.days < 0 && days.time > 0n) return { ...days, days: days.days + 1, time: days.time - USECS_PER_DAY };
  return days;
}

const rebuild = (v: Interval): Uint8Array => makeInterval(v.months, v.days, v.time);

/** A part as an integer and its decimal places. */
function intervalPart(name: string, bytes: Uint8Array): { n: bigint; scale: number } {
  const v = readInterval(bytes);
  const p = partsOf(v);
  const whole = (n: number | bigint): { n: bigint; scale: number } => ({ n: BigInt(n), scale: 0 });
  const micros = BigInt(p.sec) * USECS_PER_SEC + BigInt(p.fsec);
  switch (extractUnit(name)) {
    case 'microsecond':
      return whole(micros);
    case 'millisecond':
      return { n: micros, scale: 3 };
    case 'second':
      return { n: micros, scale: 6 };
    case 'minute':
      return whole(p.min);
    case 'hour':
      return whole(p.hour);
    case 'day':
      return whole(p.day);
    case 'month':
      return whole(p.mon);
    case 'quarter':
      return whole(Math.trunc(p.mon / 3) + 1);
    case 'year':
      return whole(p.year);
    case 'decade':
      return whole(Math.trunc(p.year / 10));
    case 'century':
      return whole(Math.trunc(p.year / 100));
    case 'millennium':
      return whole(Math.trunc(p.year / 1000));
    case 'epoch': {
      const years = BigInt(Math.trunc(v.months / 12));
      const secs = (1461n * years + 120n * BigInt(v.months % 12) + 4n * BigInt(v.days)) * 21600n;
      return { n: secs * USECS_PER_SEC + v.time, scale: 6 };
    }
    case undefined:
      throw unitNotRecognized(name, 'interval');
    default:
      throw unitNotSupported(name, 'interval');
  }
}

function truncateTo(name: string, bytes: Uint8Array): Uint8Array {
  const v = readInterval(bytes);
  const unit = deltaUnit(name);
  const cut = (n: number, by: number): number => Math.trunc(n / by) * by + 0;
  const time = (by: bigint): Uint8Array => makeInterval(v.months, v.days, (v.time / by) * by);
  switch (unit) {
    case 'millennium':
      return makeInterval(cut(v.months, 12000), 0, 0n);
    case 'century':
      return makeInterval(cut(v.months, 1200), 0, 0n);
    case 'decade':
      return makeInterval(cut(v.months, 120), 0, 0n);
    case 'year':
      return makeInterval(cut(v.months, 12), 0, 0n);
    case 'quarter':
      return makeInterval(cut(v.months, 3), 0, 0n);
    case 'month':
      return makeInterval(v.months, 0, 0n);
    case 'day':
      return makeInterval(v.months, v.days, 0n);
    case 'hour':
      return time(USECS_PER_HOUR);
    case 'minute':
      return time(USECS_PER_MINUTE);
    case 'second':
      return time(USECS_PER_SEC);
    case 'millisecond':
      return time(1000n);
    case 'microsecond':
      return bytes;
    case undefined:
      throw unitNotRecognized(name, 'interval');
    default:
      throw unitNotSupported(name, 'interval', unit === 'week' ? 'Months usually have fractional weeks.' : undefined);
  }
}

function typmodIn(fc: FunctionCall, array: Uint8Array): number {
  const mods = parseTypmods(array);
  if (mods.length < 1 || mods.length > 2 || !KNOWN_RANGES.includes(mods[0]))
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'invalid INTERVAL type modifier');
  if (mods.length === 1) return mods[0] === FULL_RANGE ? -1 : (mods[0] << 16) | FULL_PRECISION;
  return (mods[0] << 16) | timePrecision(fc, mods[1], 'INTERVAL(%d)');
}

const RANGE_NAMES = new Map<number, string>([
  [R_YEAR, ' year'],
  [R_MONTH, ' month'],
  [R_DAY, ' day'],
  [R_HOUR, ' hour'],
  [R_MINUTE, ' minute'],
  [R_SECOND, ' second'],
  [R_YEAR | R_MONTH, ' year to month'],
  [R_DAY | R_HOUR, ' day to hour'],
  [R_DAY | R_HOUR | R_MINUTE, ' day to minute'],
  [R_DAY | R_HOUR | R_MINUTE | R_SECOND, ' day to second'],
  [R_HOUR | R_MINUTE, ' hour to minute'],
  [R_HOUR | R_MINUTE | R_SECOND, ' hour to second'],
  [R_MINUTE | R_SECOND, ' minute to second'],
]);

function typmodOut(typmod: number): string {
  if (typmod < 0) return '';
  const range = (typmod >> 16) & FULL_RANGE;
  const name = range === FULL_RANGE ? '' : RANGE_NAMES.get(range);
  if (name === undefined) throw ereport(ERRCODE.INTERNAL_ERROR, `invalid INTERVAL typmod: 0x${typmod.toString(16)}`);
  const precision = typmod & 0xffff;
  return precision === FULL_PRECISION ? name : `${name}(${precision})`;
}

function makeFromParts(
  years: number,
  months: number,
  weeks: number,
  days: number,
  hours: number,
  mins: number,
  secs: number,
): Uint8Array {
  if (!Number.isFinite(secs)) throw intervalRange();
  const micros = rint(secs * 1000000);
  return makeInterval(
    years * 12 + months,
    weeks * 7 + days,
    BigInt(hours) * USECS_PER_HOUR + BigInt(mins) * USECS_PER_MINUTE + BigInt(micros),
  );
}

type Bytes = Uint8Array;

export const intervalFunctions: FunctionTable = {
  interval_in: (fc: FunctionCall, text: Bytes, _elem: Datum, typmod: number) =>
    parseInterval(fc.settings, text, typmod),
  interval_out: (fc: FunctionCall, v: Bytes) => stringToText(formatInterval(v, fc.settings.intervalStyle)),
  interval_recv: (_fc: FunctionCall, bytes: Bytes, _elem: Datum, typmod: number) => {
    const view = wireView(bytes, 16);
    return adjustForTypmod(makeInterval(view.getInt32(12), view.getInt32(8), view.getBigInt64(0)), typmod);
  },
  interval_send: (_fc: FunctionCall, v: Bytes) => {
    const { months, days, time } = readInterval(v);
    const out = new Uint8Array(16);
    const view = viewOf(out);
    view.setBigInt64(0, time);
    view.setInt32(8, days);
    view.setInt32(12, months);
    return out;
  },
  interval_scale: (_fc: FunctionCall, v: Bytes, typmod: number) => adjustForTypmod(v, typmod),
  intervaltypmodin: (fc: FunctionCall, array: Bytes) => typmodIn(fc, array),
  intervaltypmodout: (_fc: FunctionCall, typmod: number) => stringToText(typmodOut(typmod)),

  interval_eq: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) === 0,
  interval_ne: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) !== 0,
  interval_lt: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) < 0,
  interval_le: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) <= 0,
  interval_gt: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) > 0,
  interval_ge: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) >= 0,
  interval_cmp: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b),
  interval_larger: (_fc: FunctionCall, a: Bytes, b: Bytes) => (compare(a, b) > 0 ? a : b),
  interval_smaller: (_fc: FunctionCall, a: Bytes, b: Bytes) => (compare(a, b) < 0 ? a : b),
  interval_finite: () => true,
  interval_pl: (_fc: FunctionCall, a: Bytes, b: Bytes) => addIntervals(a, b, 1),
  interval_mi: (_fc: FunctionCall, a: Bytes, b: Bytes) => addIntervals(a, b, -1),
  interval_um: (_fc: FunctionCall, a: Bytes) => {
    const v = readInterval(a);
    return makeInterval(-v.months + 0, -v.days + 0, -v.time);
  },
  interval_mul: (_fc: FunctionCall, a: Bytes, factor: number) => scaleInterval(a, x => x * factor),
  mul_d_interval: (_fc: FunctionCall, factor: number, a: Bytes) => scaleInterval(a, x => x * factor),
  interval_div: (_fc: FunctionCall, a: Bytes, factor: number) => {
    if (factor === 0) throw ereport(ERRCODE.DIVISION_BY_ZERO, 'division by zero');
    return scaleInterval(a, x => x / factor);
  },
  interval_justify_hours: (_fc: FunctionCall, a: Bytes) => rebuild(justifyHours(readInterval(a))),
  interval_justify_days: (_fc: FunctionCall, a: Bytes) => rebuild(justifyDays(readInterval(a), 0n)),
  interval_justify_interval: (_fc: FunctionCall, a: Bytes) => rebuild(justifyInterval(readInterval(a))),
  interval_trunc: (_fc: FunctionCall, unit: Bytes, a: Bytes) => truncateTo(unitName(unit), a),
  extract_interval: (_fc: FunctionCall, unit: Bytes, a: Bytes) => {
    const part = intervalPart(unitName(unit), a);
    return packNumeric(finite(part.n, part.scale));
  },
  interval_part: (_fc: FunctionCall, unit: Bytes, a: Bytes) => {
    const name = unitName(unit);
    const part = intervalPart(name, a);
    if (extractUnit(name) !== 'epoch') return Number(part.n) / 10 ** part.scale;
    const v = readInterval(a);
    let r = Number(v.time) / 1000000;
    r += 365.25 * 86400 * Math.trunc(v.months / 12);
    r += 30 * 86400 * (v.months % 12);
    return r + 86400 * v.days;
  },
  make_interval: (
    _fc: FunctionCall,
    years: number,
    months: number,
    weeks: number,
    days: number,
    hours: number,
    mins: number,
    secs: number,
  ) => makeFromParts(years, months, weeks, days, hours, mins, secs),
  interval_time: (_fc: FunctionCall, a: Bytes) => {
    const { time } = readInterval(a);
    const rest = time % USECS_PER_DAY;
    return Number(rest < 0n ? rest + USECS_PER_DAY : rest);
  },
  in_range_interval_interval: (
    _fc: FunctionCall,
    val: Bytes,
    base: Bytes,
    offset: Bytes,
    sub: boolean,
    less: boolean,
  ) => {
    if (intervalLength(offset) < 0n)
      throw ereport(
        ERRCODE.INVALID_PRECEDING_OR_FOLLOWING_SIZE,
        'invalid preceding or following size in window function',
      );
    const order = compare(val, addIntervals(base, offset, sub ? -1 : 1));
    return less ? order <= 0 : order >= 0;
  },
};
