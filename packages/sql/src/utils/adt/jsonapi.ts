/**
 * JSON text: a parser that keeps where each value stood in the text, and escaping. Shared by json,
 * which keeps the text, and jsonb, which keeps the values.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';

export type JsonValue =
  | { readonly type: 'null' }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'number'; readonly text: string }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'array'; readonly items: readonly JsonNode[] }
  | { readonly type: 'object'; readonly members: readonly JsonMember[] };

/** A value and the stretch of text it was read from. */
export type JsonNode = JsonValue & { readonly start: number; readonly end: number };

export interface JsonMember {
  readonly key: string;
  readonly value: JsonNode;
}

const invalid = (detail: string): PgError =>
  ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, 'invalid input syntax for type json', { detail });

const MAX_DEPTH = 6000;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const TOKEN = /[^\s,:[\]{}"]+/y;

class JsonParser {
  readonly text: string;
  /** Values are wanted, not only well-formedness: a zero character cannot be one. */
  readonly decode: boolean;
  at = 0;

  constructor(text: string, decode: boolean) {
    this.text = text;
    this.decode = decode;
  }

  space(): void {
    for (;;) {
      const c = this.text.charCodeAt(this.at);
      if (c !== 32 && c !== 9 && c !== 10 && c !== 13) return;
      this.at++;
    }
  }

  token(): string {
    TOKEN.lastIndex = this.at;
    return TOKEN.exec(this.text)?.[0] ?? this.text[this.at] ?? '';
  }

  unexpected(expected: string): PgError {
    if (this.at >= this.text.length) return invalid('The input string ended unexpectedly.');
    return invalid(`Expected ${expected}, but found "${this.token()}".`);
  }

  value(depth: number): JsonNode {
    if (depth > MAX_DEPTH) throw ereport(ERRCODE.STATEMENT_TOO_COMPLEX, 'stack depth limit exceeded');
    this.space();
    const start = this.at;
    const c = this.text[this.at];
    if (c === '{') return this.object(depth, start);
    if (c === '[') return this.array(depth, start);
    if (c === '"') {
      const value = this.string();
      return { type: 'string', value, start, end: this.at };
    }
    const word = this.token();
    if (word === 'true' || word === 'false') {
      this.at += word.length;
      return { type: 'boolean', value: word === 'true', start, end: this.at };
    }
    if (word === 'null') {
      this.at += 4;
      return { type: 'null', start, end: this.at };
    }
    NUMBER.lastIndex = start;
    const number = NUMBER.exec(this.text)?.[0];
    if (number !== undefined && number === word) {
      this.at += number.length;
      return { type: 'number', text: number, start, end: this.at };
    }
    if (this.at >= this.text.length) throw invalid('The input string ended unexpectedly.');
    throw c === ']' || c === '}' || c === ',' || c === ':'
      ? invalid(`Expected JSON value, but found "${c}".`)
      : invalid(`Token "${word}" is invalid.`);
  }

  array(depth: number, start: number): JsonNode {
    const items: JsonNode[] = [];
    this.at++;
    this.space();
    if (this.text[this.at] === ']') this.at++;
    else {
      for (;;) {
        items.push(this.value(depth + 1));
        this.space();
        const c = this.text[this.at];
        if (c !== ',' && c !== ']') throw this.unexpected('"," or "]"');
        this.at++;
        if (c === ']') break;
      }
    }
    return { type: 'array', items, start, end: this.at };
  }

  object(depth: number, start: number): JsonNode {
    const members: JsonMember[] = [];
    this.at++;
    this.space();
    if (this.text[this.at] === '}') this.at++;
    else {
      for (;;) {
        this.space();
        if (this.text[this.at] !== '"') throw this.unexpected(members.length === 0 ? 'string or "}"' : 'string');
        const key = this.string();
        this.space();
        if (this.text[this.at] !== ':') throw this.unexpected('":"');
        this.at++;
        members.push({ key, value: this.value(depth + 1) });
        this.space();
        const c = this.text[this.at];
        if (c !== ',' && c !== '}') throw this.unexpected('"," or "}"');
        this.at++;
        if (c === '}') break;
      }
    }
    return { type: 'object', members, start, end: this.at };
  }

  string(): string {
    let out = '';
    this.at++;
    for (;;) {
      PLAIN.lastIndex = this.at;
      const plain = PLAIN.exec(this.text)![0];
      out += plain;
      this.at += plain.length;
      const c = this.text[this.at];
      if (c === undefined) throw invalid('The input string ended unexpectedly.');
      this.at++;
      if (c === '"') return out;
      if (c !== '\\')
        throw invalid(`Character with value 0x${c.charCodeAt(0).toString(16).padStart(2, '0')} must be escaped.`);
      const e = this.text[this.at++];
      if (e === 'u') out += this.unicode();
      else if (e !== undefined && e in ESCAPES) out += ESCAPES[e];
      else
        throw e === undefined
          ? invalid('The input string ended unexpectedly.')
          : invalid(`Escape sequence "\\${e}" is invalid.`);
    }
  }

  private hex(): number {
    const digits = this.text.slice(this.at, this.at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw invalid('"\\u" must be followed by four hexadecimal digits.');
    this.at += 4;
    return Number.parseInt(digits, 16);
  }

  private unicode(): string {
    const code = this.hex();
    if (code === 0 && this.decode) {
      throw ereport(ERRCODE.UNTRANSLATABLE_CHARACTER, 'unsupported Unicode escape sequence', {
        detail: '\\u0000 cannot be converted to text.',
      });
    }
    if (code >= 0xd800 && code <= 0xdbff) {
      if (this.text.slice(this.at, this.at + 2) !== '\\u') {
        if (!this.decode) return '';
        throw invalid('Unicode low surrogate must follow a high surrogate.');
      }
      this.at += 2;
      const low = this.hex();
      if ((low < 0xdc00 || low > 0xdfff) && this.decode)
        throw invalid('Unicode low surrogate must follow a high surrogate.');
      return String.fromCharCode(code, low);
    }
    if (code >= 0xdc00 && code <= 0xdfff && this.decode)
      throw invalid('Unicode low surrogate must follow a high surrogate.');
    return String.fromCharCode(code);
  }
}

export function parseJson(text: string, decode: boolean): JsonNode {
  const parser = new JsonParser(text, decode);
  const node = parser.value(0);
  parser.space();
  if (parser.at < text.length) throw invalid(`Expected end of input, but found "${parser.token()}".`);
  return node;
}

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** A JSON string literal. */
export function escapeJson(s: string): string {
  return `"${s.replace(/["\\\u0000-\u001f]/g, c => SHORT[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
}
