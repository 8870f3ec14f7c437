/**
 * Reading dates and times: text is cut into fields (digits, words, signs), the fields are decoded
 * by PostgreSQL's rules, order and settings deciding what an ambiguous number means. Intervals are
 * in interval.ts, printing in datetime_out.ts.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { SessionSettings } from './fmgr.ts';
import { textToString } from './mb/mbutils.ts';
import {
  addMicros,
  date2j,
  daysInMonth,
  j2date,
  newTm,
  setTime,
  timestampToTm,
  type Tm,
  USECS_PER_DAY,
  USECS_PER_SEC,
} from './calendar.ts';
import { rint } from './float.ts';
import { determineTimeZoneOffset, findZone, fixedZone, unixSecondsOf, type Zone } from './pgtz.ts';
import { abbreviationOffset, type ZoneAbbreviation, zoneAbbreviations } from './tzabbrevs.ts';

export type FieldType = 'number' | 'string' | 'date' | 'time' | 'tz' | 'special';
export interface Field {
  readonly type: FieldType;
  readonly text: string;
}

/** Why decoding failed; becomes an error that quotes the whole input. */
export type DecodeFailure = 'format' | 'overflow' | 'md-overflow' | 'interval-overflow' | 'tz-overflow';

export class DecodeError extends Error {
  readonly failure: DecodeFailure;

  constructor(failure: DecodeFailure) {
    super(failure);
    this.failure = failure;
  }
}

const bad = (): DecodeError => new DecodeError('format');
const tooBig = (): DecodeError => new DecodeError('overflow');

export function dateTimeParseError(failure: DecodeFailure, text: Uint8Array, typeName: string): PgError {
  const quoted = `"${textToString(text)}"`;
  switch (failure) {
    case 'overflow':
      return ereport(ERRCODE.DATETIME_FIELD_OVERFLOW, `date/time field value out of range: ${quoted}`);
    case 'md-overflow':
      return ereport(ERRCODE.DATETIME_FIELD_OVERFLOW, `date/time field value out of range: ${quoted}`, {
        hint: 'Perhaps you need a different "datestyle" setting.',
      });
    case 'interval-overflow':
      return ereport(ERRCODE.INTERVAL_FIELD_OVERFLOW, `interval field value out of range: ${quoted}`);
    case 'tz-overflow':
      return ereport(ERRCODE.INVALID_TIME_ZONE_DISPLACEMENT_VALUE, `time zone displacement out of range: ${quoted}`);
    case 'format':
      return ereport(ERRCODE.INVALID_DATETIME_FORMAT, `invalid input syntax for type ${typeName}: ${quoted}`);
  }
}

/** Runs a decoder; its failures become errors about `text`. */
export function decoding<T>(text: Uint8Array, typeName: string, decode: () => T): T {
  try {
    return decode();
  } catch (e) {
    if (e instanceof DecodeError) throw dateTimeParseError(e.failure, text, typeName);
    throw e;
  }
}

// Field masks. Time and date masks are what must be complete.
export const M_MONTH = 1 << 1;
export const M_YEAR = 1 << 2;
export const M_DAY = 1 << 3;
const M_TZ = 1 << 5;
const M_DTZMOD = 1 << 7;
export const M_HOUR = 1 << 10;
export const M_MINUTE = 1 << 11;
export const M_SECOND = 1 << 12;
const M_DOY = 1 << 15;
const M_AMPM = 1 << 9;
const M_ADBC = 1 << 18;
const M_DOW = 1 << 16;
export const M_MILLISECOND = 1 << 13;
export const M_MICROSECOND = 1 << 14;
export const DATE_M = M_YEAR | M_MONTH | M_DAY;
export const ALL_SECS_M = M_SECOND | M_MILLISECOND | M_MICROSECOND;
export const TIME_M = M_HOUR | M_MINUTE | ALL_SECS_M;

export type Token =
  | {
      readonly kind: 'reserved';
      readonly value: 'now' | 'today' | 'tomorrow' | 'yesterday' | 'epoch' | 'infinity' | '-infinity' | 'allballs';
    }
  | { readonly kind: 'month' | 'dow'; readonly value: number }
  | { readonly kind: 'units'; readonly value: string }
  | { readonly kind: 'ampm'; readonly value: 'am' | 'pm' }
  | { readonly kind: 'adbc'; readonly value: 'ad' | 'bc' }
  | { readonly kind: 'dstmod' | 'ignore' | 'isotime' };

const MONTH_WORDS =
  'jan january,feb february,mar march,apr april,may,jun june,jul july,aug august,sep sept september,oct october,nov november,dec december';
const DAY_WORDS =
  'sun sunday,mon monday,tue tues tuesday,wed wednesday weds,thu thur thurs thursday,fri friday,sat saturday';
const UNIT_WORDS =
  'd=day dow=dow doy=doy h=hour isodow=isodow isoyear=isoyear j=julian jd=julian julian=julian m=month mm=minute s=second y=year';

function dateTokens(): Map<string, Token> {
  const tokens = new Map<string, Token>();
  MONTH_WORDS.split(',').forEach((words, i) =>
    words.split(' ').forEach(w => tokens.set(w, { kind: 'month', value: i + 1 })),
  );
  DAY_WORDS.split(',').forEach((words, i) => words.split(' ').forEach(w => tokens.set(w, { kind: 'dow', value: i })));
  for (const pair of UNIT_WORDS.split(' '))
    tokens.set(pair.split('=')[0], { kind: 'units', value: pair.split('=')[1] });
  for (const w of ['now', 'today', 'tomorrow', 'yesterday', 'epoch', 'infinity', '-infinity', 'allballs'] as const)
    tokens.set(w, { kind: 'reserved', value: w });
  tokens.set('am', { kind: 'ampm', value: 'am' }).set('pm', { kind: 'ampm', value: 'pm' });
  tokens.set('ad', { kind: 'adbc', value: 'ad' }).set('bc', { kind: 'adbc', value: 'bc' });
  return tokens
    .set('dst', { kind: 'dstmod' })
    .set('at', { kind: 'ignore' })
    .set('on', { kind: 'ignore' })
    .set('t', { kind: 'isotime' });
}

const TOKENS = dateTokens();
/** Tokens are compared by their first ten characters, as PostgreSQL does. */
const TOKMAXLEN = 10;

export function dateToken(word: string): Token | undefined {
  return TOKENS.get(word.slice(0, TOKMAXLEN)) ?? TOKENS.get(word);
}

const isDigit = (c: string | undefined): boolean => c !== undefined && c >= '0' && c <= '9';
const isAlpha = (c: string | undefined): boolean =>
  c !== undefined && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
const isBlank = (c: string | undefined): boolean => c === ' ' || (c !== undefined && c >= '\t' && c <= '\r');
const MAXDATEFIELDS = 25;
const MAXDATELEN = 128;

/** ParseDateTime(): cuts text into typed fields, words in lower case. */
export function parseDateTime(bytes: Uint8Array, limit = MAXDATELEN + MAXDATEFIELDS): Field[] {
  const s = textToString(bytes);
  const fields: Field[] = [];
  let used = 0;
  let i = 0;
  while (i < s.length) {
    const c = s[i];
    if (isBlank(c)) {
      i++;
      continue;
    }
    if (fields.length >= MAXDATEFIELDS) throw bad();
    const start = i;
    const run = (accept: (ch: string | undefined) => boolean): void => {
      while (accept(s[i])) i++;
    };
    let type: FieldType;
    let text: string | undefined;
    if (isDigit(c)) {
      run(isDigit);
      if (s[i] === ':') {
        type = 'time';
        i++;
        run(ch => isDigit(ch) || ch === ':' || ch === '.');
      } else if (s[i] === '-' || s[i] === '/' || s[i] === '.') {
        const delim = s[i++];
        if (isDigit(s[i])) {
          type = delim === '.' ? 'number' : 'date';
          run(isDigit);
          if (s[i] === delim) {
            type = 'date';
            i++;
            run(ch => isDigit(ch) || ch === delim);
          }
        } else {
          type = 'date';
          run(ch => isDigit(ch) || isAlpha(ch) || ch === delim);
        }
      } else type = 'number';
    } else if (c === '.') {
      i++;
      run(isDigit);
      type = 'number';
    } else if (isAlpha(c)) {
      type = 'string';
      run(isAlpha);
      const word = s.slice(start, i).toLowerCase();
      if (
        s[i] === '-' ||
        s[i] === '/' ||
        s[i] === '.' ||
        ((s[i] === '+' || isDigit(s[i])) && dateToken(word) === undefined)
      ) {
        type = 'date';
        run(ch => ch !== undefined && ('+-/_.:'.includes(ch) || isDigit(ch) || isAlpha(ch)));
      }
    } else if (c === '+' || c === '-') {
      i++;
      run(isBlank);
      const body = i;
      if (isDigit(s[i])) {
        type = 'tz';
        run(ch => isDigit(ch) || ch === ':' || ch === '.' || ch === '-');
      } else if (isAlpha(s[i])) {
        type = 'special';
        run(isAlpha);
      } else throw bad();
      text = c + s.slice(body, i);
    } else if (/[!-/:-@[-`{-~]/.test(c)) {
      i++;
      continue;
    } else throw bad();
    text = (text ?? s.slice(start, i)).toLowerCase();
    used += text.length + 1;
    if (used > limit) throw bad();
    fields.push({ type, text });
  }
  return fields;
}

/** strtoint(): a leading integer and what follows it. */
export function leadingInt(text: string): { value: number; rest: string } {
  const m = /^\s*[+-]?\d+/.exec(text);
  if (!m) return { value: 0, rest: text };
  const value = Number(m[0]);
  if (value > 0x7fffffff || value < -0x80000000) throw tooBig();
  return { value: value + 0, rest: text.slice(m[0].length) };
}

/** `.ddd` as a fraction; a lone point is zero. */
export function parseFraction(text: string): number {
  if (text === '.') return 0;
  if (!/^\.\d+(?:e[+-]?\d+)?$/.test(text)) throw bad();
  return Number(text);
}

const fractionalMicros = (text: string): number => rint(parseFraction(text) * 1000000);

/** ±hh[:mm[:ss]] or ±hhmm, to seconds west of UTC. */
export function decodeTimezone(text: string): number {
  if (text[0] !== '+' && text[0] !== '-') throw bad();
  const number = (s: string): { value: number; rest: string } => {
    try {
      return leadingInt(s);
    } catch {
      throw new DecodeError('tz-overflow');
    }
  };
  let { value: hr, rest } = number(text.slice(1));
  let min = 0;
  let sec = 0;
  if (rest[0] === ':') {
    ({ value: min, rest } = number(rest.slice(1)));
    if (rest[0] === ':') ({ value: sec, rest } = number(rest.slice(1)));
  } else if (rest === '' && text.length > 3) {
    min = hr % 100;
    hr = Math.trunc(hr / 100);
  }
  if (hr < 0 || hr > 15 || min < 0 || min >= 60 || sec < 0 || sec >= 60) throw new DecodeError('tz-overflow');
  const tz = (hr * 60 + min) * 60 + sec;
  if (rest !== '') throw bad();
  return text[0] === '-' ? tz : 0 - tz;
}

/** hh:mm[:ss[.fff]], or mm:ss.fff. The hour is not range-checked here. */
export function decodeTimeFields(
  text: string,
  minuteToSecond: boolean,
): { hour: number; min: number; sec: number; fsec: number } {
  const h = /^(\d+):([+-]?\d*)(.*)$/.exec(text);
  if (!h) throw bad();
  let hour = Number(h[1]);
  if (hour > 9223372036854775807) throw tooBig();
  let min = leadingInt(h[2]).value;
  let sec = 0;
  let fsec = 0;
  const rest = h[3];
  if (rest === '') {
    if (minuteToSecond) [hour, min, sec] = [0, hour, min];
  } else if (rest[0] === '.') {
    fsec = fractionalMicros(rest);
    [hour, min, sec] = [0, hour, min];
  } else if (rest[0] === ':') {
    const s = leadingInt(rest.slice(1));
    sec = s.value;
    if (s.rest[0] === '.') fsec = fractionalMicros(s.rest);
    else if (s.rest !== '') throw bad();
  } else throw bad();
  if (min < 0 || min > 59 || sec < 0 || sec > 60 || fsec < 0 || fsec > USECS_PER_SEC) throw tooBig();
  return { hour, min, sec, fsec };
}

function timeOverflows(tm: Tm): boolean {
  if (
    tm.hour < 0 ||
    tm.hour > 24 ||
    tm.min < 0 ||
    tm.min >= 60 ||
    tm.sec < 0 ||
    tm.sec > 60 ||
    tm.fsec < 0 ||
    tm.fsec > USECS_PER_SEC
  )
    return true;
  return ((tm.hour * 60 + tm.min) * 60 + tm.sec) * USECS_PER_SEC + tm.fsec > USECS_PER_DAY;
}

/** What a text meant. `tz`: seconds west of UTC; `dtype` 'time' when no date was given at all. */
export interface Decoded {
  readonly dtype: 'date' | 'time' | 'epoch' | 'infinity' | '-infinity';
  readonly tm: Tm;
  readonly tz: number;
  readonly hasDate: boolean;
  readonly fmask: number;
}

class Decoder {
  readonly settings: SessionSettings;
  readonly wantTz: boolean;
  readonly tm = newTm();
  fmask = 0;
  tz = 0;
  dtype: Decoded['dtype'] = 'date';
  is2digits = false;
  isJulian = false;
  bc = false;
  haveTextMonth = false;
  meridian: 'am' | 'pm' | undefined;
  /** Label before a number, as in y2001m02d04. */
  prefix = '';
  namedZone: Zone | undefined;
  abbreviation: ZoneAbbreviation | undefined;

  constructor(settings: SessionSettings, wantTz: boolean) {
    this.settings = settings;
    this.wantTz = wantTz;
  }

  needTz(): void {
    if (!this.wantTz) throw bad();
  }

  add(mask: number): void {
    if ((mask & this.fmask) !== 0) throw bad();
    this.fmask |= mask;
  }

  local(): Tm {
    const { settings } = this;
    const zone = sessionZone(settings);
    const now = settings.transactionTimestamp;
    const tm = timestampToTm(addMicros(now, zone.offsetAt(unixSecondsOf(now)) * USECS_PER_SEC));
    if (!tm) throw tooBig();
    return tm;
  }

  /** yyyymmdd, yymmdd, hhmmss, hhmm, each with a fraction perhaps. */
  numberField(text: string, mask: number): number {
    let body = text;
    const point = text.indexOf('.');
    if (point >= 0) {
      const fraction = text.slice(point);
      this.tm.fsec = fraction === '.' ? 0 : rint(Number(fraction) * 1000000);
      body = text.slice(0, point);
    } else if ((mask & DATE_M) !== DATE_M && body.length >= 6) {
      const n = body.length;
      this.tm.mday = Number(body.slice(n - 2));
      this.tm.mon = Number(body.slice(n - 4, n - 2));
      this.tm.year = Number(body.slice(0, n - 4)) | 0;
      if (n - 4 === 2) this.is2digits = true;
      return DATE_M;
    }
    if ((mask & TIME_M) !== TIME_M && (body.length === 6 || body.length === 4)) {
      this.tm.hour = Number(body.slice(0, 2));
      this.tm.min = Number(body.slice(2, 4));
      this.tm.sec = body.length === 6 ? Number(body.slice(4)) : 0;
      return TIME_M;
    }
    throw bad();
  }

  /** A single number whose meaning follows from what is known already and DateOrder. */
  number(text: string, haveTextMonth: boolean, fmask: number): number {
    const { value, rest } = leadingInt(text);
    if (rest === text) throw bad();
    if (rest[0] === '.') {
      if (text.length - rest.length > 2) return this.numberField(text, fmask | DATE_M);
      this.tm.fsec = fractionalMicros(rest);
    } else if (rest !== '') throw bad();
    const { length } = text;
    if (length === 3 && (fmask & DATE_M) === M_YEAR && value >= 1 && value <= 366) {
      this.tm.yday = value;
      return M_DOY | M_MONTH | M_DAY;
    }
    const order = this.settings.dateOrder;
    let mask: number;
    switch (fmask & DATE_M) {
      case 0:
        mask = length >= 3 || order === 'YMD' ? M_YEAR : order === 'DMY' ? M_DAY : M_MONTH;
        break;
      case M_YEAR:
        mask = M_MONTH;
        break;
      case M_MONTH:
        mask = haveTextMonth && (length >= 3 || order === 'YMD') ? M_YEAR : M_DAY;
        break;
      case M_YEAR | M_MONTH:
        mask = M_DAY;
        if (haveTextMonth && length >= 3 && this.is2digits) {
          // What was taken for the year was the day.
          this.tm.mday = this.tm.year;
          this.tm.year = value;
          this.is2digits = false;
          return M_DAY;
        }
        break;
      case M_DAY:
        mask = M_MONTH;
        break;
      case M_MONTH | M_DAY:
        mask = M_YEAR;
        break;
      case DATE_M:
        return this.numberField(text, fmask);
      default:
        throw bad();
    }
    if (mask === M_YEAR) {
      this.tm.year = value;
      this.is2digits = length <= 2;
    } else if (mask === M_MONTH) this.tm.mon = value;
    else this.tm.mday = value;
    return mask;
  }

  /** A date in one field: numbers and perhaps a month's name between delimiters. */
  date(text: string, outer: number): number {
    let fmask = outer;
    let result = 0;
    if (/[^0-9a-z]$/.test(text)) throw bad();
    const parts = text.match(/\d+|[a-z]+|[^0-9a-z]+/g) ?? [];
    const words: string[] = [];
    for (const part of parts) if (/^[0-9a-z]/.test(part)) words.push(part);
    const numbers: string[] = [];
    let textMonth = false;
    const add = (mask: number): void => {
      if ((fmask & mask) !== 0) throw bad();
      fmask |= mask;
      result |= mask;
    };
    for (const word of words) {
      if (isDigit(word[0])) {
        numbers.push(word);
        continue;
      }
      const token = dateToken(word);
      if (token?.kind === 'ignore') continue;
      if (token?.kind !== 'month') throw bad();
      this.tm.mon = token.value;
      textMonth = true;
      add(M_MONTH);
    }
    for (const word of numbers) add(this.number(word, textMonth, fmask));
    if ((fmask & ~(M_DOY | M_TZ)) !== DATE_M) throw bad();
    return result;
  }

  time(text: string): number {
    const t = decodeTimeFields(text, false);
    if (t.hour > 0x7fffffff) throw tooBig();
    Object.assign(this.tm, t);
    return TIME_M;
  }

  julianDay(value: number): void {
    if (value < 0) throw tooBig();
    j2date(value, this.tm);
    this.isJulian = true;
  }

  /** The number after a label: y, m, d, h, mm, s, j, t. */
  labelled(text: string): number {
    const label = this.prefix;
    this.prefix = '';
    const { value, rest } = leadingInt(text);
    if (rest[0] === '.') {
      if (label !== 'julian' && label !== 'time' && label !== 'second') throw bad();
    } else if (rest !== '') throw bad();
    switch (label) {
      case 'year':
        this.tm.year = value;
        return M_YEAR;
      case 'month':
        if ((this.fmask & M_MONTH) !== 0 && (this.fmask & M_HOUR) !== 0) {
          this.tm.min = value;
          return M_MINUTE;
        }
        this.tm.mon = value;
        return M_MONTH;
      case 'day':
        this.tm.mday = value;
        return M_DAY;
      case 'hour':
        this.tm.hour = value;
        return M_HOUR;
      case 'minute':
        this.tm.min = value;
        return M_MINUTE;
      case 'second':
        this.tm.sec = value;
        if (rest[0] !== '.') return M_SECOND;
        this.tm.fsec = fractionalMicros(rest);
        return ALL_SECS_M;
      case 'julian':
        this.julianDay(value);
        if (rest[0] !== '.') return DATE_M;
        setTime(this.tm, Math.trunc(parseFraction(rest) * USECS_PER_DAY));
        return DATE_M | TIME_M;
      case 'time': {
        const mask = this.numberField(text, this.fmask | DATE_M);
        if (mask !== TIME_M) throw bad();
        return mask;
      }
      default:
        throw bad();
    }
  }

  zone(text: string): number {
    this.namedZone = findZone(text);
    if (!this.namedZone) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `time zone "${text}" not recognized`);
    return M_TZ;
  }

  /** hhmmss-zz, the time run together with its zone. */
  timeWithZone(text: string, mask: number): number {
    if ((this.fmask & TIME_M) === TIME_M) throw bad();
    const at = text.indexOf('-');
    if (at < 0) throw bad();
    this.tz = decodeTimezone(text.slice(at));
    return this.numberField(text.slice(0, at), mask) | M_TZ;
  }

  /** A zone abbreviation, or undefined when the word is none. */
  zoneWord(word: string): number | undefined {
    const abbreviation = zoneAbbreviations().get(word);
    if (!abbreviation) return undefined;
    this.needTz();
    if (abbreviation.offset === undefined) this.abbreviation = abbreviation;
    else this.tz = 0 - abbreviation.offset;
    this.tm.isdst = abbreviation.isDst ? 1 : 0;
    return M_TZ;
  }

  dstModifier(): number {
    this.needTz();
    this.tm.isdst = 1;
    this.tz -= 3600;
    return M_DTZMOD;
  }

  isoTime(fields: readonly Field[], i: number): void {
    const next = fields[i + 1]?.type;
    if (next !== 'number' && next !== 'time' && next !== 'date') throw bad();
    this.prefix = 'time';
  }

  finishDate(): void {
    const { tm, fmask } = this;
    if ((fmask & M_YEAR) !== 0 && !this.isJulian) {
      if (this.bc) {
        if (tm.year <= 0) throw tooBig();
        tm.year = -(tm.year - 1) + 0;
      } else if (this.is2digits) {
        if (tm.year < 0) throw tooBig();
        tm.year += tm.year < 70 ? 2000 : tm.year < 100 ? 1900 : 0;
      } else if (tm.year <= 0) throw tooBig();
    }
    if ((fmask & M_DOY) !== 0) j2date(date2j(tm.year, 1, 1) + tm.yday - 1, tm);
    if ((fmask & M_MONTH) !== 0 && (tm.mon < 1 || tm.mon > 12)) throw new DecodeError('md-overflow');
    if ((fmask & M_DAY) !== 0 && (tm.mday < 1 || tm.mday > 31)) throw new DecodeError('md-overflow');
    if ((fmask & DATE_M) === DATE_M && tm.mday > daysInMonth(tm.year, tm.mon)) throw tooBig();
  }

  finishMeridian(): void {
    const { tm } = this;
    if (this.meridian === undefined) return;
    if (tm.hour > 12) throw tooBig();
    if (this.meridian === 'am' && tm.hour === 12) tm.hour = 0;
    else if (this.meridian === 'pm' && tm.hour !== 12) tm.hour += 12;
  }

  reserved(value: Token & { kind: 'reserved' }): number {
    switch (value.value) {
      case 'now': {
        const now = this.local();
        this.copyDate(now);
        Object.assign(this.tm, { hour: now.hour, min: now.min, sec: now.sec, fsec: now.fsec });
        this.tz = 0 - sessionZone(this.settings).offsetAt(unixSecondsOf(this.settings.transactionTimestamp));
        return DATE_M | TIME_M | M_TZ;
      }
      case 'today':
      case 'tomorrow':
      case 'yesterday': {
        const now = this.local();
        const shift = value.value === 'today' ? 0 : value.value === 'tomorrow' ? 1 : -1;
        j2date(date2j(now.year, now.mon, now.mday) + shift, this.tm);
        return DATE_M;
      }
      case 'allballs':
        Object.assign(this.tm, { hour: 0, min: 0, sec: 0 });
        this.tz = 0;
        return TIME_M | M_TZ;
      default:
        this.dtype = value.value;
        return 0;
    }
  }

  copyDate(from: Tm): void {
    this.tm.year = from.year;
    this.tm.mon = from.mon;
    this.tm.mday = from.mday;
  }

  word(fields: readonly Field[], i: number, timeOnly: boolean): void {
    const { text } = fields[i];
    const zone = this.zoneWord(text);
    if (zone !== undefined) return this.add(zone);
    const token = dateToken(text);
    if (token === undefined) {
      this.namedZone = findZone(text);
      if (!this.namedZone) throw bad();
      return this.add(M_TZ);
    }
    switch (token.kind) {
      case 'ignore':
        return;
      case 'reserved':
        if (timeOnly) return this.reservedTime(token.value);
        return this.add(this.reserved(token) || 1);
      case 'month': {
        if (timeOnly) throw bad();
        let mask = M_MONTH;
        if (
          (this.fmask & M_MONTH) !== 0 &&
          !this.haveTextMonth &&
          (this.fmask & M_DAY) === 0 &&
          this.tm.mon >= 1 &&
          this.tm.mon <= 31
        ) {
          this.tm.mday = this.tm.mon;
          mask = M_DAY;
        }
        this.haveTextMonth = true;
        this.tm.mon = token.value;
        return this.add(mask);
      }
      case 'dstmod':
        return this.add(this.dstModifier());
      case 'ampm':
        this.meridian = token.value;
        return this.add(M_AMPM);
      case 'adbc':
        this.bc = token.value === 'bc';
        return this.add(M_ADBC);
      case 'dow':
        if (timeOnly) throw bad();
        return this.add(M_DOW);
      case 'units':
        this.prefix = token.value;
        return;
      case 'isotime':
        if (!timeOnly && (this.fmask & DATE_M) !== DATE_M) throw bad();
        return this.isoTime(fields, i);
    }
  }

  reservedTime(value: string): void {
    if (value === 'now') {
      const now = this.local();
      Object.assign(this.tm, { hour: now.hour, min: now.min, sec: now.sec, fsec: now.fsec });
      return this.add(TIME_M);
    }
    if (value !== 'allballs') throw bad();
    Object.assign(this.tm, { hour: 0, min: 0, sec: 0, isdst: 0 });
    this.add(TIME_M | M_TZ);
  }
}

const fixedZones = new Map<string, Zone>();

/** The session's zone; the setting was checked when it was set. */
export function sessionZone(settings: SessionSettings): Zone {
  const found = findZone(settings.timeZone) ?? fixedZones.get(settings.timeZone);
  if (found) return found;
  // SET TIME ZONE with a number of hours shows as <+03>-03.
  const m = /^<[^>]*>([+-]?)(\d+)(?::(\d+))?(?::(\d+))?$/.exec(settings.timeZone);
  const west = m ? ((Number(m[2]) * 60 + Number(m[3] ?? 0)) * 60 + Number(m[4] ?? 0)) * (m[1] === '-' ? -1 : 1) : 0;
  if (fixedZones.size > 2000) fixedZones.clear();
  fixedZones.set(settings.timeZone, fixedZone(0 - west));
  return fixedZones.get(settings.timeZone)!;
}

/** DecodeDateTime(): a date, with a time and a zone perhaps. */
export function decodeDateTime(fields: readonly Field[], settings: SessionSettings): Decoded {
  const d = new Decoder(settings, true);
  fields.forEach((field, i) => {
    const { text } = field;
    switch (field.type) {
      case 'date':
        if (d.prefix === 'julian') {
          d.prefix = '';
          const { value, rest } = leadingInt(text);
          d.julianDay(value);
          d.tz = decodeTimezone(rest);
          d.add(DATE_M | TIME_M | M_TZ);
        } else if (d.prefix !== '' || (d.fmask & (M_MONTH | M_DAY)) === (M_MONTH | M_DAY)) {
          if (d.prefix !== '' || isDigit(text[0])) {
            if (d.prefix !== '' && d.prefix !== 'time') throw bad();
            d.prefix = '';
            d.add(d.timeWithZone(text, d.fmask));
          } else d.add(d.zone(text));
        } else d.add(d.date(text, d.fmask));
        break;
      case 'time':
        if (d.prefix !== '' && d.prefix !== 'time') throw bad();
        d.prefix = '';
        d.add(d.time(text));
        if (timeOverflows(d.tm)) throw tooBig();
        break;
      case 'tz':
        d.tz = decodeTimezone(text);
        d.add(M_TZ);
        break;
      case 'number': {
        if (d.prefix !== '') {
          d.add(d.labelled(text));
          d.dtype = 'date';
          break;
        }
        const point = text.indexOf('.');
        if (point >= 0 && (d.fmask & DATE_M) === 0) d.add(d.date(text, d.fmask));
        else if (point > 2) d.add(d.numberField(text, d.fmask));
        else if (text.length >= 6 && ((d.fmask & DATE_M) === 0 || (d.fmask & TIME_M) === 0))
          d.add(d.numberField(text, d.fmask));
        else d.add(d.number(text, d.haveTextMonth, d.fmask));
        break;
      }
      case 'string':
      case 'special':
        d.word(fields, i, false);
    }
  });
  d.finishDate();
  d.finishMeridian();
  const hasDate = (d.fmask & DATE_M) === DATE_M;
  if (d.dtype === 'date') {
    if (!hasDate) {
      if ((d.fmask & TIME_M) !== TIME_M) throw bad();
      return { dtype: 'time', tm: d.tm, tz: d.tz, hasDate, fmask: d.fmask };
    }
    const withModifier = (d.fmask & M_DTZMOD) !== 0;
    if (d.namedZone) {
      if (withModifier) throw bad();
      d.tz = determineTimeZoneOffset(d.tm, d.namedZone);
    }
    if (d.abbreviation) {
      if (withModifier) throw bad();
      d.tz = abbreviationOffset(d.abbreviation, d.tm);
    }
    if ((d.fmask & M_TZ) === 0) {
      if (withModifier) throw bad();
      d.tz = determineTimeZoneOffset(d.tm, sessionZone(settings));
    }
  }
  return { dtype: d.dtype, tm: d.tm, tz: d.tz, hasDate, fmask: d.fmask };
}

/** DecodeTimeOnly(): a time of day, with a zone when `wantTz`. */
export function decodeTimeOnly(fields: readonly Field[], settings: SessionSettings, wantTz: boolean): Decoded {
  const d = new Decoder(settings, wantTz);
  d.dtype = 'time';
  const last = fields[fields.length - 1]?.type;
  const types = fields.map(f => f.type);
  fields.forEach((field, i) => {
    const { text } = field;
    switch (field.type) {
      case 'date':
        d.needTz();
        if (i === 0 && fields.length >= 2 && (types[fields.length - 1] === 'date' || types[1] === 'time'))
          d.add(d.date(text, d.fmask));
        else if (isDigit(text[0])) {
          d.add(d.timeWithZone(text, d.fmask | DATE_M));
          types[i] = 'time';
        } else {
          d.add(d.zone(text));
          types[i] = 'tz';
        }
        break;
      case 'time':
        d.add(d.time(text));
        d.prefix = '';
        break;
      case 'tz':
        d.needTz();
        d.tz = decodeTimezone(text);
        d.add(M_TZ);
        break;
      case 'number': {
        if (d.prefix !== '') {
          if (['julian', 'year', 'month', 'day'].includes(d.prefix)) d.needTz();
          d.add(d.labelled(text));
          break;
        }
        const point = text.indexOf('.');
        if (point >= 0) {
          if (i === 0 && fields.length >= 2 && last === 'date') d.add(d.date(text, d.fmask));
          else if (point > 2) d.add(d.numberField(text, d.fmask | DATE_M));
          else throw bad();
        } else if (text.length > 4) d.add(d.numberField(text, d.fmask | DATE_M));
        else d.add(d.number(text, false, d.fmask | DATE_M));
        break;
      }
      case 'string':
      case 'special':
        d.word(fields, i, true);
    }
  });
  d.finishDate();
  d.finishMeridian();
  if (timeOverflows(d.tm)) throw tooBig();
  if ((d.fmask & TIME_M) !== TIME_M) throw bad();
  const hasDate = (d.fmask & DATE_M) === DATE_M;
  const withModifier = (d.fmask & M_DTZMOD) !== 0;
  if (d.namedZone) {
    if (withModifier) throw bad();
    if (d.namedZone.fixed) d.tz = 0 - d.namedZone.offsetAt(0);
    else {
      if (!hasDate) throw bad();
      d.tz = determineTimeZoneOffset(d.tm, d.namedZone);
    }
  }
  if (wantTz && (d.abbreviation || (d.fmask & M_TZ) === 0)) {
    if (withModifier) throw bad();
    const tm = { ...d.tm };
    if ((d.fmask & DATE_M) === 0) {
      const now = d.local();
      tm.year = now.year;
      tm.mon = now.mon;
      tm.mday = now.mday;
    } else if (!hasDate) throw bad();
    d.tz = d.abbreviation ? abbreviationOffset(d.abbreviation, tm) : determineTimeZoneOffset(tm, sessionZone(settings));
  }
  return { dtype: 'time', tm: d.tm, tz: d.tz, hasDate, fmask: d.fmask };
}

/** Zone of an AT TIME ZONE argument: an abbreviation or a full name. Answers the offset west at a local time. */
export function zoneByName(name: string): { abbreviation: ZoneAbbreviation } | { zone: Zone } {
  const abbreviation = zoneAbbreviations().get(name.toLowerCase());
  if (abbreviation) return { abbreviation };
  const zone = findZone(name);
  if (!zone) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `time zone "${name}" not recognized`);
  return { zone };
}
