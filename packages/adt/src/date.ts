/**
 * date (days since 2000-01-01), time (microseconds of the day) and timetz.
 *
 * timetz payload (12 bytes, little-endian): 0 int64 time (µs)   8 int32 zone, seconds WEST of UTC
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { FunctionCall, FunctionTable, SessionSettings } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import {
  addMicros,
  date2j,
  DATE_END_JULIAN,
  DATEVAL_NOBEGIN,
  DATEVAL_NOEND,
  daysInMonth,
  DT_NOBEGIN,
  DT_NOEND,
  isValidJulian,
  isValidTimestamp,
  j2date,
  joinTimestamp,
  newTm,
  POSTGRES_EPOCH_JDATE,
  setTime,
  splitDays,
  splitTime,
  splitTimestamp,
  TIMESTAMP_END_JULIAN,
  type Timestamp,
  timestampNotFinite,
  timeOfTm,
  type Tm,
  UNIX_EPOCH_JDATE,
  USECS_PER_DAY,
  USECS_PER_SEC,
} from './calendar.ts';
import { decodeDateTime, decodeTimeOnly, decoding, parseDateTime, sessionZone, zoneByName } from './datetime.ts';
import { encodeDateOnly, encodeTimeOnly } from './datetime_out.ts';
import { extractUnit, unitName, unitNotRecognized, unitNotSupported, unknownUnit } from './datetime_units.ts';
import { intervalZone, makeInterval, readInterval } from './interval.ts';
import { offsetAtInstant } from './tzabbrevs.ts';
import { determineTimeZoneOffset, unixSecondsOf, type Zone } from './pgtz.ts';
import { recvInt32, sendInt32, sendInt64, viewOf, wireView } from './pqwire.ts';
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
  instantToLocal,
  localTm,
  overlaps,
  setTimeFields,
  timestampPlusInterval,
  timestampRange,
} from './timestamp.ts';
import {
  datePart,
  infinitePart,
  microsPart,
  type Part,
  partToNumeric,
  timePart,
  wholePart,
} from './timestamp_parts.ts';
import { parseTypmods, timePrecision } from './typmod.ts';

type Bytes = Uint8Array;

const dateRange = (): PgError => ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'date out of range');
const dateNotFinite = (d: number): boolean => d === DATEVAL_NOBEGIN || d === DATEVAL_NOEND;
export const isValidDate = (d: number): boolean =>
  d >= -POSTGRES_EPOCH_JDATE && d < DATE_END_JULIAN - POSTGRES_EPOCH_JDATE;

function tmOfDate(d: number): Tm {
  const tm = newTm();
  j2date(d + POSTGRES_EPOCH_JDATE, tm);
  return tm;
}

function parseDate(settings: SessionSettings, text: Bytes): number {
  const quoted = (): string => `"${textToString(text)}"`;
  return decoding(text, 'date', () => {
    const d = decodeDateTime(parseDateTime(text), settings);
    switch (d.dtype) {
      case 'epoch':
        return UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE;
      case 'infinity':
        return DATEVAL_NOEND;
      case '-infinity':
        return DATEVAL_NOBEGIN;
      case 'time':
        throw ereport(ERRCODE.INVALID_DATETIME_FORMAT, `invalid input syntax for type date: ${quoted()}`);
      case 'date': {
        if (!isValidJulian(d.tm.year, d.tm.mon))
          throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, `date out of range: ${quoted()}`);
        const date = date2j(d.tm.year, d.tm.mon, d.tm.mday) - POSTGRES_EPOCH_JDATE;
        if (!isValidDate(date)) throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, `date out of range: ${quoted()}`);
        return date;
      }
    }
  });
}

export function formatDate(settings: SessionSettings, d: number, style = settings.dateStyle): string {
  if (dateNotFinite(d)) return d === DATEVAL_NOEND ? 'infinity' : '-infinity';
  return encodeDateOnly(tmOfDate(d), style, settings.dateOrder);
}

const ROUND_TO = [1000000, 100000, 10000, 1000, 100, 10, 1];

/** time(p): half up. */
function adjustTime(time: number, typmod: number): number {
  if (typmod < 0 || typmod >= 6) return time;
  const unit = ROUND_TO[typmod];
  return Math.floor((time + unit / 2) / unit) * unit;
}

function dateToTimestamp(d: number): Timestamp {
  if (dateNotFinite(d)) return d === DATEVAL_NOEND ? DT_NOEND : DT_NOBEGIN;
  if (d >= TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE)
    throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'date out of range for timestamp');
  return joinTimestamp(d, 0);
}

function dateToTimestamptz(d: number, zone: Zone): Timestamp {
  if (dateNotFinite(d)) return dateToTimestamp(d);
  const tooFar = (): PgError => ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'date out of range for timestamp');
  if (d >= TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE) throw tooFar();
  const t = addMicros(joinTimestamp(d, 0), determineTimeZoneOffset(tmOfDate(d), zone) * USECS_PER_SEC);
  if (!isValidTimestamp(t)) throw tooFar();
  return t;
}

/** For comparison a date too far for a timestamp counts as infinite. */
function compareDateTimestamp(d: number, t: Timestamp): number {
  if (!dateNotFinite(d) && d >= TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE) return t === DT_NOEND ? -1 : 1;
  const x = dateToTimestamp(d);
  return x < t ? -1 : x > t ? 1 : 0;
}

function compareDateTimestamptz(d: number, t: Timestamp, zone: Zone): number {
  if (!dateNotFinite(d) && d >= TIMESTAMP_END_JULIAN - POSTGRES_EPOCH_JDATE) return t === DT_NOEND ? -1 : 1;
  if (dateNotFinite(d)) return compareDateTimestamp(d, t);
  const x = addMicros(joinTimestamp(d, 0), determineTimeZoneOffset(tmOfDate(d), zone) * USECS_PER_SEC);
  return x < t ? -1 : x > t ? 1 : 0;
}

function timestampToDate(t: Timestamp): number {
  if (timestampNotFinite(t)) return t === DT_NOEND ? DATEVAL_NOEND : DATEVAL_NOBEGIN;
  splitTimestamp(t);
  return splitDays;
}

function addDays(d: number, days: number): number {
  if (dateNotFinite(d)) return d;
  const r = d + days;
  if (!isValidDate(r)) throw dateRange();
  return r;
}

const microsOfDay = (t: Timestamp): number => {
  splitTimestamp(t);
  return splitTime;
};

/** time + interval wraps around midnight. */
function timePlus(time: number, span: Bytes, sign: 1 | -1): number {
  const shift = Number(readInterval(span).time % 86400000000n);
  const r = (time + sign * shift) % USECS_PER_DAY;
  return r < 0 ? r + USECS_PER_DAY : r + 0;
}

export interface TimeTz {
  readonly time: number;
  /** Seconds west of UTC. */
  readonly zone: number;
}

export function readTimeTz(bytes: Bytes): TimeTz {
  const view = viewOf(bytes);
  return { time: Number(view.getBigInt64(0, true)), zone: view.getInt32(8, true) };
}

function makeTimeTz(time: number, zone: number): Bytes {
  const out = new Uint8Array(12);
  const view = viewOf(out);
  view.setBigInt64(0, BigInt(time), true);
  view.setInt32(8, zone, true);
  return out;
}

/** By the instant; equal instants by zone, west first … as PostgreSQL orders them. */
function compareTimeTz(a: Bytes, b: Bytes): number {
  const x = readTimeTz(a);
  const y = readTimeTz(b);
  const t1 = x.time + x.zone * USECS_PER_SEC;
  const t2 = y.time + y.zone * USECS_PER_SEC;
  return t1 !== t2 ? (t1 < t2 ? -1 : 1) : x.zone < y.zone ? -1 : x.zone > y.zone ? 1 : 0;
}

function tmOfTime(time: number): Tm {
  const tm = newTm();
  setTime(tm, time);
  return tm;
}

function typmodIn(fc: FunctionCall, array: Bytes, withZone: boolean): number {
  const mods = parseTypmods(array);
  if (mods.length !== 1) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'invalid type modifier');
  return timePrecision(fc, mods[0], withZone ? 'TIME(%d) WITH TIME ZONE' : 'TIME(%d)');
}

function extractDate(name: string, d: number): Part | null {
  const unit = extractUnit(name);
  if (dateNotFinite(d)) {
    if (
      unit !== undefined &&
      [
        'hour',
        'minute',
        'second',
        'millisecond',
        'microsecond',
        'timezone',
        'timezone_hour',
        'timezone_minute',
      ].includes(unit)
    )
      throw unitNotSupported(name, 'date');
    return infinitePart(name, d === DATEVAL_NOBEGIN, 'date');
  }
  if (unit === undefined) throw unknownUnit(name, 'date');
  if (unit === 'epoch') return wholePart((d + POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * 86400);
  if (unit === 'julian') return wholePart(d + POSTGRES_EPOCH_JDATE);
  const part = datePart(unit, tmOfDate(d));
  if (!part) throw unitNotSupported(name, 'date');
  return part;
}

const TIME = 'time without time zone';
const TIMETZ = 'time with time zone';

function extractTime(name: string, time: number, zone: number | undefined): Part {
  const typeName = zone === undefined ? TIME : TIMETZ;
  const unit = extractUnit(name);
  if (unit === undefined) throw unitNotRecognized(name, typeName);
  if (unit === 'epoch') {
    const micros = time + (zone ?? 0) * USECS_PER_SEC;
    return microsPart(BigInt(micros), 6, zone === undefined ? time / 1000000 : time / 1000000 + zone);
  }
  if (zone !== undefined) {
    if (unit === 'timezone') return wholePart(0 - zone);
    if (unit === 'timezone_minute') return wholePart((Math.trunc((0 - zone) / 60) % 60) + 0);
    if (unit === 'timezone_hour') return wholePart(Math.trunc((0 - zone) / 3600) + 0);
  }
  const part = timePart(unit, tmOfTime(time));
  if (!part) throw unitNotSupported(name, typeName);
  return part;
}

/** timetz AT TIME ZONE. The rules of a named zone are those of today. */
function moveTimeTz(fc: FunctionCall, value: Bytes, name: Bytes): Bytes {
  const found = zoneByName(textToString(name));
  const now = unixSecondsOf(fc.settings.transactionTimestamp);
  const offset = 'zone' in found ? found.zone.offsetAt(now) : offsetAtInstant(found.abbreviation, now);
  return shiftTimeTz(value, 0 - offset);
}

function shiftTimeTz(value: Bytes, tz: number): Bytes {
  const v = readTimeTz(value);
  const time = (v.time + (v.zone - tz) * USECS_PER_SEC) % USECS_PER_DAY;
  return makeTimeTz(time < 0 ? time + USECS_PER_DAY : time + 0, tz);
}

const zoneOf = (fc: FunctionCall): Zone => sessionZone(fc.settings);

export const dateFunctions: FunctionTable = {
  date_in: (fc: FunctionCall, text: Bytes) => parseDate(fc.settings, text),
  date_out: (fc: FunctionCall, d: number) => stringToText(formatDate(fc.settings, d)),
  date_recv: (_fc: FunctionCall, bytes: Bytes) => {
    const d = recvInt32(bytes);
    if (!dateNotFinite(d) && !isValidDate(d)) throw dateRange();
    return d;
  },
  date_send: (_fc: FunctionCall, d: number) => sendInt32(d),
  date_eq: scalarEq,
  date_ne: scalarNe,
  date_lt: scalarLt,
  date_le: scalarLe,
  date_gt: scalarGt,
  date_ge: scalarGe,
  date_cmp: scalarCmp,
  date_larger: scalarLarger,
  date_smaller: scalarSmaller,
  date_finite: (_fc: FunctionCall, d: number) => !dateNotFinite(d),
  date_mi: (_fc: FunctionCall, a: number, b: number) => {
    if (dateNotFinite(a) || dateNotFinite(b))
      throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'cannot subtract infinite dates');
    return a - b;
  },
  date_pli: (_fc: FunctionCall, d: number, days: number) => addDays(d, days),
  date_mii: (_fc: FunctionCall, d: number, days: number) => addDays(d, -days),
  date_pl_interval: (_fc: FunctionCall, d: number, span: Bytes) => timestampPlusInterval(dateToTimestamp(d), span, 1),
  date_mi_interval: (_fc: FunctionCall, d: number, span: Bytes) => timestampPlusInterval(dateToTimestamp(d), span, -1),
  extract_date: (_fc: FunctionCall, unit: Bytes, d: number) => partToNumeric(extractDate(unitName(unit), d)),
  make_date: (_fc: FunctionCall, year: number, mon: number, mday: number) => {
    const bc = year < 0;
    const y = bc ? -year : year;
    const shown = (n: number): string => String(n).padStart(2, '0');
    const internal = bc ? 1 - y : y;
    const text = `${internal}-${shown(mon)}-${shown(mday)}`;
    if (y <= 0 || mon < 1 || mon > 12 || mday < 1 || mday > 31 || mday > daysInMonth(internal, mon)) {
      throw ereport(ERRCODE.DATETIME_FIELD_OVERFLOW, `date field value out of range: ${text}`);
    }
    const d = date2j(internal, mon, mday) - POSTGRES_EPOCH_JDATE;
    if (!isValidJulian(internal, mon) || !isValidDate(d))
      throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, `date out of range: ${text}`);
    return d;
  },

  date_timestamp: (_fc: FunctionCall, d: number) => dateToTimestamp(d),
  date_timestamptz: (fc: FunctionCall, d: number) => dateToTimestamptz(d, zoneOf(fc)),
  timestamp_date: (_fc: FunctionCall, t: Timestamp) => timestampToDate(t),
  timestamptz_date: (fc: FunctionCall, t: Timestamp) => timestampToDate(instantToLocal(t, zoneOf(fc))),
  date_eq_timestamp: (_fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamp(d, t) === 0,
  date_ne_timestamp: (_fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamp(d, t) !== 0,
  date_lt_timestamp: (_fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamp(d, t) < 0,
  date_le_timestamp: (_fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamp(d, t) <= 0,
  date_gt_timestamp: (_fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamp(d, t) > 0,
  date_ge_timestamp: (_fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamp(d, t) >= 0,
  date_cmp_timestamp: (_fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamp(d, t),
  timestamp_eq_date: (_fc: FunctionCall, t: Timestamp, d: number) => compareDateTimestamp(d, t) === 0,
  timestamp_ne_date: (_fc: FunctionCall, t: Timestamp, d: number) => compareDateTimestamp(d, t) !== 0,
  timestamp_lt_date: (_fc: FunctionCall, t: Timestamp, d: number) => compareDateTimestamp(d, t) > 0,
  timestamp_le_date: (_fc: FunctionCall, t: Timestamp, d: number) => compareDateTimestamp(d, t) >= 0,
  timestamp_gt_date: (_fc: FunctionCall, t: Timestamp, d: number) => compareDateTimestamp(d, t) < 0,
  timestamp_ge_date: (_fc: FunctionCall, t: Timestamp, d: number) => compareDateTimestamp(d, t) <= 0,
  timestamp_cmp_date: (_fc: FunctionCall, t: Timestamp, d: number) => -compareDateTimestamp(d, t) + 0,
  date_eq_timestamptz: (fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamptz(d, t, zoneOf(fc)) === 0,
  date_ne_timestamptz: (fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamptz(d, t, zoneOf(fc)) !== 0,
  date_lt_timestamptz: (fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamptz(d, t, zoneOf(fc)) < 0,
  date_le_timestamptz: (fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamptz(d, t, zoneOf(fc)) <= 0,
  date_gt_timestamptz: (fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamptz(d, t, zoneOf(fc)) > 0,
  date_ge_timestamptz: (fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamptz(d, t, zoneOf(fc)) >= 0,
  date_cmp_timestamptz: (fc: FunctionCall, d: number, t: Timestamp) => compareDateTimestamptz(d, t, zoneOf(fc)),
  timestamptz_eq_date: (fc: FunctionCall, t: Timestamp, d: number) => compareDateTimestamptz(d, t, zoneOf(fc)) === 0,
  timestamptz_ne_date: (fc: FunctionCall, t: Timestamp, d: number) => compareDateTimestamptz(d, t, zoneOf(fc)) !== 0,
  timestamptz_lt_date: (fc: FunctionCall, t: Timestamp, d: number) => compareDateTimestamptz(d, t, zoneOf(fc)) > 0,
  timestamptz_le_date: (fc: FunctionCall, t: Timestamp, d: number) => compareDateTimestamptz(d, t, zoneOf(fc)) >= 0,
  timestamptz_gt_date: (fc: FunctionCall, t: Timestamp, d: number) => compareDateTimestamptz(d, t, zoneOf(fc)) < 0,
  timestamptz_ge_date: (fc: FunctionCall, t: Timestamp, d: number) => compareDateTimestamptz(d, t, zoneOf(fc)) <= 0,
  timestamptz_cmp_date: (fc: FunctionCall, t: Timestamp, d: number) => -compareDateTimestamptz(d, t, zoneOf(fc)) + 0,
  in_range_date_interval: (
    _fc: FunctionCall,
    val: number,
    base: number,
    offset: Bytes,
    sub: boolean,
    less: boolean,
  ) => {
    if (readInterval(offset).months < 0)
      throw ereport(
        ERRCODE.INVALID_PRECEDING_OR_FOLLOWING_SIZE,
        'invalid preceding or following size in window function',
      );
    const sum = timestampPlusInterval(dateToTimestamp(base), offset, sub ? -1 : 1);
    const v = dateToTimestamp(val);
    return less ? v <= sum : v >= sum;
  },

  time_in: (fc: FunctionCall, text: Bytes, _elem: Datum, typmod: number) =>
    adjustTime(
      decoding(text, 'time', () => timeOfTm(decodeTimeOnly(parseDateTime(text), fc.settings, true).tm)),
      typmod,
    ),
  time_out: (_fc: FunctionCall, time: number) => stringToText(encodeTimeOnly(tmOfTime(time))),
  time_recv: (_fc: FunctionCall, bytes: Bytes, _elem: Datum, typmod: number) => {
    const time = Number(wireView(bytes, 8).getBigInt64(0));
    if (time < 0 || time > USECS_PER_DAY) throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'time out of range');
    return adjustTime(time, typmod);
  },
  time_send: (_fc: FunctionCall, time: number) => sendInt64(time),
  time_scale: (_fc: FunctionCall, time: number, typmod: number) => adjustTime(time, typmod),
  timetypmodin: (fc: FunctionCall, array: Bytes) => typmodIn(fc, array, false),
  timetypmodout: (_fc: FunctionCall, typmod: number) =>
    stringToText(`${typmod >= 0 ? `(${typmod})` : ''} without time zone`),
  time_eq: scalarEq,
  time_ne: scalarNe,
  time_lt: scalarLt,
  time_le: scalarLe,
  time_gt: scalarGt,
  time_ge: scalarGe,
  time_cmp: scalarCmp,
  time_larger: scalarLarger,
  time_smaller: scalarSmaller,
  time_interval: (_fc: FunctionCall, time: number) => makeInterval(0, 0, BigInt(time)),
  time_mi_time: (_fc: FunctionCall, a: number, b: number) => makeInterval(0, 0, BigInt(a - b)),
  time_pl_interval: (_fc: FunctionCall, time: number, span: Bytes) => timePlus(time, span, 1),
  time_mi_interval: (_fc: FunctionCall, time: number, span: Bytes) => timePlus(time, span, -1),
  extract_time: (_fc: FunctionCall, unit: Bytes, time: number) =>
    partToNumeric(extractTime(unitName(unit), time, undefined)),
  time_part: (_fc: FunctionCall, unit: Bytes, time: number) => extractTime(unitName(unit), time, undefined).float,
  make_time: (_fc: FunctionCall, hour: number, min: number, sec: number) => {
    const tm = newTm();
    setTimeFields(tm, hour, min, sec);
    return timeOfTm(tm);
  },
  timestamp_time: (_fc: FunctionCall, t: Timestamp) => (timestampNotFinite(t) ? null : microsOfDay(t)),
  timestamptz_time: (fc: FunctionCall, t: Timestamp) =>
    timestampNotFinite(t) ? null : microsOfDay(instantToLocal(t, zoneOf(fc))),
  datetime_timestamp: (_fc: FunctionCall, d: number, time: number) => {
    const t = dateToTimestamp(d);
    if (timestampNotFinite(t)) return t;
    const r = addMicros(t, time);
    if (!isValidTimestamp(r)) throw timestampRange();
    return r;
  },
  in_range_time_interval: (
    _fc: FunctionCall,
    val: number,
    base: number,
    offset: Bytes,
    sub: boolean,
    less: boolean,
  ) => {
    const span = readInterval(offset).time;
    if (span < 0n)
      throw ereport(
        ERRCODE.INVALID_PRECEDING_OR_FOLLOWING_SIZE,
        'invalid preceding or following size in window function',
      );
    const sum = BigInt(base) + (sub ? -span : span);
    return less ? BigInt(val) <= sum : BigInt(val) >= sum;
  },
  overlaps_time: (_fc: FunctionCall, s1: number | null, e1: number | null, s2: number | null, e2: number | null) =>
    overlaps(s1, e1, s2, e2, (a, b) => a < b),

  timetz_in: (fc: FunctionCall, text: Bytes, _elem: Datum, typmod: number) => {
    const d = decoding(text, 'time with time zone', () => decodeTimeOnly(parseDateTime(text), fc.settings, true));
    return makeTimeTz(adjustTime(timeOfTm(d.tm), typmod), d.tz);
  },
  timetz_out: (_fc: FunctionCall, value: Bytes) => {
    const v = readTimeTz(value);
    return stringToText(encodeTimeOnly(tmOfTime(v.time), v.zone));
  },
  timetz_recv: (_fc: FunctionCall, bytes: Bytes, _elem: Datum, typmod: number) => {
    const view = wireView(bytes, 12);
    const time = Number(view.getBigInt64(0));
    if (time < 0 || time > USECS_PER_DAY) throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'time out of range');
    const zone = view.getInt32(8);
    if (Math.abs(zone) >= 16 * 3600)
      throw ereport(ERRCODE.INVALID_TIME_ZONE_DISPLACEMENT_VALUE, 'time zone displacement out of range');
    return makeTimeTz(adjustTime(time, typmod), zone);
  },
  timetz_send: (_fc: FunctionCall, value: Bytes) => {
    const v = readTimeTz(value);
    const out = new Uint8Array(12);
    const view = viewOf(out);
    view.setBigInt64(0, BigInt(v.time));
    view.setInt32(8, v.zone);
    return out;
  },
  timetz_scale: (_fc: FunctionCall, value: Bytes, typmod: number) => {
    const v = readTimeTz(value);
    return makeTimeTz(adjustTime(v.time, typmod), v.zone);
  },
  timetztypmodin: (fc: FunctionCall, array: Bytes) => typmodIn(fc, array, true),
  timetztypmodout: (_fc: FunctionCall, typmod: number) =>
    stringToText(`${typmod >= 0 ? `(${typmod})` : ''} with time zone`),
  timetz_eq: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareTimeTz(a, b) === 0,
  timetz_ne: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareTimeTz(a, b) !== 0,
  timetz_lt: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareTimeTz(a, b) < 0,
  timetz_le: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareTimeTz(a, b) <= 0,
  timetz_gt: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareTimeTz(a, b) > 0,
  timetz_ge: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareTimeTz(a, b) >= 0,
  timetz_cmp: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareTimeTz(a, b),
  timetz_larger: (_fc: FunctionCall, a: Bytes, b: Bytes) => (compareTimeTz(a, b) > 0 ? a : b),
  timetz_smaller: (_fc: FunctionCall, a: Bytes, b: Bytes) => (compareTimeTz(a, b) < 0 ? a : b),
  timetz_pl_interval: (_fc: FunctionCall, value: Bytes, span: Bytes) => {
    const v = readTimeTz(value);
    return makeTimeTz(timePlus(v.time, span, 1), v.zone);
  },
  timetz_mi_interval: (_fc: FunctionCall, value: Bytes, span: Bytes) => {
    const v = readTimeTz(value);
    return makeTimeTz(timePlus(v.time, span, -1), v.zone);
  },
  extract_timetz: (_fc: FunctionCall, unit: Bytes, value: Bytes) => {
    const v = readTimeTz(value);
    return partToNumeric(extractTime(unitName(unit), v.time, v.zone));
  },
  timetz_part: (_fc: FunctionCall, unit: Bytes, value: Bytes) => {
    const v = readTimeTz(value);
    return extractTime(unitName(unit), v.time, v.zone).float;
  },
  timetz_time: (_fc: FunctionCall, value: Bytes) => readTimeTz(value).time,
  time_timetz: (fc: FunctionCall, time: number) => {
    const { tm } = localTm(fc.settings.transactionTimestamp, zoneOf(fc));
    setTime(tm, time);
    return makeTimeTz(time, determineTimeZoneOffset(tm, zoneOf(fc)));
  },
  timestamptz_timetz: (fc: FunctionCall, t: Timestamp) => {
    if (timestampNotFinite(t)) return null;
    const { tm, tz } = localTm(t, zoneOf(fc));
    return makeTimeTz(timeOfTm(tm), tz);
  },
  datetimetz_timestamptz: (_fc: FunctionCall, d: number, value: Bytes) => {
    const t = dateToTimestamp(d);
    if (timestampNotFinite(t)) return t;
    const v = readTimeTz(value);
    const r = addMicros(t, v.time + v.zone * USECS_PER_SEC);
    if (!isValidTimestamp(r)) throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, 'date out of range for timestamp');
    return r;
  },
  timetz_zone: (fc: FunctionCall, zone: Bytes, value: Bytes) => moveTimeTz(fc, value, zone),
  timetz_izone: (fc: FunctionCall, zone: Bytes, value: Bytes) => shiftTimeTz(value, 0 - Number(intervalZone(fc, zone))),
  overlaps_timetz: (_fc: FunctionCall, s1: Bytes | null, e1: Bytes | null, s2: Bytes | null, e2: Bytes | null) =>
    overlaps(s1, e1, s2, e2, (a, b) => compareTimeTz(a, b) < 0),
};
