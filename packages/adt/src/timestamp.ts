/**
 * timestamp and timestamptz: microseconds since 2000-01-01, local or UTC. A value is a number
 * while safe (the years 1715 to 2285) and a bigint beyond.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { FunctionCall, FunctionTable, SessionSettings, SetFunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import {
  addMicros,
  date2j,
  daysInMonth,
  DT_NOBEGIN,
  DT_NOEND,
  isValidJulian,
  isValidTimestamp,
  j2date,
  joinTimestamp,
  newTm,
  POSTGRES_EPOCH_JDATE,
  POSTGRES_EPOCH_UNIX,
  splitDays,
  splitTime,
  splitTimestamp,
  timestampNotFinite,
  type Timestamp,
  timestampToTm,
  type Tm,
  tmToTimestamp,
  USECS_PER_DAY,
  USECS_PER_SEC,
} from './calendar.ts';
import { decodeDateTime, decoding, parseDateTime, sessionZone, zoneByName } from './datetime.ts';
import { abbreviationOffset, offsetAtInstant } from './tzabbrevs.ts';
import { displacement } from './displacement.ts';
import { encodeDateTime } from './datetime_out.ts';
import {
  deltaUnit,
  extractUnit,
  unitName,
  unitNotRecognized,
  unitNotSupported,
  unknownUnit,
} from './datetime_units.ts';
import { formatFloat8, rint } from './float.ts';
import { intervalLength, intervalRange, intervalZone, makeInterval, readInterval } from './interval.ts';
import { int8Datum } from './numutils.ts';
import { determineTimeZoneOffset, findZone, unixSecondsOf, type Zone } from './pgtz.ts';
import { recvInt64, sendInt64 } from './pqwire.ts';
import {
  scalarCmp,
  scalarEq,
  scalarGe,
  scalarGt,
  scalarLarger,
  scalarLe,
  scalarLt,
  scalarNe,
  scalarSmaller,
} from './scalarcompare.ts';
import {
  datePart,
  epochPart,
  infinitePart,
  julianPart,
  type Part,
  partToNumeric,
  timePart,
  truncateTm,
  wholePart,
} from './timestamp_parts.ts';
import { parseTypmods, timePrecision } from './typmod.ts';
import { ZONE_NAMES } from './tznames.ts';
import { zoneAbbreviations } from './tzabbrevs.ts';

type Bytes = Uint8Array;

export const timestampRange = (): PgError => ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'timestamp out of range');

const ROUND_TO = [1000000, 100000, 10000, 1000, 100, 10, 1];

/** timestamp(p): rounds half away from zero; `typmod` -1 leaves it alone. */
export function adjustTimestampForTypmod(t: Timestamp, typmod: number): Timestamp {
  if (typmod === -1 || typmod === 6 || timestampNotFinite(t)) return t;
  if (typmod < 0 || typmod > 6)
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `timestamp(${typmod}) precision must be between 0 and 6`);
  const unit = BigInt(ROUND_TO[typmod]);
  const v = BigInt(t);
  return int8Datum(v >= 0n ? ((v + unit / 2n) / unit) * unit : -(((-v + unit / 2n) / unit) * unit));
}

/** Local time of an instant, and the zone's offset then, seconds west. */
export function localTm(t: Timestamp, zone: Zone): { tm: Tm; tz: number; unix: number } {
  const unix = unixSecondsOf(t);
  const tz = 0 - zone.offsetAt(unix);
  // The first instant is the day before in the west.
  const tm = timestampToTm(addMicros(t, -tz * USECS_PER_SEC), -1);
  if (!tm) throw timestampRange();
  return { tm, tz, unix };
}

export function tmOf(t: Timestamp): Tm {
  const tm = timestampToTm(t);
  if (!tm) throw timestampRange();
  return tm;
}

export function fromTm(tm: Tm, tz = 0): Timestamp {
  const t = tmToTimestamp(tm, tz);
  if (t === undefined) throw timestampRange();
  return t;
}

function parseTimestamp(settings: SessionSettings, text: Bytes, typmod: number, withZone: boolean): Timestamp {
  const typeName = withZone ? 'timestamp with time zone' : 'timestamp';
  const result = decoding(text, typeName, (): Timestamp => {
    const d = decodeDateTime(parseDateTime(text), settings);
    switch (d.dtype) {
      case 'epoch':
        return -POSTGRES_EPOCH_UNIX * USECS_PER_SEC;
      case 'infinity':
        return DT_NOEND;
      case '-infinity':
        return DT_NOBEGIN;
      case 'time':
        // A time without a date is no timestamp.
        throw ereport(
          ERRCODE.INVALID_DATETIME_FORMAT,
          `invalid input syntax for type ${typeName}: "${textToString(text)}"`,
        );
      case 'date': {
        const t = tmToTimestamp(d.tm, withZone ? d.tz : 0);
        if (t === undefined)
          throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, `timestamp out of range: "${textToString(text)}"`);
        return t;
      }
    }
  });
  return adjustTimestampForTypmod(result, typmod);
}

export function formatTimestamp(settings: SessionSettings, t: Timestamp, style = settings.dateStyle): string {
  if (timestampNotFinite(t)) return t === DT_NOEND ? 'infinity' : '-infinity';
  return encodeDateTime(tmOf(t), style, settings.dateOrder);
}

export function formatTimestampTz(settings: SessionSettings, t: Timestamp, style = settings.dateStyle): string {
  if (timestampNotFinite(t)) return t === DT_NOEND ? 'infinity' : '-infinity';
  const zone = sessionZone(settings);
  const { tm, tz, unix } = localTm(t, zone);
  return encodeDateTime(tm, style, settings.dateOrder, tz, style === 'ISO' ? undefined : zone.abbrevAt(unix));
}

function typmodIn(fc: FunctionCall, array: Bytes, name: string): number {
  const mods = parseTypmods(array);
  if (mods.length !== 1) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'invalid type modifier');
  return timePrecision(fc, mods[0], name);
}

/** The instant a local timestamp means in a zone. */
function localToInstant(t: Timestamp, zone: Zone): Timestamp {
  if (timestampNotFinite(t)) return t;
  const tm = tmOf(t);
  const r = addMicros(t, determineTimeZoneOffset(tm, zone) * USECS_PER_SEC);
  if (!isValidTimestamp(r)) throw timestampRange();
  return r;
}

/** As `localToInstant`, beyond the type's range too: good for comparing only. */
function comparedInstant(t: Timestamp, zone: Zone): Timestamp {
  return timestampNotFinite(t) ? t : addMicros(t, determineTimeZoneOffset(tmOf(t), zone) * USECS_PER_SEC);
}

/** Local time of an instant as a timestamp. */
export function instantToLocal(t: Timestamp, zone: Zone): Timestamp {
  if (timestampNotFinite(t)) return t;
  const r = addMicros(t, zone.offsetAt(unixSecondsOf(t)) * USECS_PER_SEC);
  if (!isValidTimestamp(r)) throw timestampRange();
  return r;
}

/** AT TIME ZONE with a zone's name or abbreviation. */
function atZone(name: Bytes, t: Timestamp, toInstant: boolean): Timestamp {
  if (timestampNotFinite(t)) return t;
  const found = zoneByName(textToString(name));
  if ('zone' in found) return toInstant ? localToInstant(t, found.zone) : instantToLocal(t, found.zone);
  const { abbreviation } = found;
  const offset = toInstant
    ? 0 - abbreviationOffset(abbreviation, tmOf(t))
    : offsetAtInstant(abbreviation, unixSecondsOf(t));
  const r = addMicros(t, offset * USECS_PER_SEC * (toInstant ? -1 : 1));
  if (!isValidTimestamp(r)) throw timestampRange();
  return r;
}

/** AT TIME ZONE with an interval. */
function atInterval(fc: FunctionCall, zone: Bytes, t: Timestamp, toInstant: boolean): Timestamp {
  if (timestampNotFinite(t)) return t;
  const shift = intervalZone(fc, zone);
  const r = addMicros(t, int8Datum((toInstant ? -shift : shift) * 1000000n));
  if (!isValidTimestamp(r)) throw timestampRange();
  return r;
}

function addMonths(tm: Tm, months: number): void {
  tm.mon += months;
  if (tm.mon > 12) {
    tm.year += Math.trunc((tm.mon - 1) / 12);
    tm.mon = ((tm.mon - 1) % 12) + 1;
  } else if (tm.mon < 1) {
    tm.year += Math.trunc(tm.mon / 12) - 1;
    tm.mon = (tm.mon % 12) + 12;
  }
  tm.mday = Math.min(tm.mday, daysInMonth(tm.year, tm.mon));
}

/** timestamp + interval: months, then days, then time. */
export function timestampPlusInterval(t: Timestamp, span: Bytes, sign: 1 | -1): Timestamp {
  if (timestampNotFinite(t)) return t;
  const v = readInterval(span);
  let r = t;
  if (v.months !== 0) {
    const tm = tmOf(r);
    addMonths(tm, sign * v.months);
    r = fromTm(tm);
  }
  if (v.days !== 0) {
    splitTimestamp(r);
    const days = splitDays + sign * v.days;
    if (days + POSTGRES_EPOCH_JDATE < 0 || days + POSTGRES_EPOCH_JDATE > 0x7fffffff) throw timestampRange();
    r = joinTimestamp(days, splitTime);
    if (!isValidTimestamp(r)) throw timestampRange();
  }
  r = addMicros(r, int8Datum(sign > 0 ? v.time : -v.time));
  if (!isValidTimestamp(r)) throw timestampRange();
  return r;
}

/** timestamptz + interval: months and days in local time, so that noon stays noon. */
function timestamptzPlusInterval(settings: SessionSettings, t: Timestamp, span: Bytes, sign: 1 | -1): Timestamp {
  if (timestampNotFinite(t)) return t;
  const v = readInterval(span);
  const zone = sessionZone(settings);
  let r = t;
  if (v.months !== 0) {
    const { tm } = localTm(r, zone);
    addMonths(tm, sign * v.months);
    r = fromTm(tm, determineTimeZoneOffset(tm, zone));
  }
  if (v.days !== 0) {
    const { tm } = localTm(r, zone);
    const julian = date2j(tm.year, tm.mon, tm.mday) + sign * v.days;
    if (julian < 0 || julian > 0x7fffffff) throw timestampRange();
    j2date(julian, tm);
    r = fromTm(tm, determineTimeZoneOffset(tm, zone));
  }
  r = addMicros(r, int8Datum(sign > 0 ? v.time : -v.time));
  if (!isValidTimestamp(r)) throw timestampRange();
  return r;
}

/** timestamp - timestamp: days and time, as justify_hours leaves it. */
function timestampMinus(a: Timestamp, b: Timestamp): Bytes {
  if (timestampNotFinite(a) || timestampNotFinite(b))
    throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'cannot subtract infinite timestamps');
  // PostgreSQL lets the difference wrap around.
  const diff = BigInt.asIntN(64, BigInt(a) - BigInt(b));
  const day = BigInt(USECS_PER_DAY);
  return makeInterval(0, Number(diff / day), diff % day);
}

/** Symbolic difference: years, months, days as a calendar counts them. */
function age(a: Timestamp, b: Timestamp, x: Tm, y: Tm): Bytes {
  const less = a < b;
  const s = less ? -1 : 1;
  let usec = s * (x.fsec - y.fsec);
  let sec = s * (x.sec - y.sec);
  let min = s * (x.min - y.min);
  let hour = s * (x.hour - y.hour);
  let mday = s * (x.mday - y.mday);
  let mon = s * (x.mon - y.mon);
  let year = s * (x.year - y.year);
  if (usec < 0) {
    usec += 1000000;
    sec--;
  }
  if (sec < 0) {
    sec += 60;
    min--;
  }
  if (min < 0) {
    min += 60;
    hour--;
  }
  if (hour < 0) {
    hour += 24;
    mday--;
  }
  while (mday < 0) {
    mday += less ? daysInMonth(x.year, x.mon) : daysInMonth(y.year, y.mon);
    mon--;
  }
  while (mon < 0) {
    mon += 12;
    year--;
  }
  const time = ((BigInt(hour) * 60n + BigInt(min)) * 60n + BigInt(sec)) * 1000000n + BigInt(usec);
  return makeInterval(s * (year * 12 + mon) + 0, s * mday + 0, s < 0 ? -time : time);
}

function bin(stride: Bytes, t: Timestamp, origin: Timestamp): Timestamp {
  if (timestampNotFinite(t)) return t;
  if (timestampNotFinite(origin)) throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'origin out of range');
  const v = readInterval(stride);
  if (v.months !== 0)
    throw ereport(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      'timestamps cannot be binned into intervals containing months or years',
    );
  const step = BigInt(v.days) * BigInt(USECS_PER_DAY) + v.time;
  if (BigInt.asIntN(64, step) !== step) throw intervalRange();
  if (step <= 0n) throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'stride must be greater than zero');
  const diff = BigInt(t) - BigInt(origin);
  if (BigInt.asIntN(64, diff) !== diff) throw intervalRange();
  const modulo = diff % step;
  const r = BigInt(origin) + diff - modulo - (modulo < 0n ? step : 0n);
  if (modulo < 0n && !isValidTimestamp(r)) throw timestampRange();
  return int8Datum(r);
}

const TIMESTAMP = 'timestamp without time zone';
const TIMESTAMPTZ = 'timestamp with time zone';

function timestampPart(name: string, t: Timestamp): Part | null {
  if (timestampNotFinite(t)) return infinitePart(name, t === DT_NOBEGIN, TIMESTAMP);
  const unit = extractUnit(name);
  if (unit === undefined) throw unknownUnit(name, TIMESTAMP);
  if (unit === 'epoch') return epochPart(t);
  const tm = tmOf(t);
  const part = timePart(unit, tm) ?? datePart(unit, tm) ?? (unit === 'julian' ? julianPart(tm) : undefined);
  if (!part) throw unitNotSupported(name, TIMESTAMP);
  return part;
}

function timestamptzPart(settings: SessionSettings, name: string, t: Timestamp): Part | null {
  if (timestampNotFinite(t)) return infinitePart(name, t === DT_NOBEGIN, TIMESTAMPTZ);
  const unit = extractUnit(name);
  if (unit === undefined) throw unknownUnit(name, TIMESTAMPTZ);
  if (unit === 'epoch') return epochPart(t);
  const { tm, tz } = localTm(t, sessionZone(settings));
  if (unit === 'timezone') return wholePart(0 - tz);
  if (unit === 'timezone_minute') return wholePart((Math.trunc((0 - tz) / 60) % 60) + 0);
  if (unit === 'timezone_hour') return wholePart(Math.trunc((0 - tz) / 3600) + 0);
  const part = timePart(unit, tm) ?? datePart(unit, tm) ?? (unit === 'julian' ? julianPart(tm) : undefined);
  if (!part) throw unitNotSupported(name, TIMESTAMPTZ);
  return part;
}

function truncTimestamp(unitText: Bytes, t: Timestamp): Timestamp {
  if (timestampNotFinite(t)) return t;
  const name = unitName(unitText);
  const unit = deltaUnit(name);
  if (unit === undefined) throw unitNotRecognized(name, TIMESTAMP);
  const tm = tmOf(t);
  if (!truncateTm(unit, tm)) throw unitNotSupported(name, TIMESTAMP);
  return fromTm(tm);
}

function truncTimestamptz(unitText: Bytes, t: Timestamp, zone: Zone): Timestamp {
  if (timestampNotFinite(t)) return t;
  const name = unitName(unitText);
  const unit = deltaUnit(name);
  if (unit === undefined) throw unitNotRecognized(name, TIMESTAMPTZ);
  const { tm, tz } = localTm(t, zone);
  if (!truncateTm(unit, tm)) throw unitNotSupported(name, TIMESTAMPTZ);
  // From days up the offset may be another one than it was at the given time.
  const fine =
    unit === 'hour' || unit === 'minute' || unit === 'second' || unit === 'millisecond' || unit === 'microsecond';
  return fromTm(tm, fine ? tz : determineTimeZoneOffset(tm, zone));
}

function namedZone(name: Bytes): Zone {
  const found = zoneByName(textToString(name));
  if ('zone' in found) return found.zone;
  const { abbreviation } = found;
  const zone = abbreviation.zone === undefined ? undefined : findZone(abbreviation.zone);
  if (zone) return zone;
  const offset = abbreviation.offset ?? 0;
  return {
    name: abbreviation.abbrev,
    fixed: true,
    offsetAt: () => offset,
    abbrevAt: () => abbreviation.abbrev,
    isDstAt: () => abbreviation.isDst,
  };
}

function makeTimestamp(year: number, mon: number, mday: number, hour: number, min: number, sec: number): Tm {
  const tm = newTm();
  const shown = (n: number): string => String(n).padStart(2, '0');
  const dateText = `${year}-${shown(mon)}-${shown(mday)}`;
  let y = year;
  const bc = year < 0;
  if (bc) y = -year;
  if (y <= 0 || mon < 1 || mon > 12 || mday < 1 || mday > 31 || mday > daysInMonth(bc ? 1 - y : y, mon)) {
    throw ereport(ERRCODE.DATETIME_FIELD_OVERFLOW, `date field value out of range: ${dateText}`);
  }
  tm.year = bc ? 1 - y : y;
  tm.mon = mon;
  tm.mday = mday;
  if (!isValidJulian(tm.year, mon))
    throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, `date out of range: ${dateText}`);
  setTimeFields(tm, hour, min, sec);
  return tm;
}

/** make_time's check: seconds may round up to 60. */
export function setTimeFields(tm: Tm, hour: number, min: number, sec: number): void {
  const micros = rint(sec * 1000000);
  const total = (hour * 60 + min) * 60 * 1000000 + micros;
  if (
    !Number.isFinite(sec) ||
    hour < 0 ||
    hour > 24 ||
    min < 0 ||
    min > 59 ||
    micros < 0 ||
    micros > 60000000 ||
    total > USECS_PER_DAY
  ) {
    throw ereport(
      ERRCODE.DATETIME_FIELD_OVERFLOW,
      `time field value out of range: ${hour}:${String(min).padStart(2, '0')}:${cSeconds(sec)}`,
    );
  }
  tm.hour = hour;
  tm.min = min;
  tm.sec = Math.trunc(micros / 1000000);
  tm.fsec = micros % 1000000;
}

/** %02g: six significant digits. */
function cSeconds(sec: number): string {
  const text = formatFloat8(sec, -9);
  return text.length < 2 ? `0${text}` : text;
}

/** Offset west of a make_timestamptz zone: a displacement or a name. */
function zoneOffset(name: Bytes, tm: Tm): number {
  return displacement(textToString(name)) ?? determineTimeZoneOffset(tm, namedZone(name));
}

/** (s1,e1) OVERLAPS (s2,e2) over any ordered values; null endpoints as the standard has them. */
export function overlaps<T>(
  s1: T | null,
  e1: T | null,
  s2: T | null,
  e2: T | null,
  less: (a: T, b: T) => boolean,
): boolean | null {
  const order = (s: T | null, e: T | null): readonly [T, T | null] | null => {
    if (s === null) return e === null ? null : [e, null];
    if (e === null) return [s, null];
    return less(e, s) ? [e, s] : [s, e];
  };
  const a = order(s1, e1);
  const b = order(s2, e2);
  if (!a || !b) return null;
  if (less(b[0], a[0])) {
    if (b[1] === null) return null;
    if (less(a[0], b[1])) return true;
    return a[1] === null ? null : false;
  }
  if (less(a[0], b[0])) {
    if (a[1] === null) return null;
    if (less(b[0], a[1])) return true;
    return b[1] === null ? null : false;
  }
  return a[1] === null || b[1] === null ? null : true;
}

function inRange(
  fc: FunctionCall,
  val: Timestamp,
  base: Timestamp,
  offset: Bytes,
  sub: boolean,
  less: boolean,
  withZone: boolean,
): boolean {
  if (intervalLength(offset) < 0n)
    throw ereport(
      ERRCODE.INVALID_PRECEDING_OR_FOLLOWING_SIZE,
      'invalid preceding or following size in window function',
    );
  const sum = withZone
    ? timestamptzPlusInterval(fc.settings, base, offset, sub ? -1 : 1)
    : timestampPlusInterval(base, offset, sub ? -1 : 1);
  return less ? val <= sum : val >= sum;
}

const fromUnixSeconds = (seconds: number): Timestamp => {
  if (Number.isNaN(seconds)) throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'timestamp cannot be NaN');
  if (!Number.isFinite(seconds)) return seconds > 0 ? DT_NOEND : DT_NOBEGIN;
  const outOfRange = (): PgError =>
    ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, `timestamp out of range: "${formatFloat8(seconds, -9)}"`);
  if (seconds < 86400 * -2440588 || seconds >= 86400 * (109203528 - 2440588)) throw outOfRange();
  const micros = rint((seconds - POSTGRES_EPOCH_UNIX) * 1000000);
  const t = Number.isSafeInteger(micros) ? micros : int8Datum(BigInt(micros));
  if (!isValidTimestamp(t)) throw outOfRange();
  return t;
};

const zoneOf = (fc: FunctionCall): Zone => sessionZone(fc.settings);

export const timestampFunctions: FunctionTable = {
  timestamp_in: (fc: FunctionCall, text: Bytes, _elem: Datum, typmod: number) =>
    parseTimestamp(fc.settings, text, typmod, false),
  timestamp_out: (fc: FunctionCall, t: Timestamp) => stringToText(formatTimestamp(fc.settings, t)),
  timestamp_recv: (_fc: FunctionCall, bytes: Bytes, _elem: Datum, typmod: number) => receive(bytes, typmod),
  timestamp_send: (_fc: FunctionCall, t: Timestamp) => sendInt64(t),
  timestamp_scale: (_fc: FunctionCall, t: Timestamp, typmod: number) => adjustTimestampForTypmod(t, typmod),
  timestamptypmodin: (fc: FunctionCall, array: Bytes) => typmodIn(fc, array, 'TIMESTAMP(%d)'),
  timestamptypmodout: (_fc: FunctionCall, typmod: number) =>
    stringToText(`${typmod >= 0 ? `(${typmod})` : ''} without time zone`),
  timestamptz_in: (fc: FunctionCall, text: Bytes, _elem: Datum, typmod: number) =>
    parseTimestamp(fc.settings, text, typmod, true),
  timestamptz_out: (fc: FunctionCall, t: Timestamp) => stringToText(formatTimestampTz(fc.settings, t)),
  timestamptz_recv: (_fc: FunctionCall, bytes: Bytes, _elem: Datum, typmod: number) => receive(bytes, typmod),
  timestamptz_send: (_fc: FunctionCall, t: Timestamp) => sendInt64(t),
  timestamptz_scale: (_fc: FunctionCall, t: Timestamp, typmod: number) => adjustTimestampForTypmod(t, typmod),
  timestamptztypmodin: (fc: FunctionCall, array: Bytes) => typmodIn(fc, array, 'TIMESTAMP(%d) WITH TIME ZONE'),
  timestamptztypmodout: (_fc: FunctionCall, typmod: number) =>
    stringToText(`${typmod >= 0 ? `(${typmod})` : ''} with time zone`),

  timestamp_eq: scalarEq,
  timestamp_ne: scalarNe,
  timestamp_lt: scalarLt,
  timestamp_le: scalarLe,
  timestamp_gt: scalarGt,
  timestamp_ge: scalarGe,
  timestamp_cmp: scalarCmp,
  timestamp_larger: scalarLarger,
  timestamp_smaller: scalarSmaller,
  timestamp_finite: (_fc: FunctionCall, t: Timestamp) => !timestampNotFinite(t),
  timestamp_eq_timestamptz: (fc: FunctionCall, a: Timestamp, b: Timestamp) => comparedInstant(a, zoneOf(fc)) === b,
  timestamp_ne_timestamptz: (fc: FunctionCall, a: Timestamp, b: Timestamp) => comparedInstant(a, zoneOf(fc)) !== b,
  timestamp_lt_timestamptz: (fc: FunctionCall, a: Timestamp, b: Timestamp) => comparedInstant(a, zoneOf(fc)) < b,
  timestamp_le_timestamptz: (fc: FunctionCall, a: Timestamp, b: Timestamp) => comparedInstant(a, zoneOf(fc)) <= b,
  timestamp_gt_timestamptz: (fc: FunctionCall, a: Timestamp, b: Timestamp) => comparedInstant(a, zoneOf(fc)) > b,
  timestamp_ge_timestamptz: (fc: FunctionCall, a: Timestamp, b: Timestamp) => comparedInstant(a, zoneOf(fc)) >= b,
  timestamp_cmp_timestamptz: (fc: FunctionCall, a: Timestamp, b: Timestamp) =>
    scalarCmp(fc, comparedInstant(a, zoneOf(fc)), b),
  timestamptz_eq_timestamp: (fc: FunctionCall, a: Timestamp, b: Timestamp) => a === comparedInstant(b, zoneOf(fc)),
  timestamptz_ne_timestamp: (fc: FunctionCall, a: Timestamp, b: Timestamp) => a !== comparedInstant(b, zoneOf(fc)),
  timestamptz_lt_timestamp: (fc: FunctionCall, a: Timestamp, b: Timestamp) => a < comparedInstant(b, zoneOf(fc)),
  timestamptz_le_timestamp: (fc: FunctionCall, a: Timestamp, b: Timestamp) => a <= comparedInstant(b, zoneOf(fc)),
  timestamptz_gt_timestamp: (fc: FunctionCall, a: Timestamp, b: Timestamp) => a > comparedInstant(b, zoneOf(fc)),
  timestamptz_ge_timestamp: (fc: FunctionCall, a: Timestamp, b: Timestamp) => a >= comparedInstant(b, zoneOf(fc)),
  timestamptz_cmp_timestamp: (fc: FunctionCall, a: Timestamp, b: Timestamp) =>
    scalarCmp(fc, a, comparedInstant(b, zoneOf(fc))),

  timestamp_pl_interval: (_fc: FunctionCall, t: Timestamp, span: Bytes) => timestampPlusInterval(t, span, 1),
  timestamp_mi_interval: (_fc: FunctionCall, t: Timestamp, span: Bytes) => timestampPlusInterval(t, span, -1),
  timestamptz_pl_interval: (fc: FunctionCall, t: Timestamp, span: Bytes) =>
    timestamptzPlusInterval(fc.settings, t, span, 1),
  timestamptz_mi_interval: (fc: FunctionCall, t: Timestamp, span: Bytes) =>
    timestamptzPlusInterval(fc.settings, t, span, -1),
  timestamp_mi: (_fc: FunctionCall, a: Timestamp, b: Timestamp) => timestampMinus(a, b),
  timestamp_age: (_fc: FunctionCall, a: Timestamp, b: Timestamp) => age(a, b, tmOf(a), tmOf(b)),
  timestamptz_age: (fc: FunctionCall, a: Timestamp, b: Timestamp) => {
    const zone = zoneOf(fc);
    return age(a, b, localTm(a, zone).tm, localTm(b, zone).tm);
  },
  timestamp_bin: (_fc: FunctionCall, stride: Bytes, t: Timestamp, origin: Timestamp) => bin(stride, t, origin),
  timestamptz_bin: (_fc: FunctionCall, stride: Bytes, t: Timestamp, origin: Timestamp) => bin(stride, t, origin),
  timestamp_trunc: (_fc: FunctionCall, unit: Bytes, t: Timestamp) => truncTimestamp(unit, t),
  timestamptz_trunc: (fc: FunctionCall, unit: Bytes, t: Timestamp) => truncTimestamptz(unit, t, zoneOf(fc)),
  timestamptz_trunc_zone: (_fc: FunctionCall, unit: Bytes, t: Timestamp, zone: Bytes) =>
    timestampNotFinite(t) ? t : truncTimestamptz(unit, t, namedZone(zone)),
  extract_timestamp: (_fc: FunctionCall, unit: Bytes, t: Timestamp) => partToNumeric(timestampPart(unitName(unit), t)),
  timestamp_part: (_fc: FunctionCall, unit: Bytes, t: Timestamp) => timestampPart(unitName(unit), t)?.float ?? null,
  extract_timestamptz: (fc: FunctionCall, unit: Bytes, t: Timestamp) =>
    partToNumeric(timestamptzPart(fc.settings, unitName(unit), t)),
  timestamptz_part: (fc: FunctionCall, unit: Bytes, t: Timestamp) =>
    timestamptzPart(fc.settings, unitName(unit), t)?.float ?? null,

  timestamp_timestamptz: (fc: FunctionCall, t: Timestamp) => localToInstant(t, zoneOf(fc)),
  timestamptz_timestamp: (fc: FunctionCall, t: Timestamp) => instantToLocal(t, zoneOf(fc)),
  timestamp_zone: (_fc: FunctionCall, zone: Bytes, t: Timestamp) => atZone(zone, t, true),
  timestamptz_zone: (_fc: FunctionCall, zone: Bytes, t: Timestamp) => atZone(zone, t, false),
  timestamp_izone: (fc: FunctionCall, zone: Bytes, t: Timestamp) => atInterval(fc, zone, t, true),
  timestamptz_izone: (fc: FunctionCall, zone: Bytes, t: Timestamp) => atInterval(fc, zone, t, false),
  float8_timestamptz: (_fc: FunctionCall, seconds: number) => fromUnixSeconds(seconds),
  make_timestamp: (_fc: FunctionCall, y: number, mo: number, d: number, h: number, mi: number, s: number) =>
    fromTm(makeTimestamp(y, mo, d, h, mi, s)),
  make_timestamptz: (fc: FunctionCall, y: number, mo: number, d: number, h: number, mi: number, s: number) => {
    const tm = makeTimestamp(y, mo, d, h, mi, s);
    return fromTm(tm, determineTimeZoneOffset(tm, zoneOf(fc)));
  },
  make_timestamptz_at_timezone: (
    _fc: FunctionCall,
    y: number,
    mo: number,
    d: number,
    h: number,
    mi: number,
    s: number,
    zone: Bytes,
  ) => {
    const tm = makeTimestamp(y, mo, d, h, mi, s);
    return fromTm(tm, zoneOffset(zone, tm));
  },
  overlaps_timestamp: (
    _fc: FunctionCall,
    s1: Timestamp | null,
    e1: Timestamp | null,
    s2: Timestamp | null,
    e2: Timestamp | null,
  ) => overlaps(s1, e1, s2, e2, (a, b) => a < b),
  in_range_timestamp_interval: (
    fc: FunctionCall,
    val: Timestamp,
    base: Timestamp,
    offset: Bytes,
    sub: boolean,
    less: boolean,
  ) => inRange(fc, val, base, offset, sub, less, false),
  in_range_timestamptz_interval: (
    fc: FunctionCall,
    val: Timestamp,
    base: Timestamp,
    offset: Bytes,
    sub: boolean,
    less: boolean,
  ) => inRange(fc, val, base, offset, sub, less, true),

  now: (fc: FunctionCall) => fc.settings.transactionTimestamp,
  statement_timestamp: (fc: FunctionCall) => fc.settings.statementTimestamp,
  clock_timestamp: (fc: FunctionCall) => fc.settings.clockTimestamp(),
  timeofday: (fc: FunctionCall) => {
    const t = fc.settings.clockTimestamp();
    const zone = zoneOf(fc);
    const { tm, unix } = localTm(t, zone);
    const text = encodeDateTime({ ...tm, fsec: 0 }, 'Postgres', 'MDY', undefined);
    const at = text.lastIndexOf(' ');
    return stringToText(
      `${text.slice(0, at)}.${String(tm.fsec).padStart(6, '0')}${text.slice(at)} ${zone.abbrevAt(unix)}`,
    );
  },
};

function receive(bytes: Bytes, typmod: number): Timestamp {
  const t = recvInt64(bytes);
  if (!timestampNotFinite(t) && !isValidTimestamp(t)) throw timestampRange();
  return adjustTimestampForTypmod(t, typmod);
}

function* series(
  start: Timestamp,
  stop: Timestamp,
  step: Bytes,
  next: (t: Timestamp) => Timestamp,
): Generator<Timestamp> {
  const sign = intervalLength(step);
  if (sign === 0n) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'step size cannot equal zero');
  for (let t = start; sign > 0n ? t <= stop : t >= stop; t = next(t)) yield t;
}

export const timestampSetFunctions: SetFunctionTable = {
  generate_series_timestamp: (_fc: FunctionCall, start: Timestamp, stop: Timestamp, step: Bytes) =>
    series(start, stop, step, t => timestampPlusInterval(t, step, 1)),
  generate_series_timestamptz: (fc: FunctionCall, start: Timestamp, stop: Timestamp, step: Bytes) =>
    series(start, stop, step, t => timestamptzPlusInterval(fc.settings, t, step, 1)),
  pg_timezone_names: (fc: FunctionCall) => {
    const now = unixSecondsOf(fc.settings.transactionTimestamp);
    return ZONE_NAMES.flatMap(name => {
      const zone = findZone(name);
      if (!zone) return [];
      const offset = makeInterval(0, 0, BigInt(zone.offsetAt(now)) * 1000000n);
      return [[stringToText(name), stringToText(zone.abbrevAt(now)), offset, zone.isDstAt(now)]];
    });
  },
  pg_timezone_abbrevs: (fc: FunctionCall) => {
    const now = unixSecondsOf(fc.settings.transactionTimestamp);
    return [...zoneAbbreviations().values()].map(a => {
      const zone = a.zone === undefined ? undefined : findZone(a.zone);
      const offset = a.offset ?? zone?.offsetAt(now) ?? 0;
      return [
        stringToText(a.abbrev),
        makeInterval(0, 0, BigInt(offset) * 1000000n),
        a.isDst || (zone?.isDstAt(now) ?? false),
      ];
    });
  },
};
