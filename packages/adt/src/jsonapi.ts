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

const STACK_HINT = {
  hint: 'Increase the configuration parameter "max_stack_depth" (currently 2048kB), after ensuring the platform\'s stack depth limit is adequate.',
};

/** How deep values may nest: about where PostgreSQL's stack of 2 MB ends. */
const MAX_DEPTH = 13000;
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
const WORD = /[A-Za-z0-9_\u0080-\uffff]*/y;

/** What the lexer stands on; `word` is its text where the text matters. */
type TokenKind = 'string' | 'number' | 'true' | 'false' | 'null' | '{' | '}' | '[' | ']' | ',' | ':' | 'end';

/**
 * Tokens, always one ahead of the parser: a malformed token is complained about before the parser can say that it did not
 * want one there.
 */
class JsonLexer {
  readonly text: string;
  /** Values are wanted, not only well-formedness: a zero character cannot be one. */
  readonly decode: boolean;
  kind: TokenKind = 'end';
  start = 0;
  end = 0;
  /** A string's value. */
  value = '';

  constructor(text: string, decode: boolean) {
    this.text = text;
    this.decode = decode;
    this.advance();
  }

  private match(pattern: RegExp, from: number): string {
    pattern.lastIndex = from;
    return pattern.exec(this.text)?.[0] ?? '';
  }

  advance(): void {
    const { text } = this;
    let at = this.end;
    for (let c = text.charCodeAt(at); c === 32 || c === 9 || c === 10 || c === 13; c = text.charCodeAt(at)) at++;
    this.start = at;
    const c = text[at];
    switch (c) {
      case undefined:
        this.kind = 'end';
        this.end = at;
        return;
      case '{':
      case '}':
      case '[':
      case ']':
      case ',':
      case ':':
        this.kind = c;
        this.end = at + 1;
        return;
      case '"':
        this.string();
        return;
      default:
    }
    if (c === '-' || (c >= '0' && c <= '9')) this.number();
    else this.word();
  }

  private number(): void {
    const number = this.match(NUMBER, this.start);
    let end = this.start + number.length;
    const wrong = number === '' || this.isWordAt(end) || /^(?:\.|[eE])/.test(this.text.slice(end, end + 1));
    if (wrong) {
      // The faulty token goes as far as a number could have, and the letters and digits behind it.
      const reach = /-?(?:0|[1-9]\d*)?(?:\.\d*)?(?:[eE][+-]?\d*)?/y;
      end = this.start + this.match(reach, this.start).length;
      this.end = end + this.match(WORD, end).length;
      throw this.invalidToken();
    }
    this.kind = 'number';
    this.end = end;
  }

  private isWordAt(at: number): boolean {
    return this.match(WORD, at) !== '';
  }

  private word(): void {
    const word = this.match(WORD, this.start);
    if (word === '') {
      this.end = this.start + 1;
      throw this.invalidToken();
    }
    this.end = this.start + word.length;
    if (word !== 'true' && word !== 'false' && word !== 'null') throw this.invalidToken();
    this.kind = word;
  }

  private string(): void {
    const { text } = this;
    let out = '';
    let at = this.start + 1;
    let high = -1;
    const noPair = (): PgError => this.invalid('Unicode low surrogate must follow a high surrogate.', at);
    for (;;) {
      const plain = this.match(PLAIN, at);
      out += plain;
      at += plain.length;
      if (plain !== '' && high >= 0) throw noPair();
      const c = text[at];
      if (c === undefined) {
        this.end = at;
        throw this.invalidToken();
      }
      if (c === '"') break;
      if (c !== '\\')
        throw this.invalid(
          `Character with value 0x${c.charCodeAt(0).toString(16).padStart(2, '0')} must be escaped.`,
          at,
        );
      const e = text[++at];
      if (e === undefined) {
        this.end = at;
        throw this.invalidToken();
      }
      if (e === 'u') {
        let digits = 0;
        for (; digits < 4; digits++) {
          const d = text[at + 1 + digits];
          if (d === undefined) {
            this.end = text.length;
            throw this.invalidToken();
          }
          if (!/[0-9a-fA-F]/.test(d))
            throw this.invalid('"\\u" must be followed by four hexadecimal digits.', at + 2 + digits);
        }
        const code = Number.parseInt(text.slice(at + 1, at + 5), 16);
        at += 5;
        if (!this.decode) continue;
        if (code >= 0xd800 && code <= 0xdbff) {
          if (high >= 0) throw this.invalid('Unicode high surrogate must not follow a high surrogate.', at);
          high = code;
          continue;
        }
        const low = code >= 0xdc00 && code <= 0xdfff;
        if (low !== high >= 0) throw noPair();
        if (code === 0)
          throw ereport(ERRCODE.UNTRANSLATABLE_CHARACTER, 'unsupported Unicode escape sequence', {
            detail: '\\u0000 cannot be converted to text.',
            where: this.context(at),
          });
        out += low ? String.fromCharCode(high, code) : String.fromCharCode(code);
        high = -1;
        continue;
      }
      if (high >= 0) throw noPair();
      if (!(e in ESCAPES)) {
        const shown = String.fromCodePoint(text.codePointAt(at)!);
        throw this.invalid(`Escape sequence "\\${shown}" is invalid.`, at + shown.length);
      }
      out += ESCAPES[e];
      at++;
    }
    if (high >= 0) throw noPair();
    this.kind = 'string';
    this.value = out;
    this.end = at + 1;
  }

  /** A complaint about what ends at `to`. */
  invalid(detail: string, to: number): PgError {
    return ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, 'invalid input syntax for type json', {
      detail,
      where: this.context(to),
    });
  }

  private invalidToken(): PgError {
    return this.invalid(`Token "${this.text.slice(this.start, this.end)}" is invalid.`, this.end);
  }

  unexpected(expected: string): PgError {
    if (this.kind === 'end') return this.invalid('The input string ended unexpectedly.', this.end);
    const found = this.text.slice(this.start, this.end);
    return this.invalid(`Expected ${expected}, but found "${found}".`, this.end);
  }

  /** The line around a fault: up to fifty bytes before its end, and dots for what is left out. */
  private context(to: number): string {
    const { text } = this;
    const lines = text.slice(0, to).split(/\n|\r(?!\n)/);
    const line = [...lines[lines.length - 1]!];
    let skip = 0;
    for (let size = Buffer.byteLength(line.join('')); size >= 50; skip++) size -= Buffer.byteLength(line[skip]!);
    if (Buffer.byteLength(line.slice(0, skip).join('')) <= 3) skip = 0;
    const rest = text[to];
    const more = this.kind !== 'end' || to < text.length;
    const suffix = more && rest !== undefined && rest !== '\n' && rest !== '\r' ? '...' : '';
    return `JSON data, line ${lines.length}: ${skip > 0 ? '...' : ''}${line.slice(skip).join('')}${suffix}`;
  }
}

/** An array or object that is still open. */
type Open =
  | { readonly type: 'array'; readonly start: number; readonly items: JsonNode[] }
  | { readonly type: 'object'; readonly start: number; readonly members: JsonMember[]; key: string };

/** Nesting is kept in a list of its own, not on the stack: depth is the text's choice. */
export function parseJson(text: string, decode: boolean): JsonNode {
  const lexer = new JsonLexer(text, decode);
  const open: Open[] = [];
  /** After `{` or a comma in an object: the next member's key and colon. */
  const key = (object: Open & { type: 'object' }, expected: string): void => {
    if (lexer.kind !== 'string') throw lexer.unexpected(expected);
    object.key = lexer.value;
    lexer.advance();
    if ((lexer.kind as TokenKind) !== ':') throw lexer.unexpected('":"');
    lexer.advance();
  };
  for (;;) {
    // A value begins here.
    let node: JsonNode;
    const { start } = lexer;
    const { kind } = lexer;
    if (kind === '[' || kind === '{') {
      if (open.length >= MAX_DEPTH)
        throw ereport(ERRCODE.STATEMENT_TOO_COMPLEX, 'stack depth limit exceeded', STACK_HINT);
      lexer.advance();
      if (kind === '[') {
        if ((lexer.kind as TokenKind) !== ']') {
          open.push({ type: 'array', start, items: [] });
          continue;
        }
        node = { type: 'array', items: [], start, end: lexer.end };
      } else {
        if ((lexer.kind as TokenKind) !== '}') {
          const object: Open = { type: 'object', start, members: [], key: '' };
          open.push(object);
          key(object, 'string or "}"');
          continue;
        }
        node = { type: 'object', members: [], start, end: lexer.end };
      }
    } else if (kind === 'string') node = { type: 'string', value: lexer.value, start, end: lexer.end };
    else if (kind === 'number') node = { type: 'number', text: text.slice(start, lexer.end), start, end: lexer.end };
    else if (kind === 'null') node = { type: 'null', start, end: lexer.end };
    else if (kind === 'true' || kind === 'false')
      node = { type: 'boolean', value: kind === 'true', start, end: lexer.end };
    else throw lexer.unexpected('JSON value');
    lexer.advance();
    // A value has ended: what surrounds it goes on, or ends too.
    for (;;) {
      const around = open[open.length - 1];
      if (around === undefined) {
        if (lexer.kind !== 'end') throw lexer.unexpected('end of input');
        return node;
      }
      if (around.type === 'array') around.items.push(node);
      else around.members.push({ key: around.key, value: node });
      if (lexer.kind === ',') {
        lexer.advance();
        if (around.type === 'object') key(around, 'string');
        break;
      }
      const close = around.type === 'array' ? ']' : '}';
      if (lexer.kind !== close) throw lexer.unexpected(`"," or "${close}"`);
      open.pop();
      const { end } = lexer;
      node =
        around.type === 'array'
          ? { type: 'array', items: around.items, start: around.start, end }
          : { type: 'object', members: around.members, start: around.start, end };
      lexer.advance();
    }
  }
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
