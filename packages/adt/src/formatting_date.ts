/**
 * to_char() of dates, times and intervals, and to_date()/to_timestamp().
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported, type PgError } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import {
  date2isoweek,
  date2isoyear,
  date2j,
  daysInMonth,
  isoweek2j,
  isValidJulian,
  j2date,
  j2day,
  newTm,
  POSTGRES_EPOCH_JDATE,
  timestampNotFinite,
  type Timestamp,
  type Tm,
} from './calendar.ts';
import { sessionZone } from './datetime.ts';
import { DAYS, MONTHS } from './datetime_out.ts';
import { type FormatNode, ordinal, parseFormat } from './format_node.ts';
import { readInterval } from './interval.ts';
import { determineTimeZoneOffset } from './pgtz.ts';
import { adjustTimestampForTypmod, fromTm, localTm, tmOf } from './timestamp.ts';

type Bytes = Uint8Array;

const MONTHS_FULL = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const ROMAN_MONTHS = ['XII', 'XI', 'X', 'IX', 'VIII', 'VII', 'VI', 'V', 'IV', 'III', 'II', 'I'];

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

/** What was read; undefined where the text said nothing. */
interface Fields {
  hour?: number;
  twelve?: boolean;
  pm?: boolean;
  min?: number;
  sec?: number;
  secondOfDay?: number;
  fsec?: number;
  fsecDigits?: number;
  year?: number;
  yearDigits?: number;
  bc?: boolean;
  century?: number;
  mon?: number;
  mday?: number;
  yday?: number;
  weekday?: number;
  week?: number;
  weekOfMonth?: number;
  julian?: number;
  isoYear?: number;
  isoWeek?: number;
  isoDay?: number;
  isoYday?: number;
  tz?: number;
}

const badValue = (text: string, key: string): PgError =>
  ereport(ERRCODE.INVALID_DATETIME_FORMAT, `invalid value "${text}" for "${key}"`, {
    detail: 'Value must be an integer.',
  });

/** Reads text by a picture. Separators match separators and blanks loosely; letters stand for one character. */
class DateReader {
  readonly text: string;
  at = 0;
  readonly f: Fields = {};

  constructor(text: string) {
    this.text = text;
  }

  skipBlanks(): void {
    while (/[\s]/.test(this.text[this.at] ?? '')) this.at++;
  }

  /** At most `width` digits; without limit when the next item is no number. */
  integer(width: number, key: string, delimited: boolean): { value: number; digits: number } {
    this.skipBlanks();
    const rest = this.text.slice(this.at);
    const piece = rest.slice(0, width);
    if (!delimited && piece.length < width) {
      throw ereport(ERRCODE.INVALID_DATETIME_FORMAT, `source string too short for "${key}" formatting field`, {
        detail: `Field requires ${width} characters, but only ${piece.length} remain.`,
      });
    }
    const cut = /^\s*[+-]?\d+/.exec(delimited ? rest : piece)?.[0] ?? '';
    if (cut === '' || (!delimited && cut.length < width)) throw badValue(piece, key);
    this.at += cut.length;
    const value = Number(cut);
    if (Math.abs(value) > 0x7fffffff) {
      throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, `value for "${key}" in source string is out of range`, {
        detail: 'Value must be in the range -2147483648 to 2147483647.',
      });
    }
    return { value: value + 0, digits: cut.length };
  }

  /** One of the words, any case; answers its index. */
  word(words: readonly string[], key: string): number {
    this.skipBlanks();
    const rest = this.text.slice(this.at).toLowerCase();
    const i = words.findIndex(w => rest.startsWith(w.toLowerCase()));
    if (i < 0) {
      if (rest === '') return -1;
      throw ereport(
        ERRCODE.INVALID_DATETIME_FORMAT,
        `invalid value "${/^\S*/.exec(this.text.slice(this.at))![0]}" for "${key}"`,
        {
          detail: 'The given value did not match any of the allowed values for this field.',
        },
      );
    }
    this.at += words[i].length;
    return i;
  }

  skipOrdinal(node: FormatNode): void {
    if (node.th !== '') this.at += 2;
  }
}

const isNumeric = (node: FormatNode | undefined): boolean =>
  node !== undefined &&
  (node.key === '' ? /^\d$/.test(node.text) : !/^(?:A\.?[DM]|P\.?M|B\.?C|MON|DAY|DY|RM|TZ$|OF|FX|TZH)/i.test(node.key));

function readNode(r: DateReader, node: FormatNode, next: FormatNode | undefined): void {
  const { f } = r;
  const key = node.key.toUpperCase();
  const delimited = node.fill || !isNumeric(next);
  const int = (width: number, set: (v: number, digits: number) => void): void => {
    const { value, digits } = r.integer(width, node.key, delimited);
    if (digits > 0) set(value, digits);
    r.skipOrdinal(node);
  };
  switch (key) {
    case 'FX':
      return;
    case 'A.M.':
    case 'P.M.':
    case 'AM':
    case 'PM': {
      const i = r.word(['a.m.', 'p.m.', 'am', 'pm'], node.key);
      if (i >= 0) f.pm = i % 2 === 1;
      f.twelve = true;
      return;
    }
    case 'HH':
    case 'HH12':
      f.twelve = true;
      return int(2, v => (f.hour = v));
    case 'HH24':
      return int(2, v => (f.hour = v));
    case 'MI':
      return int(2, v => (f.min = v));
    case 'SS':
      return int(2, v => (f.sec = v));
    case 'SSSS':
    case 'SSSSS':
      return int(5, v => (f.secondOfDay = v));
    case 'MS':
      return int(3, (v, digits) => (f.fsec = v * 1000 * (digits === 1 ? 100 : digits === 2 ? 10 : 1)));
    case 'FF1':
    case 'FF2':
    case 'FF3':
    case 'FF4':
    case 'FF5':
    case 'FF6':
    case 'US': {
      const n = key === 'US' ? 6 : Number(key[2]);
      return int(n, (v, digits) => {
        f.fsec = v * 10 ** (6 - digits);
        f.fsecDigits = n;
      });
    }
    case 'TZH': {
      r.skipBlanks();
      const sign = r.text[r.at] === '-' ? -1 : 1;
      if (r.text[r.at] === '+' || r.text[r.at] === '-' || r.text[r.at] === ' ') r.at++;
      return int(2, v => (f.tz = sign * v * 3600));
    }
    case 'TZM':
      return int(2, v => (f.tz = (f.tz ?? 0) + ((f.tz ?? 0) < 0 ? -1 : 1) * v * 60));
    case 'TZ':
    case 'OF':
      throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `formatting field "${node.key}" is only supported in to_char`);
    case 'A.D.':
    case 'B.C.':
    case 'AD':
    case 'BC': {
      const i = r.word(['a.d.', 'b.c.', 'ad', 'bc'], node.key);
      if (i >= 0) f.bc = i % 2 === 1;
      return;
    }
    case 'MONTH': {
      // A full name, or what abbreviates one.
      const i = r.word(MONTHS_FULL, node.key);
      if (i >= 0) f.mon = i + 1;
      return;
    }
    case 'MON': {
      const i = r.word(MONTHS, node.key);
      if (i >= 0) f.mon = i + 1;
      return;
    }
    case 'MM':
      return int(2, v => (f.mon = v));
    case 'DAY': {
      const i = r.word(DAYS, node.key);
      if (i >= 0) f.weekday = i;
      return;
    }
    case 'DY': {
      const i = r.word(
        DAYS.map(d => d.slice(0, 3)),
        node.key,
      );
      if (i >= 0) f.weekday = i;
      return;
    }
    case 'DDD':
      return int(3, v => (f.yday = v));
    case 'IDDD':
      return int(3, v => (f.isoYday = v));
    case 'DD':
      return int(2, v => (f.mday = v));
    case 'D':
      return int(1, v => (f.weekday = v - 1));
    case 'ID':
      return int(1, v => (f.isoDay = v));
    case 'WW':
      return int(2, v => (f.week = v));
    case 'IW':
      return int(2, v => (f.isoWeek = v));
    case 'Q':
      return int(1, () => {});
    case 'CC':
      return int(2, v => (f.century = v));
    case 'Y,YYY': {
      r.skipBlanks();
      const m = /^(\d+),(\d{3})/.exec(r.text.slice(r.at));
      if (!m) throw ereport(ERRCODE.INVALID_DATETIME_FORMAT, 'invalid input string for "Y,YYY"');
      f.year = Number(m[1]) * 1000 + Number(m[2]);
      f.yearDigits = 4;
      r.at += m[0].length;
      return r.skipOrdinal(node);
    }
    case 'YYYY':
    case 'YYY':
    case 'YY':
    case 'Y':
      return int(key.length, (v, digits) => {
        f.year = digits < 4 && key !== 'YYYY' ? fullYear(v, digits) : v;
        f.yearDigits = key.length;
      });
    case 'IYYY':
    case 'IYY':
    case 'IY':
    case 'I':
      return int(key.length, (v, digits) => (f.isoYear = digits < 4 && key !== 'IYYY' ? fullYear(v, digits) : v));
    case 'RM': {
      const sorted = [...ROMAN_MONTHS].sort((x, y) => y.length - x.length);
      const i = r.word(sorted, node.key);
      if (i >= 0) f.mon = 12 - ROMAN_MONTHS.indexOf(sorted[i]);
      return;
    }
    case 'W':
      return int(1, v => (f.weekOfMonth = v));
    case 'J':
      return int(1, v => (f.julian = v));
    default:
      throw notSupported(`formatting field "${node.key}" in to_timestamp`);
  }
}

/** Years of fewer than four digits are taken to be near 2020. */
function fullYear(value: number, digits: number): number {
  if (value < 70) return value + 2000;
  if (value < 100) return value + 1900;
  if (value < 520) return value + 2000;
  return digits < 4 && value < 1000 ? value + 1000 : value;
}

const isSeparator = (c: string): boolean => /[!-/:-@[-`{-~]/.test(c) || c === ' ';

function readFields(text: string, picture: string): Fields {
  const nodes = parseFormat(picture, 'date');
  const r = new DateReader(text);
  const fixed = nodes.some(n => n.key.toUpperCase() === 'FX');
  nodes.forEach((node, i) => {
    if (r.at >= text.length) return;
    if (node.key !== '') {
      if (!fixed && (i === 0 || nodes[i - 1].key === '')) r.skipBlanks();
      readNode(r, node, nodes[i + 1]);
      return;
    }
    const separator = !node.quoted && (isSeparator(node.text) || /\s/.test(node.text));
    if (!separator) {
      // Letters and quoted text stand for one character each, whatever it is.
      r.at++;
      return;
    }
    if (/\s/.test(r.text[r.at] ?? '') && !/\s/.test(node.text)) r.skipBlanks();
    if (isSeparator(r.text[r.at] ?? '') || /\s/.test(r.text[r.at] ?? '')) {
      const next = nodes[i + 1];
      // A sign before a number belongs to the zone, not to the separator.
      if (
        !(
          (r.text[r.at] === '+' || r.text[r.at] === '-') &&
          next?.key.toUpperCase() === 'TZH' &&
          node.text !== r.text[r.at]
        )
      )
        r.at++;
    }
  });
  return r.f;
}

/** Fields to a time; `tz` seconds east when the text had a zone. */
function assemble(f: Fields, text: string): { tm: Tm; tz: number | undefined } {
  const tm = newTm();
  const outOfRange = (): PgError =>
    ereport(ERRCODE.DATETIME_FIELD_OVERFLOW, `date/time field value out of range: "${text}"`);
  tm.year = 0;
  tm.mon = tm.mday = 1;
  if (f.secondOfDay !== undefined) {
    tm.hour = Math.trunc(f.secondOfDay / 3600);
    tm.min = Math.trunc((f.secondOfDay % 3600) / 60);
    tm.sec = f.secondOfDay % 60;
  }
  if (f.sec !== undefined) tm.sec = f.sec;
  if (f.min !== undefined) tm.min = f.min;
  if (f.hour !== undefined) tm.hour = f.hour;
  if (f.twelve) {
    if (tm.hour < 1 || tm.hour > 12) {
      throw ereport(ERRCODE.INVALID_DATETIME_FORMAT, `hour "${tm.hour}" is invalid for the 12-hour clock`, {
        hint: 'Use the 24-hour clock, or give an hour between 1 and 12.',
      });
    }
    if (f.pm && tm.hour < 12) tm.hour += 12;
    else if (!f.pm && tm.hour === 12) tm.hour = 0;
  }
  if (f.year !== undefined) {
    if (f.century !== undefined && (f.yearDigits ?? 4) <= 2) {
      const base = f.year % 100;
      tm.year = base !== 0 ? base + (f.century - 1) * 100 : f.century * 100;
    } else tm.year = f.year;
    if (f.bc && tm.year > 0) tm.year = 1 - tm.year;
    else if (tm.year < 0) tm.year++;
  } else if (f.century !== undefined) tm.year = (f.century - 1) * 100 + 1;
  // A zero says nothing.
  if (f.mon) tm.mon = f.mon;
  if (f.mday) tm.mday = f.mday;
  if (f.julian !== undefined) j2date(f.julian, tm);
  if (f.isoYear !== undefined || f.isoWeek !== undefined || f.isoYday !== undefined) {
    const year = f.isoYear ?? 1;
    if (f.isoYday !== undefined) j2date(isoweek2j(year, 1) + f.isoYday - 1, tm);
    else j2date(isoweek2j(year, f.isoWeek ?? 1) + ((f.isoDay ?? 1) - 1), tm);
  }
  if (f.week !== undefined) f.yday ??= (f.week - 1) * 7 + 1;
  if (f.weekOfMonth !== undefined && f.mday === undefined) tm.mday = (f.weekOfMonth - 1) * 7 + 1;
  if (f.yday && (tm.mon <= 1 || tm.mday <= 1)) {
    if (!tm.year && !f.bc)
      throw ereport(ERRCODE.INVALID_DATETIME_FORMAT, 'cannot calculate day of year without year information');
    if (f.yday < 1 || f.yday > 366) throw outOfRange();
    j2date(date2j(tm.year, 1, 1) + f.yday - 1, tm);
  }
  if (tm.mon < 1 || tm.mon > 12 || tm.mday < 1 || tm.mday > daysInMonth(tm.year, tm.mon)) throw outOfRange();
  if (Math.abs(f.tz ?? 0) >= 16 * 3600)
    throw ereport(ERRCODE.INVALID_TIME_ZONE_DISPLACEMENT_VALUE, `time zone displacement out of range: "${text}"`);
  tm.fsec = f.fsec ?? 0;
  if (tm.fsec >= 1000000) throw outOfRange();
  if (tm.hour < 0 || tm.hour >= 24 || tm.min < 0 || tm.min >= 60 || tm.sec < 0 || tm.sec >= 60) throw outOfRange();
  return { tm, tz: f.tz };
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
    const f = readFields(textToString(text), textToString(picture));
    const { tm, tz } = assemble(f, textToString(text));
    const t = fromTm(tm, tz === undefined ? determineTimeZoneOffset(tm, sessionZone(fc.settings)) : 0 - tz);
    return f.fsecDigits === undefined ? t : adjustTimestampForTypmod(t, f.fsecDigits);
  },
  to_date: (_fc: FunctionCall, text: Bytes, picture: Bytes) => {
    const { tm } = assemble(readFields(textToString(text), textToString(picture)), textToString(text));
    if (!isValidJulian(tm.year, tm.mon))
      throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, `date out of range: "${textToString(text)}"`);
    return date2j(tm.year, tm.mon, tm.mday) - POSTGRES_EPOCH_JDATE;
  },
};
