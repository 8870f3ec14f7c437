/**
 * The reading half of date pictures: a text taken apart by a picture's nodes into numbers, none of them checked
 * against the others. A zero says "not given", as in PostgreSQL: what is given twice must agree unless one is zero.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { DAYS, MONTHS, MONTHS_FULL } from './datetime_out.ts';
import { type FormatNode, parseFormat, ROMAN_MONTHS } from './format_node.ts';

/** What was read, under PostgreSQL's names: `j` is the Julian day, `d` counts from Sunday = 1, `ff` is FFn's n. */
export class TmFromChar {
  mode: 'gregorian' | 'iso week' | undefined;
  hh = 0;
  pm = 0;
  mi = 0;
  ss = 0;
  ssss = 0;
  d = 0;
  dd = 0;
  ddd = 0;
  mm = 0;
  ms = 0;
  year = 0;
  bc = 0;
  ww = 0;
  w = 0;
  cc = 0;
  j = 0;
  us = 0;
  /** Digits of the keyword that the year was read by. */
  yysz = 0;
  twelve = false;
  tzsign = 0;
  tzh = 0;
  tzm = 0;
  ff = 0;
}

/** Fields that may be given twice. */
type IntField = Exclude<keyof TmFromChar, 'mode' | 'twelve' | 'yysz' | 'tzsign' | 'ff'>;

const GREGORIAN = new Set('DDD DD D MM MONTH MON RM WW W Y,YYY YYYY YYY YY Y'.split(' '));
const ISO_WEEK = new Set('IDDD ID IW IYYY IYY IY I'.split(' '));
const NO_DIGITS = new Set('A.D. A.M. AD AM B.C. BC P.M. PM DAY DY FX MONTH MON OF RM TZH TZ'.split(' '));

const AM_PM = ['am', 'pm'];
const AM_PM_LONG = ['a.m.', 'p.m.'];
const AD_BC = ['ad', 'bc'];
const AD_BC_LONG = ['a.d.', 'b.c.'];
const DAYS_SHORT = DAYS.map(day => day.slice(0, 3));

const FIXED_WIDTH_HINT = 'If your source string is not fixed-width, try using the "FM" modifier.';

const isSpace = (c: string | undefined): boolean => c !== undefined && /^[ \t\n\v\f\r]/.test(c);
const isSeparator = (c: string | undefined): boolean => c !== undefined && /^[!-/:-@[-`{-~]/.test(c);

/** A year of fewer than four digits is the one nearest to 2020. */
function adjustPartialYear(year: number): number {
  if (year < 70) return year + 2000;
  if (year < 100) return year + 1900;
  if (year < 520) return year + 2000;
  return year < 1000 ? year + 1000 : year;
}

/** Whether what follows a number cannot be read as more of it. */
function isNextSeparator(node: FormatNode, next: FormatNode | undefined): boolean {
  if (node.th !== '' || next === undefined) return true;
  return next.key === '' ? !/^\d$/.test(next.text) : NO_DIGITS.has(next.key.toUpperCase());
}

class FromChar {
  readonly text: string;
  readonly out = new TmFromChar();
  private at = 0;
  /** Characters skipped in the text beyond those that the picture asked for. */
  private extraSkip = 0;

  constructor(text: string) {
    this.text = text;
  }

  private skipSpaces(): void {
    while (isSpace(this.text[this.at])) {
      this.at++;
      this.extraSkip++;
    }
  }

  private skipCharacter(): void {
    if (this.at < this.text.length) this.at += this.text.codePointAt(this.at)! > 0xffff ? 2 : 1;
  }

  private setMode(mode: TmFromChar['mode']): void {
    if (mode === undefined) return;
    this.out.mode ??= mode;
    if (this.out.mode !== mode) {
      throw ereport(ERRCODE.INVALID_DATETIME_FORMAT, 'invalid combination of date conventions', {
        hint: 'Do not mix Gregorian and ISO week date conventions in a formatting template.',
      });
    }
  }

  private set(field: IntField, value: number, node: FormatNode): void {
    if (this.out[field] !== 0 && this.out[field] !== value) {
      throw ereport(
        ERRCODE.INVALID_DATETIME_FORMAT,
        `conflicting values for "${node.key}" field in formatting string`,
        { detail: 'This value contradicts a previous setting for the same field type.' },
      );
    }
    this.out[field] = value;
  }

  /** Reads a number of `width` characters, or of any length before a separator; answers the characters consumed. */
  private int(field: IntField | undefined, width: number, node: FormatNode, next: FormatNode | undefined): number {
    const start = this.at;
    while (isSpace(this.text[this.at])) this.at++;
    const piece = this.text.slice(this.at, this.at + width);
    const open = node.fill || isNextSeparator(node, next);
    const bad = (detail: string, hint?: string): never => {
      throw ereport(ERRCODE.INVALID_DATETIME_FORMAT, `invalid value "${piece}" for "${node.key}"`, { detail, hint });
    };
    if (!open && piece.length < width) {
      throw ereport(ERRCODE.INVALID_DATETIME_FORMAT, `source string too short for "${node.key}" formatting field`, {
        detail: `Field requires ${width} characters, but only ${piece.length} remain.`,
        hint: FIXED_WIDTH_HINT,
      });
    }
    const digits = /^[ \t\n\v\f\r]*[+-]?\d+/.exec(open ? this.text.slice(this.at) : piece)?.[0] ?? '';
    if (open && digits === '') this.at = start;
    if (!open && digits !== '' && digits.length < width)
      bad(`Field requires ${width} characters, but only ${digits.length} could be parsed.`, FIXED_WIDTH_HINT);
    this.at += digits.length;
    if (this.at === start) bad('Value must be an integer.');
    // What is no number behind skipped blanks reads as zero.
    const value = Number(digits) + 0;
    if (value < -0x80000000 || value > 0x7fffffff) {
      throw ereport(ERRCODE.DATETIME_VALUE_OUT_OF_RANGE, `value for "${node.key}" in source string is out of range`, {
        detail: 'Value must be in the range -2147483648 to 2147483647.',
      });
    }
    if (field !== undefined) this.set(field, value, node);
    return this.at - start;
  }

  /** The index of the first of the words that the text goes on with, in any case. */
  private word(words: readonly string[], node: FormatNode): number {
    const rest = this.text.slice(this.at);
    const i = words.findIndex(w => rest.slice(0, w.length).toLowerCase() === w.toLowerCase());
    if (i < 0) {
      const shown = /^[^ \t\n\r\f\v]*/.exec(rest)![0];
      throw ereport(ERRCODE.INVALID_DATETIME_FORMAT, `invalid value "${shown}" for "${node.key}"`, {
        detail: 'The given value did not match any of the allowed values for this field.',
      });
    }
    this.at += words[i].length;
    return i;
  }

  private literal(node: FormatNode, fixed: boolean): void {
    const loose = !node.quoted && (isSeparator(node.text) || isSpace(node.text));
    if (fixed) this.skipCharacter();
    else if (loose) {
      // One separator of the picture stands for one of the text, or for none.
      this.extraSkip--;
      if (isSpace(this.text[this.at]) || isSeparator(this.text[this.at])) {
        this.at++;
        this.extraSkip++;
      }
    } else if (this.extraSkip > 0) this.extraSkip--;
    else this.skipCharacter();
  }

  private year(width: number, node: FormatNode, next: FormatNode | undefined): void {
    const used = this.int('year', width, node, next);
    if (width < 4 && used < 4) this.out.year = adjustPartialYear(this.out.year);
    this.out.yysz = width;
  }

  private zoneHour(node: FormatNode, next: FormatNode | undefined): void {
    const c = this.text[this.at];
    if (c === '+' || c === '-' || c === ' ') {
      this.out.tzsign = c === '-' ? -1 : 1;
      this.at++;
    }
    // The minus may have been taken for a separator.
    else this.out.tzsign = this.extraSkip > 0 && this.text[this.at - 1] === '-' ? -1 : 1;
    this.int('tzh', 2, node, next);
  }

  private thousands(node: FormatNode): void {
    const m = /^[ \t\n\v\f\r]*([+-]?\d+),[ \t\n\v\f\r]*([+-]?\d{1,3})/.exec(this.text.slice(this.at));
    if (!m) throw ereport(ERRCODE.INVALID_DATETIME_FORMAT, 'invalid input string for "Y,YYY"');
    this.set('year', Number(m[1]) * 1000 + Number(m[2]), node);
    this.out.yysz = 4;
    this.at += m[0].length;
  }

  private field(node: FormatNode, next: FormatNode | undefined): void {
    const { out } = this;
    const key = node.key.toUpperCase();
    const int = (field: IntField | undefined, width: number): number => this.int(field, width, node, next);
    const fraction = (field: 'ms' | 'us', width: number, places: number): void => {
      const used = int(field, width);
      out[field] *= 10 ** Math.max(0, places - used);
    };
    switch (key) {
      case 'A.M.':
      case 'P.M.':
      case 'AM':
      case 'PM':
        this.set('pm', this.word(key.length === 4 ? AM_PM_LONG : AM_PM, node), node);
        out.twelve = true;
        return;
      case 'A.D.':
      case 'B.C.':
      case 'AD':
      case 'BC':
        return this.set('bc', this.word(key.length === 4 ? AD_BC_LONG : AD_BC, node), node);
      case 'MONTH':
      case 'MON':
        return this.set('mm', this.word(key === 'MON' ? MONTHS : MONTHS_FULL, node) + 1, node);
      case 'RM':
        return this.set('mm', 12 - this.word(ROMAN_MONTHS, node), node);
      case 'DAY':
      case 'DY':
        this.set('d', this.word(key === 'DY' ? DAYS_SHORT : DAYS, node), node);
        out.d++;
        return;
      case 'TZH':
        return this.zoneHour(node, next);
      case 'TZM':
        out.tzsign ||= 1;
        int('tzm', 2);
        return;
      case 'TZ':
      case 'OF':
        throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `formatting field "${node.key}" is only supported in to_char`);
      case 'HH':
      case 'HH12':
        int('hh', 2);
        out.twelve = true;
        break;
      case 'HH24':
        int('hh', 2);
        break;
      case 'MI':
        int('mi', 2);
        break;
      case 'SS':
        int('ss', 2);
        break;
      case 'SSSS':
      case 'SSSSS':
        int('ssss', key.length);
        break;
      case 'MS':
        // 25 is .25 and 250 is .25 too; 025 is .025.
        fraction('ms', 3, 3);
        break;
      case 'FF1':
      case 'FF2':
      case 'FF3':
      case 'FF4':
      case 'FF5':
      case 'FF6':
        out.ff = Number(key[2]);
        fraction('us', out.ff, 6);
        break;
      case 'US':
        fraction('us', 6, 6);
        break;
      case 'MM':
        int('mm', 2);
        break;
      case 'DDD':
      case 'IDDD':
        int('ddd', 3);
        break;
      case 'DD':
        int('dd', 2);
        break;
      case 'D':
        int('d', 1);
        break;
      case 'ID':
        int('d', 1);
        // Monday is 1 there and 2 here.
        if (++out.d > 7) out.d = 1;
        break;
      case 'WW':
      case 'IW':
        int('ww', 2);
        break;
      case 'W':
        int('w', 1);
        break;
      case 'Q':
        // A quarter says nothing about the date in it.
        int(undefined, 1);
        break;
      case 'CC':
        int('cc', 2);
        break;
      case 'J':
        int('j', 1);
        break;
      case 'Y,YYY':
        this.thousands(node);
        break;
      case 'YYYY':
      case 'YYY':
      case 'YY':
      case 'Y':
      case 'IYYY':
      case 'IYY':
      case 'IY':
      case 'I':
        this.year(key.length, node, next);
        break;
      default:
        throw notSupported(`formatting field "${node.key}" in to_timestamp`);
    }
    if (node.th !== '') {
      this.skipCharacter();
      this.skipCharacter();
    }
  }

  read(nodes: readonly FormatNode[]): TmFromChar {
    let fixed = false;
    for (let i = 0; i < nodes.length && this.at < this.text.length; i++) {
      const node = nodes[i];
      const key = node.key.toUpperCase();
      if (!fixed && key !== 'FX' && (key !== '' || i === 0)) this.skipSpaces();
      if (key === '') {
        this.literal(node, fixed);
        continue;
      }
      this.setMode(GREGORIAN.has(key) ? 'gregorian' : ISO_WEEK.has(key) ? 'iso week' : undefined);
      if (key === 'FX') fixed = true;
      else this.field(node, nodes[i + 1]);
      if (!fixed) {
        this.extraSkip = 0;
        this.skipSpaces();
      }
    }
    return this.out;
  }
}

export const fromChar = (text: string, picture: string): TmFromChar =>
  new FromChar(text).read(parseFormat(picture, 'date'));
