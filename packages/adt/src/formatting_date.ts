/**
 * to_char() of dates, times and intervals, and to_date()/to_timestamp().
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import {
  date2isoweek,
  date2isoyear,
  date2j,
  isoweek2j,
  isValidJulian,
  j2day,
  newTm,
  POSTGRES_EPOCH_JDATE,
  timestampNotFinite,
  type Timestamp,
  type Tm,
} from './calendar.ts';
import { isValidDate } from './date.ts';
import { sessionZone } from './datetime.ts';
import { DAYS, MONTHS, MONTHS_FULL } from './datetime_out.ts';
import { doToTimestamp } from './do_to_timestamp.ts';
import { type FormatNode, ordinal, parseFormat, ROMAN_MONTHS } from './format_node.ts';
import { readInterval } from './interval.ts';
import { determineTimeZoneOffset } from './pgtz.ts';
import { adjustTimestampForTypmod, fromTm, localTm, tmOf } from './timestamp.ts';

type Bytes = Uint8Array;

/** What to_char prints from: a time, its zone if any; intervals have hours and days without bound. */
interface Source {
  readonly tm: Tm;
  readonly interval: boolean;
  readonly wday: number;
  readonly yday: number;
  /** Seconds east; undefined for types without a zone. */
  readonly gmtoff: number | undefined;
  readonly zone: string | undefined;
}

/** printf's %0*d. */
function zeroPad(n: number, width: number): string {
  const digits = String(Math.abs(n));
  return n < 0 ? `-${digits.padStart(width - 1, '0')}` : digits.padStart(width, '0');
}

const invalidForInterval = (): PgError =>
  ereport(ERRCODE.INVALID_DATETIME_FORMAT, 'invalid format specification for an interval value', {
    hint: 'Intervals are not tied to specific calendar dates.',
  });

/** A name in the case its keyword is written in: MONTH, Month, month. */
function cased(name: string, key: string): string {
  if (key[0] === key[0].toLowerCase()) return name.toLowerCase();
  return key[1] === key[1].toUpperCase() ? name.toUpperCase() : name;
}

function formatNode(node: FormatNode, s: Source): string {
  const { tm, interval } = s;
  const { key, fill } = node;
  const upper = key.toUpperCase();
  const number = (n: number, width: number): string => {
    const text = zeroPad(n, fill ? 0 : width);
    return node.th === '' ? text : text + ordinal(text, node.th === 'TH');
  };
  const signed = (n: number, width: number): string => number(n, n >= 0 ? width : width + 1);
  const plain = (n: number): string => number(n, 0);
  const calendar = (): void => {
    if (interval) throw invalidForInterval();
  };
  const adjust = (year: number): number => (interval || year > 0 ? year : -(year - 1));
  const isoYear = (): number => date2isoyear(tm.year, tm.mon, tm.mday);
  const padded = (name: string): string => (fill || node.localized ? name : name.padEnd(9));
  switch (upper) {
    case 'A.M.':
    case 'P.M.':
    case 'AM':
    case 'PM': {
      const half = (((tm.hour % 24) + 24) % 24 >= 12 && tm.hour >= 0) || tm.hour % 24 >= 12 ? 'P' : 'A';
      return cased(upper.includes('.') ? `${half}.M.` : `${half}M`, key[0] === key[0].toLowerCase() ? 'xx' : 'XX');
    }
    case 'HH':
    case 'HH12': {
      const h = tm.hour % 12 === 0 ? 12 : tm.hour % 12;
      return number(h, tm.hour >= 0 ? 2 : 3);
    }
    case 'HH24':
      return signed(tm.hour, 2);
    case 'MI':
      return signed(tm.min, 2);
    case 'SS':
      return signed(tm.sec, 2);
    case 'FF1':
    case 'FF2':
    case 'FF3':
    case 'FF4':
    case 'FF5':
    case 'FF6':
    case 'MS':
    case 'US': {
      const digits = upper === 'MS' ? 3 : upper === 'US' ? 6 : Number(upper[2]);
      const text = zeroPad(Math.trunc(tm.fsec / 10 ** (6 - digits)) + 0, digits);
      return node.th === '' ? text : text + ordinal(text, node.th === 'TH');
    }
    case 'SSSS':
    case 'SSSSS':
      return plain(tm.hour * 3600 + tm.min * 60 + tm.sec);
    case 'TZ':
      calendar();
      return s.zone === undefined ? '' : key === 'tz' ? s.zone.toLowerCase() : s.zone;
    case 'TZH':
      calendar();
      return `${(s.gmtoff ?? 0) >= 0 ? '+' : '-'}${zeroPad(Math.trunc(Math.abs(s.gmtoff ?? 0) / 3600), 2)}`;
    case 'TZM':
      calendar();
      return zeroPad(Math.trunc((Math.abs(s.gmtoff ?? 0) % 3600) / 60), 2);
    case 'OF': {
      calendar();
      const off = Math.abs(s.gmtoff ?? 0);
      const minutes = off % 3600 === 0 ? '' : `:${zeroPad(Math.trunc((off % 3600) / 60), 2)}`;
      return `${(s.gmtoff ?? 0) >= 0 ? '+' : '-'}${zeroPad(Math.trunc(off / 3600), fill ? 0 : 2)}${minutes}`;
    }
    case 'A.D.':
    case 'B.C.':
      calendar();
      return cased(tm.year <= 0 ? 'B.C.' : 'A.D.', key[0] === key[0].toLowerCase() ? 'xx' : 'XX');
    case 'AD':
    case 'BC':
      calendar();
      return cased(tm.year <= 0 ? 'BC' : 'AD', key);
    case 'MONTH':
      calendar();
      return tm.mon === 0 ? '' : padded(cased(MONTHS_FULL[tm.mon - 1], key));
    case 'MON':
      calendar();
      return tm.mon === 0 ? '' : cased(MONTHS[tm.mon - 1], key);
    case 'MM':
      return signed(tm.mon, 2);
    case 'DAY':
      calendar();
      return padded(cased(DAYS[s.wday], key));
    case 'DY':
      calendar();
      return cased(DAYS[s.wday].slice(0, 3), key);
    case 'DDD':
      return number(s.yday, 3);
    case 'IDDD':
      return number(date2j(tm.year, tm.mon, tm.mday) - isoweek2j(isoYear(), 1) + 1, 3);
    case 'DD':
      return number(tm.mday, 2);
    case 'D':
      calendar();
      return plain(s.wday + 1);
    case 'ID':
      calendar();
      return plain(s.wday === 0 ? 7 : s.wday);
    case 'WW':
      return number(Math.trunc((s.yday - 1) / 7) + 1, 2);
    case 'IW':
      return number(date2isoweek(tm.year, tm.mon, tm.mday), 2);
    case 'Q':
      return tm.mon === 0 ? '' : plain(Math.trunc((tm.mon - 1) / 3) + 1);
    case 'CC': {
      const c = interval
        ? Math.trunc(tm.year / 100)
        : tm.year > 0
          ? Math.trunc((tm.year - 1) / 100) + 1
          : Math.trunc(tm.year / 100) - 1;
      return c <= 99 && c >= -99 ? signed(c + 0, 2) : plain(c);
    }
    case 'Y,YYY': {
      const y = adjust(tm.year);
      const thousands = Math.trunc(y / 1000);
      const text = `${thousands},${zeroPad(y - thousands * 1000, 3)}`;
      return node.th === '' ? text : text + ordinal(text, node.th === 'TH');
    }
    case 'YYYY':
    case 'IYYY':
      return number(adjust(upper === 'YYYY' ? tm.year : isoYear()), adjust(tm.year) >= 0 ? 4 : 5);
    case 'YYY':
    case 'IYY':
      return number((adjust(upper === 'YYY' ? tm.year : isoYear()) % 1000) + 0, adjust(tm.year) >= 0 ? 3 : 4);
    case 'YY':
    case 'IY':
      return number((adjust(upper === 'YY' ? tm.year : isoYear()) % 100) + 0, adjust(tm.year) >= 0 ? 2 : 3);
    case 'Y':
    case 'I':
      return number((adjust(upper === 'Y' ? tm.year : isoYear()) % 10) + 0, 1);
    case 'RM': {
      if (tm.mon === 0 && tm.year === 0) return '';
      const i = tm.mon === 0 ? (tm.year >= 0 ? 0 : 11) : tm.mon < 0 ? -(tm.mon + 1) : 12 - tm.mon;
      const text = cased(ROMAN_MONTHS[i], key);
      return fill ? text : text.padEnd(4);
    }
    case 'W':
      return plain(Math.trunc((tm.mday - 1) / 7) + 1);
    case 'J':
      return plain(date2j(tm.year, tm.mon, tm.mday));
    default:
      return '';
  }
}

function format(source: Source, picture: Bytes): Bytes {
  let out = '';
  for (const node of parseFormat(textToString(picture), 'date'))
    out += node.key === '' ? node.text : formatNode(node, source);
  return stringToText(out);
}

function calendarSource(tm: Tm, gmtoff?: number, zone?: string): Source {
  const jd = date2j(tm.year, tm.mon, tm.mday);
  return { tm, interval: false, wday: j2day(jd), yday: jd - date2j(tm.year, 1, 1) + 1, gmtoff, zone };
}

function intervalToChar(span: Bytes, picture: Bytes): Bytes | null {
  if (picture.length === 0) return null;
  const v = readInterval(span);
  const tm = newTm();
  tm.year = Math.trunc(v.months / 12) + 0;
  tm.mon = (v.months % 12) + 0;
  tm.mday = v.days;
  tm.hour = Number(v.time / 3600000000n);
  tm.min = Number((v.time / 60000000n) % 60n);
  tm.sec = Number((v.time / 1000000n) % 60n);
  tm.fsec = Number(v.time % 1000000n);
  return format(
    { tm, interval: true, wday: 0, yday: (tm.year * 12 + tm.mon) * 30 + tm.mday, gmtoff: undefined, zone: undefined },
    picture,
  );
}

export const formattingDateFunctions: FunctionTable = {
  timestamp_to_char: (_fc: FunctionCall, t: Timestamp, picture: Bytes) =>
    picture.length === 0 || timestampNotFinite(t) ? null : format(calendarSource(tmOf(t)), picture),
  timestamptz_to_char: (fc: FunctionCall, t: Timestamp, picture: Bytes) => {
    if (picture.length === 0 || timestampNotFinite(t)) return null;
    const zone = sessionZone(fc.settings);
    const { tm, tz, unix } = localTm(t, zone);
    return format(calendarSource(tm, 0 - tz, zone.abbrevAt(unix)), picture);
  },
  interval_to_char: (_fc: FunctionCall, span: Bytes, picture: Bytes) => intervalToChar(span, picture),
  to_timestamp: (fc: FunctionCall, text: Bytes, picture: Bytes) => {
    const { tm, tz, precision } = doToTimestamp(text, picture);
    const t = fromTm(tm, tz === undefined ? determineTimeZoneOffset(tm, sessionZone(fc.settings)) : 0 - tz);
    return precision === undefined ? t : adjustTimestampForTypmod(t, precision);
  },
  to_date: (_fc: FunctionCall, text: Bytes, picture: Bytes) => {
    const { tm } = doToTimestamp(text, picture);
    const days = date2j(tm.year, tm.mon, tm.mday) - POSTGRES_EPOCH_JDATE;
    if (!isValidJulian(tm.year, tm.mon) || !isValidDate(days))
      throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, `date out of range: "${textToString(text)}"`);
    return days;
  },
};
