/**
 * to_char() of numbers and to_number(). A picture is first described (digits before and after the
 * point, signs, fill mode), then filled in keyword by keyword.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { EMPTY_BYTES, stringToText, textToString } from './mb/mbutils.ts';
import { exponentialEven, rint } from './float.ts';
import { type FormatNode, ordinal, parseFormat } from './format_node.ts';
import { type Int8 } from './int8.ts';
import { NumberReader } from './number_reader.ts';
import { parseNumeric } from './numericio.ts';
import {
  finite,
  formatNumericVar,
  makeNumericTypmod,
  type NumericVar,
  packNumeric,
  pow10,
  roundVar,
  unpackNumeric,
} from './numericvar.ts';

type Bytes = Uint8Array;

/** NUMDesc: what a picture asks for. */
export interface Picture {
  readonly nodes: readonly FormatNode[];
  pre: number;
  post: number;
  multi: number;
  hasMulti: boolean;
  decimal: boolean;
  fill: boolean;
  zero: boolean;
  zeroStart: number;
  zeroEnd: number;
  blank: boolean;
  lsign: 'none' | 'pre' | 'post';
  hasLsign: boolean;
  preLsign: number;
  plus: boolean;
  minus: boolean;
  bracket: boolean;
  roman: boolean;
  scientific: boolean;
}

const syntax = (message: string, detail?: string): PgError => ereport(ERRCODE.SYNTAX_ERROR, message, { detail });

function describe(format: string): Picture {
  const p: Picture = {
    nodes: parseFormat(format, 'number'),
    pre: 0,
    post: 0,
    multi: 0,
    hasMulti: false,
    decimal: false,
    fill: false,
    zero: false,
    zeroStart: 0,
    zeroEnd: 0,
    blank: false,
    lsign: 'none',
    hasLsign: false,
    preLsign: 0,
    plus: false,
    minus: false,
    bracket: false,
    roman: false,
    scientific: false,
  };
  for (const { key } of p.nodes) {
    if (key === '') continue;
    const k = key.toUpperCase();
    if (p.scientific && k !== 'EEEE') throw syntax('"EEEE" must be the last pattern used');
    switch (k) {
      case '9':
        if (p.bracket) throw syntax('"9" must be ahead of "PR"');
        if (p.hasMulti) p.multi++;
        else if (p.decimal) p.post++;
        else p.pre++;
        break;
      case '0':
        if (p.bracket) throw syntax('"0" must be ahead of "PR"');
        if (!p.zero && !p.decimal) {
          p.zero = true;
          p.zeroStart = p.pre + 1;
        }
        if (p.decimal) p.post++;
        else p.pre++;
        p.zeroEnd = p.pre + p.post;
        break;
      case 'B':
        if (p.pre === 0 && p.post === 0 && !p.zero) p.blank = true;
        break;
      case 'D':
      case '.':
        if (p.decimal) throw syntax('multiple decimal points');
        if (p.hasMulti) throw syntax('cannot use "V" and decimal point together');
        p.decimal = true;
        break;
      case 'FM':
        p.fill = true;
        break;
      case 'S':
        if (p.hasLsign) throw syntax('cannot use "S" twice');
        if (p.plus || p.minus || p.bracket) throw syntax('cannot use "S" and "PL"/"MI"/"SG"/"PR" together');
        if (!p.decimal) {
          p.lsign = 'pre';
          p.preLsign = p.pre;
        } else p.lsign = 'post';
        p.hasLsign = true;
        break;
      case 'MI':
        if (p.hasLsign) throw syntax('cannot use "S" and "MI" together');
        p.minus = true;
        break;
      case 'PL':
        if (p.hasLsign) throw syntax('cannot use "S" and "PL" together');
        p.plus = true;
        break;
      case 'SG':
        if (p.hasLsign) throw syntax('cannot use "S" and "SG" together');
        p.minus = p.plus = true;
        break;
      case 'PR':
        if (p.hasLsign || p.plus || p.minus) throw syntax('cannot use "PR" and "S"/"PL"/"MI"/"SG" together');
        p.bracket = true;
        break;
      case 'RN':
        p.roman = true;
        break;
      case 'V':
        if (p.decimal) throw syntax('cannot use "V" and decimal point together');
        p.hasMulti = true;
        break;
      case 'EEEE':
        if (p.blank || p.fill || p.hasLsign || p.bracket || p.minus || p.plus || p.roman || p.hasMulti) {
          throw syntax(
            '"EEEE" is incompatible with other formats',
            '"EEEE" may only be used together with digit and decimal point patterns.',
          );
        }
        p.scientific = true;
        break;
      default:
    }
  }
  return p;
}

/** Position of the last digit after the point that is not a zero; the point's own when there is none. */
function lastRelevant(number: string): number {
  const point = number.indexOf('.');
  if (point < 0) return -1;
  let at = number.length - 1;
  while (at > point && number[at] === '0') at--;
  return at;
}

/** Fills the picture with a number's text (no sign in it). */
function fillPicture(p: Picture, number: string, sign: '+' | '-', preSpaces: number): string {
  if (p.scientific) return number;
  let { bracket, lsign } = p;
  const zeroStart = p.zeroStart > 0 ? p.zeroStart - 1 : 0;
  let signWrote: boolean;
  if (p.plus || p.minus) signWrote = !(p.plus && !p.minus);
  else {
    if (sign !== '-' && bracket && p.fill) bracket = false;
    signWrote = sign === '+' && p.fill && !p.hasLsign;
    if (lsign === 'pre' && p.pre === p.preLsign) lsign = 'post';
  }
  let count = p.post + p.pre - 1;
  let last = -1;
  if (p.fill && p.decimal) {
    last = lastRelevant(number);
    if (last >= 0 && p.zeroEnd > preSpaces) last = Math.max(last, Math.min(number.length - 1, p.zeroEnd - preSpaces));
  }
  if (!signWrote && preSpaces === 0) count++;
  let out = '';
  let current = 0;
  let at = 0;
  let digits = false;
  // Past the number's last character the text ends, whatever the picture goes on to say.
  let end = -1;
  const lastIsPoint = (): boolean => last >= 0 && number[last] === '.';
  const beforePoint = (): boolean => !p.zero && at === 0 && number[0] === '0' && p.post !== 0;
  const digit = (isZero: boolean): void => {
    digits = false;
    if (
      !signWrote &&
      (current >= preSpaces || (p.zero && zeroStart === current)) &&
      (!beforePoint() || lastIsPoint())
    ) {
      if (p.hasLsign) {
        if (lsign === 'pre') {
          out += sign;
          signWrote = true;
        }
      } else if (bracket) {
        out += sign === '+' ? ' ' : '<';
        signWrote = true;
      } else if (sign === '+') {
        if (!p.fill) out += ' ';
        signWrote = true;
      } else {
        out += '-';
        signWrote = true;
      }
    }
    if (current < preSpaces && (zeroStart > current || !p.zero)) {
      if (!p.fill) out += ' ';
    } else if (p.zero && current < preSpaces && zeroStart <= current) {
      out += '0';
      digits = true;
    } else {
      if (number[at] === '.') {
        if (!lastIsPoint() || p.fill) out += '.';
      } else if (last >= 0 && at > last && !isZero) {
        // Zeros that fill mode leaves out.
      } else if (beforePoint()) {
        if (!p.fill) out += ' ';
        else if (lastIsPoint()) out += '0';
      } else if (at < number.length) {
        out += number[at];
        digits = true;
      } else if (end < 0) end = out.length;
      if (at < number.length) at++;
    }
    let stop = count + (preSpaces ? 1 : 0) + (p.decimal ? 1 : 0);
    if (last >= 0 && last === at) stop = current;
    if (current + 1 === stop) {
      if (signWrote && bracket) out += sign === '+' ? ' ' : '>';
      else if (p.hasLsign && lsign === 'post') out += sign;
    }
    current++;
  };
  for (const node of p.nodes) {
    if (node.key === '') {
      out += node.text;
      continue;
    }
    switch (node.key.toUpperCase()) {
      case '9':
      case '0':
      case '.':
      case 'D':
        if (!p.roman) digit(node.key === '0');
        break;
      case ',':
      case 'G':
        if (digits) out += ',';
        else if (!p.fill) out += ' ';
        break;
      case 'L':
        out += ' ';
        break;
      case 'RN': {
        const text = node.key === 'rn' ? number.toLowerCase() : number;
        out += p.fill ? text : text.padStart(15);
        break;
      }
      case 'TH':
        if (!p.roman && !/^[#\d]/.test(number))
          throw ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, `"${number}" is not a number`);
        if (!p.roman && number[0] !== '#' && sign !== '-' && !p.decimal) out += ordinal(number, node.key === 'TH');
        break;
      case 'MI':
        if (sign === '-') out += '-';
        else if (!p.fill) out += ' ';
        break;
      case 'PL':
        if (sign === '+') out += '+';
        else if (!p.fill) out += ' ';
        break;
      case 'SG':
        out += sign;
        break;
      default:
    }
  }
  return end < 0 ? out : out.slice(0, end);
}

const ROMAN = [
  ['M', 1000],
  ['CM', 900],
  ['D', 500],
  ['CD', 400],
  ['C', 100],
  ['XC', 90],
  ['L', 50],
  ['XL', 40],
  ['X', 10],
  ['IX', 9],
  ['V', 5],
  ['IV', 4],
  ['I', 1],
] as const;

function roman(n: number): string {
  if (!(n >= 1 && n <= 3999)) return '#'.repeat(15);
  let out = '';
  let rest = n;
  for (const [letters, value] of ROMAN) {
    while (rest >= value) {
      out += letters;
      rest -= value;
    }
  }
  return out;
}

/** Digits with their sign, laid into the picture; `#` where they do not fit. */
function layOut(p: Picture, shown: string): Bytes {
  const sign = shown[0] === '-' ? '-' : '+';
  let number = shown[0] === '-' ? shown.slice(1) : shown;
  const point = number.indexOf('.');
  const before = point >= 0 ? point : number.length;
  let spaces = 0;
  if (before < p.pre) spaces = p.pre - before;
  else if (before > p.pre) {
    const marks = '#'.repeat(p.pre + p.post + 1);
    number = `${marks.slice(0, p.pre)}.${marks.slice(p.pre + 1)}`;
  }
  return stringToText(fillPicture(p, number, sign, spaces));
}

/** Scientific notation for something that has none. */
function scientificMarks(p: Picture): string {
  const marks = '#'.repeat(p.pre + p.post + 6);
  return ` ${marks.slice(1, p.pre + 1)}.${marks.slice(p.pre + 2)}`;
}

const spaced = (text: string): string => (text[0] === '-' ? text : ` ${text}`);

/** d.ddde+xx of an exact value. */
function scientific(v: NumericVar, post: number, normalize: boolean): string {
  if (v.n === 0n) return `${formatNumericVar(finite(0n, post))}e+00`;
  let exponent = (v.n < 0n ? -v.n : v.n).toString().length - 1 - v.scale;
  let mantissa = roundVar(
    finite(exponent >= 0 ? v.n : v.n * pow10(-exponent), exponent >= 0 ? v.scale + exponent : v.scale),
    post,
  );
  // PostgreSQL leaves a numeric rounded up to 10.00 as it is.
  if (normalize && (mantissa.n < 0n ? -mantissa.n : mantissa.n) >= 10n * pow10(post)) {
    exponent++;
    mantissa = finite(mantissa.n / 10n, post);
  }
  const e = Math.abs(exponent);
  return `${formatNumericVar(mantissa)}e${exponent < 0 ? '-' : '+'}${e < 10 ? '0' : ''}${e}`;
}

function numericToChar(value: NumericVar, format: string): Bytes {
  const p = describe(format);
  if (p.roman) {
    const whole = value.kind === 'finite' ? roundVar(value, 0).n : undefined;
    if (whole === undefined)
      throw ereport(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        `cannot convert ${value.kind === 'nan' ? 'NaN' : 'infinity'} to integer`,
      );
    if (whole > 2147483647n || whole < -2147483648n)
      throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'integer out of range');
    return stringToText(fillPicture(p, roman(Number(whole)), '+', 0));
  }
  if (p.scientific)
    return stringToText(value.kind === 'finite' ? spaced(scientific(value, p.post, false)) : scientificMarks(p));
  let v = value;
  if (p.hasMulti) {
    if (v.kind === 'finite') v = finite(v.n * pow10(p.multi), v.scale);
    p.pre += p.multi;
  }
  return layOut(p, formatNumericVar(v.kind === 'finite' ? roundVar(v, p.post) : v));
}

function integerToChar(value: Int8, format: string): Bytes {
  const p = describe(format);
  if (p.roman) {
    if (value > 2147483647 || value < -2147483648)
      throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'integer out of range');
    return stringToText(fillPicture(p, roman(Number(value)), '+', 0));
  }
  const n = BigInt(value);
  if (p.scientific) return stringToText(spaced(scientific(finite(n, 0), p.post, true)));
  const shown = (p.hasMulti ? n * pow10(p.multi) : n).toString();
  if (p.hasMulti) p.pre += p.multi;
  return layOut(p, p.post > 0 ? `${shown}.${'0'.repeat(p.post)}` : shown);
}

/** printf's %.*f, exact. */
function fixed(value: number, post: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
  const exact = exactDecimal(Math.abs(value));
  const unit = pow10(Math.max(exact.scale - post, 0));
  let n = exact.scale >= post ? exact.n / unit : exact.n * pow10(post - exact.scale);
  const rest = exact.scale >= post ? exact.n % unit : 0n;
  // Halves go to the even neighbour.
  if (rest * 2n > unit || (rest * 2n === unit && n % 2n === 1n)) n++;
  return (value < 0 || Object.is(value, -0) ? '-' : '') + formatNumericVar(finite(n, post));
}

/** The decimal number a double is, to its last digit. */
function exactDecimal(value: number): NumericVar {
  let scale = 0;
  let v = value;
  while (!Number.isInteger(v)) {
    v *= 2;
    scale++;
  }
  return finite(BigInt(v) * 5n ** BigInt(scale), scale);
}

function floatToChar(value: number, format: string, digits: number): Bytes {
  const p = describe(format);
  if (p.roman) return stringToText(fillPicture(p, roman(rint(value)), '+', 0));
  if (p.scientific) {
    if (!Number.isFinite(value)) return stringToText(scientificMarks(p));
    return stringToText(spaced(exponentialEven(value, p.post).replace(/e([+-])(\d)$/, 'e$10$2')));
  }
  let v = value;
  if (p.hasMulti) {
    v *= 10 ** p.multi;
    p.pre += p.multi;
  }
  const whole = fixed(Math.abs(v), 0).length;
  if (whole >= digits) p.post = 0;
  else if (whole + p.post > digits) p.post = digits - whole;
  return layOut(p, fixed(v, p.post));
}

/** to_number(): the digits, sign and point that the picture expects, other characters skipped. */
function toNumber(text: string, format: string): Bytes | null {
  if (format.length === 0) return null;
  const p = describe(format);
  if (p.scientific) throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, '"EEEE" not supported for input');
  if (p.roman) throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, '"RN" not supported for input');
  const reader = new NumberReader(text, p);
  reader.read();
  const { sign, whole, fraction } = reader;
  if (whole === '' && fraction === '')
    throw ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, `invalid input syntax for type numeric: "${sign || ' '}"`);
  const digits = `${sign}${whole || '0'}${fraction === '' ? '' : `.${fraction}`}`;
  const typmod = makeNumericTypmod(Math.max(p.pre + p.multi + fraction.length, 1), fraction.length);
  const value = parseNumeric(stringToText(digits), typmod);
  if (!p.hasMulti) return value;
  const v = unpackNumeric(value);
  // 10 to a negative power has sixteen decimal places, as numeric_power counts them.
  return packNumeric(finite(v.n * pow10(16 - p.multi), v.scale + 16));
}

const empty = (picture: Bytes, fill: (format: string) => Bytes): Bytes =>
  picture.length === 0 ? EMPTY_BYTES : fill(textToString(picture));

export const formattingNumberFunctions: FunctionTable = {
  numeric_to_char: (_fc: FunctionCall, value: Bytes, picture: Bytes) =>
    empty(picture, f => numericToChar(unpackNumeric(value), f)),
  int4_to_char: (_fc: FunctionCall, value: number, picture: Bytes) => empty(picture, f => integerToChar(value, f)),
  int8_to_char: (_fc: FunctionCall, value: Int8, picture: Bytes) => empty(picture, f => integerToChar(value, f)),
  float8_to_char: (_fc: FunctionCall, value: number, picture: Bytes) => empty(picture, f => floatToChar(value, f, 15)),
  float4_to_char: (_fc: FunctionCall, value: number, picture: Bytes) => empty(picture, f => floatToChar(value, f, 6)),
  numeric_to_number: (_fc: FunctionCall, text: Bytes, picture: Bytes) =>
    toNumber(textToString(text), textToString(picture)),
};
