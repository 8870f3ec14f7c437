/**
 * Days and dates: the proleptic Gregorian calendar with year 0 = 1 BC, Julian day numbers, ISO
 * weeks, and the split of a timestamp into day and time of day. Everything is exact integers.
 */
import { int8Datum } from './numutils.ts';

export type Timestamp = number | bigint;

export const USECS_PER_DAY = 86400000000;
export const USECS_PER_HOUR = 3600000000;
export const USECS_PER_MINUTE = 60000000;
export const USECS_PER_SEC = 1000000;
export const SECS_PER_DAY = 86400;
export const POSTGRES_EPOCH_JDATE = 2451545;
export const UNIX_EPOCH_JDATE = 2440588;
/** 2000-01-01 in seconds of the Unix epoch. */
export const POSTGRES_EPOCH_UNIX = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;

export const DT_NOBEGIN = -9223372036854775808n;
export const DT_NOEND = 9223372036854775807n;
export const DATEVAL_NOBEGIN = -2147483648;
export const DATEVAL_NOEND = 2147483647;
export const MIN_TIMESTAMP = -211813488000000000n;
export const END_TIMESTAMP = 9223371331200000000n;
export const DATE_END_JULIAN = 2147483494;
export const TIMESTAMP_END_JULIAN = 109203528;

/** Broken-down time, mutable while it is put together. `mon` and `mday` count from 1. */
export interface Tm {
  year: number;
  mon: number;
  mday: number;
  hour: number;
  min: number;
  sec: number;
  /** Microseconds. */
  fsec: number;
  yday: number;
  isdst: number;
}

export const newTm = (): Tm => ({ year: 0, mon: 0, mday: 0, hour: 0, min: 0, sec: 0, fsec: 0, yday: 0, isdst: -1 });

export const timestampNotFinite = (t: Timestamp): boolean => t === DT_NOBEGIN || t === DT_NOEND;

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

export function daysInMonth(year: number, mon: number): number {
  return mon === 2 && isLeap(year) ? 29 : MONTH_DAYS[mon - 1];
}

/** Julian day of a date. */
export function date2j(year: number, mon: number, mday: number): number {
  const late = mon > 2;
  const month = late ? mon + 1 : mon + 13;
  const y = late ? year + 4800 : year + 4799;
  const century = Math.trunc(y / 100);
  return (
    y * 365 - 32167 + Math.trunc(y / 4) - century + Math.trunc(century / 4) + Math.trunc((7834 * month) / 256) + mday
  );
}

/** Sets the date of `tm` from a Julian day. */
export function j2date(jd: number, tm: Tm): void {
  let julian = jd + 32044;
  let quad = Math.floor(julian / 146097);
  const extra = (julian - quad * 146097) * 4 + 3;
  julian += 60 + quad * 3 + Math.floor(extra / 146097);
  quad = Math.floor(julian / 1461);
  julian -= quad * 1461;
  let y = Math.floor((julian * 4) / 1461);
  julian = y !== 0 ? ((julian + 305) % 365) + 123 : ((julian + 306) % 366) + 123;
  y += quad * 4;
  tm.year = y - 4800;
  quad = Math.floor((julian * 2141) / 65536);
  tm.mday = julian - Math.floor((7834 * quad) / 256);
  tm.mon = ((quad + 10) % 12) + 1;
}

/** Day of the week of a Julian day, Sunday 0. */
export function j2day(jd: number): number {
  const d = (jd + 1) % 7;
  return d < 0 ? d + 7 : d;
}

export function isValidJulian(year: number, mon: number): boolean {
  return (year > -4713 || (year === -4713 && mon >= 11)) && (year < 5874898 || (year === 5874898 && mon < 6));
}

/** Julian day of the Monday that begins an ISO week. */
export function isoweek2j(year: number, week: number): number {
  const day4 = date2j(year, 1, 4);
  return (week - 1) * 7 + (day4 - j2day(day4 - 1));
}

function isoYearStart(year: number): number {
  const day4 = date2j(year, 1, 4);
  return day4 - j2day(day4 - 1);
}

export function date2isoyear(year: number, mon: number, mday: number): number {
  const day = date2j(year, mon, mday);
  if (day < isoYearStart(year)) return year - 1;
  return day >= isoYearStart(year + 1) ? year + 1 : year;
}

export function date2isoweek(year: number, mon: number, mday: number): number {
  const day = date2j(year, mon, mday);
  return Math.floor((day - isoYearStart(date2isoyear(year, mon, mday))) / 7) + 1;
}

/** Results of `splitTimestamp`: days since 2000-01-01, microseconds within the day. */
export let splitDays = 0;
export let splitTime = 0;

/** Splits without allocating: results are in `splitDays` and `splitTime`. */
export function splitTimestamp(t: Timestamp): void {
  if (typeof t === 'number') {
    splitDays = Math.floor(t / USECS_PER_DAY);
    splitTime = t - splitDays * USECS_PER_DAY;
    // The division may round up to the next day.
    if (splitTime < 0) {
      splitDays--;
      splitTime += USECS_PER_DAY;
    }
    return;
  }
  const day = BigInt(USECS_PER_DAY);
  let days = t / day;
  if (t < days * day) days--;
  splitDays = Number(days);
  splitTime = Number(t - days * day);
}

/** Inverse of the split; time may be outside the day. Not range-checked. */
export function joinTimestamp(days: number, time: number): Timestamp {
  const t = days * USECS_PER_DAY + time;
  return Number.isSafeInteger(t) ? t : int8Datum(BigInt(days) * BigInt(USECS_PER_DAY) + BigInt(time));
}

export function isValidTimestamp(t: Timestamp): boolean {
  return t >= MIN_TIMESTAMP && t < END_TIMESTAMP;
}

export function addMicros(t: Timestamp, micros: Timestamp): Timestamp {
  if (typeof t === 'number' && typeof micros === 'number') {
    const r = t + micros;
    if (Number.isSafeInteger(r)) return r;
  }
  return int8Datum(BigInt(t) + BigInt(micros));
}

export function setTime(tm: Tm, time: number): void {
  tm.hour = Math.floor(time / USECS_PER_HOUR);
  let rest = time - tm.hour * USECS_PER_HOUR;
  tm.min = Math.floor(rest / USECS_PER_MINUTE);
  rest -= tm.min * USECS_PER_MINUTE;
  tm.sec = Math.floor(rest / USECS_PER_SEC);
  tm.fsec = rest - tm.sec * USECS_PER_SEC;
}

export function timeOfTm(tm: Tm): number {
  return ((tm.hour * 60 + tm.min) * 60 + tm.sec) * USECS_PER_SEC + tm.fsec;
}

/** timestamp2tm() without a zone; undefined when out of range, which begins at the Julian day `first`. */
export function timestampToTm(t: Timestamp, first = 0): Tm | undefined {
  const tm = newTm();
  splitTimestamp(t);
  const jd = splitDays + POSTGRES_EPOCH_JDATE;
  if (jd < first || jd > 0x7fffffff) return undefined;
  j2date(jd, tm);
  setTime(tm, splitTime);
  return tm;
}

/** tm2timestamp(): `tz` seconds west of UTC; undefined when out of range. */
export function tmToTimestamp(tm: Tm, tz = 0): Timestamp | undefined {
  if (!isValidJulian(tm.year, tm.mon)) return undefined;
  const days = date2j(tm.year, tm.mon, tm.mday) - POSTGRES_EPOCH_JDATE;
  const local = BigInt(days) * 86400000000n + BigInt(timeOfTm(tm));
  if (local > DT_NOEND || local < DT_NOBEGIN) return undefined;
  const t = joinTimestamp(days, timeOfTm(tm) + tz * USECS_PER_SEC);
  return isValidTimestamp(t) ? t : undefined;
}
