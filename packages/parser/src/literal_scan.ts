/**
 * The literal-stripping scanner: a pass over the bytes of a query string that separates its literals from
 * its shape. Two texts with one shape are the same but for the values of their literals, so one parse, one
 * analysis and one plan can serve both (statement.ts decides which literals may differ).
 *
 * It must agree with PostgreSQL's lexer on where literals begin and end. Whatever it is not sure about
 * it refuses (answers -1): comments, E'' B'' X'' N'' U&'' strings, dollar quotes, continued strings,
 * numbers with anything odd behind them. Refused texts are parsed every time.
 *
 * The shape is kept in `key`: the bytes of the text with each literal replaced by a zero byte and its
 * class. State is in one reusable object, so that a scan allocates nothing; it is valid until the next scan.
 */

/** Class of a literal; part of the shape, because the type of a number depends on its size. */
export const INT4_LITERAL = 1;
export const INT8_LITERAL = 2;
export const NUMERIC_LITERAL = 3;
export const STRING_LITERAL = 4;
/** 2147483648 and 9223372036854775808: a minus sign in front changes their class. */
export const EDGE_LITERAL = 5;

const MAX_KEY = 1 << 16;
/** Longer texts are not scanned: a literal adds at most one byte to the key ("5" becomes two). */
export const MAX_SCANNED = MAX_KEY >> 1;
const MAX_LITERALS = 1024;

const IDENT = 1;
const DIGIT = 2;
const QUOTE = 3;
const DQUOTE = 4;
const MINUS = 5;
const SLASH = 6;
const DOLLAR = 7;
const CLASS = new Uint8Array(256);
for (let c = 0; c < 256; c++) {
  if ((c >= 97 && c <= 122) || (c >= 65 && c <= 90) || c === 95 || c >= 128) CLASS[c] = IDENT;
  else if (c >= 48 && c <= 57) CLASS[c] = DIGIT;
}
CLASS[39] = QUOTE;
CLASS[34] = DQUOTE;
CLASS[45] = MINUS;
CLASS[47] = SLASH;
CLASS[36] = DOLLAR;

const NEWLINE = 10;
const RETURN = 13;
const DOT = 46;
const BACKSLASH = 92;
const INT4_EDGE = '2147483648';
const INT8_EDGE = '9223372036854775808';

export class LiteralScan {
  readonly key = new Uint8Array(MAX_KEY);
  keyLength = 0;
  hash = 0;
  /** First byte of each literal's value (behind the opening quote of a string). */
  readonly start = new Int32Array(MAX_LITERALS);
  readonly end = new Int32Array(MAX_LITERALS);
  readonly kind = new Uint8Array(MAX_LITERALS);
  count = 0;

  /** Scans bytes [from, to); false if the text is not for this scanner. */
  scan(bytes: Uint8Array, from: number, to: number, backslashIsPlain: boolean): boolean {
    if (to - from > MAX_SCANNED) return false;
    const { key } = this;
    let k = 0;
    let hash = 0x811c9dc5 | 0;
    let p = from;
    this.count = 0;
    while (p < to) {
      const c = bytes[p] as number;
      switch (CLASS[c]) {
        case IDENT:
          do {
            const b = bytes[p] as number;
            key[k++] = b;
            hash = Math.imul(hash ^ b, 16777619);
            p++;
          } while (p < to && isIdentByte(bytes[p] as number));
          // E'...', N'...' and so on.
          if (p < to && bytes[p] === 39) return false;
          break;
        case DIGIT: {
          const end = this.#number(bytes, p, to);
          if (end < 0) return false;
          p = end;
          const kind = this.kind[this.count - 1] as number;
          key[k++] = 0;
          key[k++] = kind;
          hash = Math.imul(hash ^ kind, 16777619);
          break;
        }
        case QUOTE: {
          // & before the quote: U&'...'.
          if (p > from && bytes[p - 1] === 38) return false;
          const end = this.#string(bytes, p, to, backslashIsPlain);
          if (end < 0) return false;
          p = end;
          key[k++] = 0;
          key[k++] = STRING_LITERAL;
          hash = Math.imul(hash ^ STRING_LITERAL, 16777619);
          break;
        }
        case DQUOTE: {
          let b: number;
          do {
            b = bytes[p] as number;
            key[k++] = b;
            hash = Math.imul(hash ^ b, 16777619);
            p++;
            if (p >= to) return false;
          } while (bytes[p] !== 34);
          key[k++] = 34;
          p++;
          break;
        }
        case DOLLAR: {
          // $1 is a parameter; $$ and $tag$ are not for us.
          if (CLASS[bytes[p + 1] as number] !== DIGIT || p + 1 >= to) return false;
          do {
            const b = bytes[p] as number;
            key[k++] = b;
            hash = Math.imul(hash ^ b, 16777619);
            p++;
          } while (p < to && CLASS[bytes[p] as number] === DIGIT);
          if (p < to && isIdentByte(bytes[p] as number)) return false;
          break;
        }
        default:
          if (c === 45 && bytes[p + 1] === 45) return false;
          if (c === 47 && bytes[p + 1] === 42) return false;
          // .5 is a number that begins with its point.
          if (c === DOT && CLASS[bytes[p + 1] as number] === DIGIT) return false;
          if (c === 0) return false;
          key[k++] = c;
          hash = Math.imul(hash ^ c, 16777619);
          p++;
      }
      if (this.count === MAX_LITERALS) return false;
    }
    this.keyLength = k;
    this.hash = hash;
    return true;
  }

  #add(start: number, end: number, kind: number): void {
    this.start[this.count] = start;
    this.end[this.count] = end;
    this.kind[this.count] = kind;
    this.count++;
  }

  #number(bytes: Uint8Array, from: number, to: number): number {
    let p = from + 1;
    while (p < to && CLASS[bytes[p] as number] === DIGIT) p++;
    let integer = true;
    if (p < to && bytes[p] === DOT) {
      integer = false;
      p++;
      while (p < to && CLASS[bytes[p] as number] === DIGIT) p++;
    }
    if (p < to && ((bytes[p] as number) | 32) === 101) {
      integer = false;
      p++;
      if (bytes[p] === 43 || bytes[p] === 45) p++;
      if (p >= to || CLASS[bytes[p] as number] !== DIGIT) return -1;
      while (p < to && CLASS[bytes[p] as number] === DIGIT) p++;
    }
    if (p < to && (isIdentByte(bytes[p] as number) || bytes[p] === DOT)) return -1;
    this.#add(from, p, integer ? integerKind(bytes, from, p) : NUMERIC_LITERAL);
    return p;
  }

  /** From the opening quote to behind the closing one. */
  #string(bytes: Uint8Array, from: number, to: number, backslashIsPlain: boolean): number {
    let p = from + 1;
    for (;;) {
      if (p >= to) return -1;
      const c = bytes[p] as number;
      if (c === 39) {
        if (bytes[p + 1] !== 39 || p + 1 >= to) break;
        p++;
      } else if (c === BACKSLASH && !backslashIsPlain) return -1;
      p++;
    }
    this.#add(from + 1, p, STRING_LITERAL);
    p++;
    // 'a' <newline> 'b' is one string.
    let q = p;
    let newline = false;
    while (q < to && isSpace(bytes[q] as number)) {
      newline ||= bytes[q] === NEWLINE || bytes[q] === RETURN;
      q++;
    }
    return newline && bytes[q] === 39 ? -1 : p;
  }
}

function isIdentByte(c: number): boolean {
  const cls = CLASS[c];
  return cls === IDENT || cls === DIGIT || cls === DOLLAR;
}

function isSpace(c: number): boolean {
  return c === 32 || (c >= 9 && c <= 13);
}

function integerKind(bytes: Uint8Array, from: number, to: number): number {
  while (from < to - 1 && bytes[from] === 48) from++;
  const digits = to - from;
  if (digits < 10) return INT4_LITERAL;
  if (digits > 19) return NUMERIC_LITERAL;
  let text = '';
  for (let p = from; p < to; p++) text += String.fromCharCode(bytes[p] as number);
  if (text === INT4_EDGE || text === INT8_EDGE) return EDGE_LITERAL;
  if (digits === 10 && text < INT4_EDGE) return INT4_LITERAL;
  return digits < 19 || text < INT8_EDGE ? INT8_LITERAL : NUMERIC_LITERAL;
}
