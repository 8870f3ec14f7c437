/**
 * to_date() and to_timestamp(): what a picture's fields mean together, checked, as a time.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { daysInMonth, isoweek2j, j2date, newTm, type Tm } from './calendar.ts';
import { dateTimeParseError } from './datetime.ts';
import { fromChar, type TmFromChar } from './dch_from_char.ts';
import { textToString } from './mb/mbutils.ts';

type Bytes = Uint8Array;

/** Which of the date's parts the text gave: only these are checked. */
interface Given {
  year: boolean;
  month: boolean;
  day: boolean;
}

function setTimeOfDay(f: TmFromChar, tm: Tm): void {
  if (f.ssss) {
    tm.hour = Math.trunc(f.ssss / 3600);
    tm.min = Math.trunc((f.ssss % 3600) / 60);
    tm.sec = f.ssss % 60;
  }
  if (f.ss) tm.sec = f.ss;
  if (f.mi) tm.min = f.mi;
  if (f.hh) tm.hour = f.hh;
  if (!f.twelve) return;
  if (tm.hour < 1 || tm.hour > 12) {
    throw ereport(ERRCODE.INVALID_DATETIME_FORMAT, `hour "${tm.hour}" is invalid for the 12-hour clock`, {
      hint: 'Use the 24-hour clock, or give an hour between 1 and 12.',
    });
  }
  if (f.pm && tm.hour < 12) tm.hour += 12;
  else if (!f.pm && tm.hour === 12) tm.hour = 0;
}

function setYear(f: TmFromChar, tm: Tm, given: Given): void {
  if (!f.year && !f.cc) return;
  given.year = true;
  const century = f.bc ? -f.cc : f.cc;
  if (!f.year) tm.year = (century >= 0 ? century - 1 : century) * 100 + 1;
  else if (f.cc && f.yysz <= 2) {
    // The 21st century runs from 2001 to 2100, the 6th BC from 600 to 501.
    const year = f.year % 100;
    if (year === 0) tm.year = century * 100 + (century >= 0 ? 0 : 1);
    else tm.year = century >= 0 ? year + (century - 1) * 100 : (century + 1) * 100 - year + 1;
  } else {
    tm.year = f.bc ? -f.year : f.year;
    if (tm.year < 0) tm.year++;
  }
}

function setDate(f: TmFromChar, tm: Tm, given: Given): void {
  const whole = (jd: number): void => {
    j2date(jd, tm);
    given.year = given.month = given.day = true;
  };
  let yday = f.ddd;
  if (f.j) whole(f.j);
  if (f.ww && f.mode === 'iso week') {
    // Days count from Sunday, weeks from Monday; without a day it is the Monday.
    const day = f.d === 0 ? 0 : f.d > 1 ? f.d - 2 : 6;
    whole(isoweek2j(tm.year, f.ww) + day);
  } else if (f.ww) yday = (f.ww - 1) * 7 + 1;
  const mday = f.w ? (f.w - 1) * 7 + 1 : f.dd;
  if (mday) {
    tm.mday = mday;
    given.day = true;
  }
  if (f.mm) {
    tm.mon = f.mm;
    given.month = true;
  }
  if (!yday || (tm.mon > 1 && tm.mday > 1)) return;
  if (!tm.year && !f.bc)
    throw ereport(ERRCODE.INVALID_DATETIME_FORMAT, 'cannot calculate day of year without year information');
  if (f.mode === 'iso week') return whole(isoweek2j(tm.year, 1) - 1 + yday);
  let mon = 1;
  let before = 0;
  for (; mon <= 12 && yday > before + daysInMonth(tm.year, mon); mon++) before += daysInMonth(tm.year, mon);
  // Past the last day of the year the month is 13, which the check refuses.
  if (tm.mon <= 1) tm.mon = mon;
  if (tm.mday <= 1) tm.mday = yday - before;
  given.month = given.day = true;
}

function isDateValid(tm: Tm, given: Given): boolean {
  if (given.month && (tm.mon < 1 || tm.mon > 12)) return false;
  if (given.day && (tm.mday < 1 || tm.mday > 31)) return false;
  return !(given.year && given.month && given.day) || tm.mday <= daysInMonth(tm.year, tm.mon);
}

/** `tz`: seconds east when the text had a zone; `precision`: of the fraction, when the picture has FFn. */
export function doToTimestamp(
  text: Bytes,
  picture: Bytes,
): { tm: Tm; tz: number | undefined; precision: number | undefined } {
  const f = fromChar(textToString(text), textToString(picture));
  const tm = newTm();
  tm.year = 0;
  tm.mon = tm.mday = 1;
  const given: Given = { year: false, month: false, day: false };
  setTimeOfDay(f, tm);
  setYear(f, tm, given);
  setDate(f, tm, given);
  tm.fsec = f.ms * 1000 + f.us;
  const within = (n: number, limit: number): boolean => n >= 0 && n < limit;
  if (
    !isDateValid(tm, given) ||
    !(within(tm.hour, 24) && within(tm.min, 60) && within(tm.sec, 60) && within(tm.fsec, 1000000))
  )
    throw dateTimeParseError('overflow', text, 'timestamp');
  if (f.tzsign !== 0 && !(within(f.tzh, 16) && within(f.tzm, 60)))
    throw dateTimeParseError('tz-overflow', text, 'timestamp');
  return {
    tm,
    tz: f.tzsign === 0 ? undefined : f.tzsign * (f.tzh * 3600 + f.tzm * 60) + 0,
    precision: f.ff || undefined,
  };
}
