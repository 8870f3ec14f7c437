/**
 * The statement cache: query text in, parsed statements out, without parsing again what differs only in
 * literals.
 *
 *   text ──scan──> shape (key bytes) ──> variant (values of pinned literals) ──> Statement
 *
 * A Statement's raw trees carry marks on the literals that may become parameters; analyze() turns those into
 * Params numbered from `literalBase`, bindLiterals() makes their values for one text. Literals that are
 * not marked are *pinned*: their values choose the variant. Analysis may pin more (pin()).
 *
 * Whoever analyzes and plans keeps the results in `Statement.cached`; they depend on search_path and the catalog
 * version, which this cache knows nothing about. Everything here is about text only.
 *
 * Bounded by generations: when the young one is full it becomes the old one and the old one is forgotten;
 * what is used again moves back to the young one. Full is by number and by length: trees, analyses and plans are many times as large as their text.
 */
import { INT4OID, INT8OID, TEXTOID, UNKNOWNOID } from '@pgtroupe/common/oids';
import { PgError, ereport } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import type { RawNode, RawStmt } from '@pgtroupe/nodes/rawnodes';
import { inputFunction } from '@pgtroupe/adt/cache/typcache';
import type { FunctionCall } from '@pgtroupe/adt/fmgr';
import { condense, type CondensedText } from './condense.ts';
import { EDGE_LITERAL, INT4_LITERAL, LiteralScan, MAX_SCANNED, STRING_LITERAL } from './literal_scan.ts';
import { markStatement } from './literal_mark.ts';
import { rawParse, statementsOfJson } from './parser.ts';
import { truncationNotices } from './pg15grammar.ts';
import type { LiteralParam } from './parse_node.ts';
import { errorPosition } from './position.ts';

export interface Statement {
  /** As first seen. Error positions of a later text with other literals are not in it. */
  readonly text: string;
  readonly stmts: readonly RawStmt[];
  /** What the lexer had to say of names that are too long. */
  readonly notices: readonly string[];
  /** First paramid for literals: behind the highest $n of the text. */
  readonly literalBase: number;
  /** False if the text was not scanned: nothing of it can be shared with another text. */
  readonly shared: boolean;
  /** For the session layer: analyses and plans per statement of `stmts`. */
  cached: unknown;
}

/** The literals of one text, by index. int4 literals are numbers, all others bytes (strings unquoted). */
export interface LiteralValues {
  readonly values: readonly (number | Uint8Array)[];
  /** Byte offset of each in its text. */
  readonly offsets: readonly number[];
}

export interface LookedUp {
  readonly statement: Statement;
  readonly literals: LiteralValues;
}

interface Shape {
  readonly hash: number;
  readonly key: Uint8Array;
  /** Indexes of literals whose values are part of the identity. */
  pinned: number[];
  /** By the pinned values. */
  readonly variants: Map<string, Statement>;
  /** Length of the texts of all variants. */
  length: number;
  next: Shape | null;
}

const NOT_KNOWN = new Error('the text is not known yet');
const refuseToParse = (): never => {
  throw NOT_KNOWN;
};
const NO_LITERALS: LiteralValues = { values: [], offsets: [] };
const MAX_SHAPES = 2048;
const MAX_VARIANTS = 256;
const MAX_EXACT_LENGTH = 4096;
/** Of the texts of a generation, and of one shape. */
const MAX_LENGTH = 2 << 20;
const MAX_SHAPE_LENGTH = MAX_LENGTH >> 2;
/** A text without its long literals up to here is parsed at once. */
const MAX_SHORT = 8192;
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

export class StatementCache {
  readonly #scan = new LiteralScan();
  #young = new Map<number, Shape>();
  #old = new Map<number, Shape>();
  #youngLength = 0;
  #youngExact = new Map<string, Statement>();
  #youngExactLength = 0;
  #oldExact = new Map<string, Statement>();
  readonly #shapeOf = new WeakMap<Statement, { readonly shape: Shape; readonly literals: LiteralValues }>();
  #rawParse = rawParse;
  /** For tests and statistics: texts that had to be parsed. */
  parses = 0;

  /** For tests: length of the texts that are kept. */
  get length(): number {
    const kept = (generation: ReadonlyMap<number, Shape>): number => {
      let sum = 0;
      for (let shape of generation.values() as Iterable<Shape | null>)
        for (; shape !== null; shape = shape.next) for (const { text } of shape.variants.values()) sum += text.length;
      return sum;
    };
    return kept(this.#young) + kept(this.#old);
  }

  /** A long text. What takes the grammar long is parsed by `elsewhere`, which answers the tree as JSON. */
  async lookupLarge(
    bytes: Uint8Array,
    standardConformingStrings: boolean,
    elsewhere: (text: string) => Promise<string>,
    breathe: () => Promise<void>,
  ): Promise<LookedUp> {
    const condensed = bytes.length > MAX_SCANNED ? condense(bytes, standardConformingStrings) : undefined;
    if (condensed !== undefined) return this.#condensed(bytes, condensed, elsewhere, breathe);
    const lookup = (): LookedUp => this.lookup(bytes, 0, bytes.length, standardConformingStrings);
    try {
      this.#rawParse = refuseToParse;
      return lookup();
    } catch (error) {
      if (error !== NOT_KNOWN) throw error;
    } finally {
      this.#rawParse = rawParse;
    }
    const stmts = await statementsOfJson(await elsewhere(decoder.decode(bytes)), breathe);
    await breathe();
    try {
      this.#rawParse = () => stmts;
      return lookup();
    } finally {
      this.#rawParse = rawParse;
    }
  }

  async #condensed(
    bytes: Uint8Array,
    condensed: CondensedText,
    elsewhere: (text: string) => Promise<string>,
    breathe: () => Promise<void>,
  ): Promise<LookedUp> {
    const { text: short } = condensed;
    const stmts = await this.#parseCondensed(short, elsewhere, breathe).catch((error: unknown) => {
      throw condensed.restoreError(error);
    });
    this.parses++;
    await breathe();
    condensed.restore(stmts);
    await breathe();
    const text = decoder.decode(bytes);
    await breathe();
    const statement = { text, stmts, notices: truncationNotices(short), literalBase: 1 << 16, shared: false };
    return { statement: { ...statement, cached: undefined }, literals: NO_LITERALS };
  }

  async #parseCondensed(
    text: string,
    elsewhere: (text: string) => Promise<string>,
    breathe: () => Promise<void>,
  ): Promise<RawStmt[]> {
    return text.length <= MAX_SHORT ? rawParse(text) : statementsOfJson(await elsewhere(text), breathe);
  }

  /** Looks up (and if need be parses) a query string given as bytes. Syntax errors are thrown. */
  lookup(bytes: Uint8Array, from = 0, to = bytes.length, standardConformingStrings = true): LookedUp {
    const scan = this.#scan;
    if (!scan.scan(bytes, from, to, standardConformingStrings)) return this.#exact(bytes, from, to);
    const shape = this.#find(scan);
    const literals = scan.count === 0 ? NO_LITERALS : literalValues(scan, bytes, from);
    if (shape !== null) {
      const statement = shape.variants.get(variantKey(shape.pinned, literals));
      if (statement) return { statement, literals };
    }
    return this.#parse(decoder.decode(bytes.subarray(from, to)), shape, literals);
  }

  lookupText(text: string, standardConformingStrings = true): LookedUp {
    const bytes = encoder.encode(text);
    return this.lookup(bytes, 0, bytes.length, standardConformingStrings);
  }

  /** Analysis could not make these literals parameters: their values belong to the statement from now on. */
  pin(statement: Statement, indexes: readonly number[]): void {
    const known = this.#shapeOf.get(statement);
    unmark(statement, new Set(indexes));
    if (!known) return;
    const { shape, literals } = known;
    shape.pinned = [...new Set([...shape.pinned, ...indexes])].sort((a, b) => a - b);
    shape.variants.clear();
    shape.variants.set(variantKey(shape.pinned, literals), statement);
  }

  /** It could not be analyzed: the next text of its shape is parsed by itself, with its own literals and places. */
  forget(statement: Statement): void {
    const { variants } = this.#shapeOf.get(statement)?.shape ?? {};
    for (const [key, variant] of variants ?? []) if (variant === statement) variants!.delete(key);
  }

  /** Texts the scanner refuses are remembered whole. */
  #exact(bytes: Uint8Array, from: number, to: number): LookedUp {
    const text = decoder.decode(bytes.subarray(from, to));
    let statement = this.#youngExact.get(text);
    if (!statement) {
      statement = this.#oldExact.get(text);
      if (!statement) {
        const stmts = this.#rawParse(text);
        this.parses++;
        const notices = truncationNotices(text);
        statement = { text, stmts, notices, literalBase: 1 << 16, shared: false, cached: undefined };
      }
      if (text.length <= MAX_EXACT_LENGTH) {
        if (this.#youngExact.size >= MAX_SHAPES || this.#youngExactLength >= MAX_LENGTH) {
          this.#oldExact = this.#youngExact;
          this.#youngExact = new Map();
          this.#youngExactLength = 0;
        }
        this.#youngExact.set(text, statement);
        this.#youngExactLength += text.length;
      }
    }
    return { statement, literals: NO_LITERALS };
  }

  #parse(text: string, shape: Shape | null, literals: LiteralValues): LookedUp {
    const scan = this.#scan;
    // Parsing does not scan, so the key stays valid until it is copied.
    const stmts = this.#rawParse(text);
    this.parses++;
    const marked = markLiterals(stmts, scan, literals, text);
    let target = shape;
    if (target === null) {
      target = {
        hash: scan.hash,
        key: scan.key.slice(0, scan.keyLength),
        pinned: [],
        variants: new Map(),
        length: 0,
        next: null,
      };
      for (let i = 0; i < scan.count; i++) if (!marked.has(i)) target.pinned.push(i);
      this.#insert(target);
    } else {
      // Pinned by an earlier analysis of this shape.
      const pinned = new Set(target.pinned);
      unmarkAll(stmts, pinned);
    }
    const notices = truncationNotices(text);
    const statement: Statement = {
      text,
      stmts,
      notices,
      literalBase: maxParam(stmts) + 1,
      shared: true,
      cached: undefined,
    };
    if (target.variants.size >= MAX_VARIANTS || target.length >= MAX_SHAPE_LENGTH) {
      target.variants.clear();
      this.#youngLength -= target.length;
      target.length = 0;
    }
    target.length += text.length;
    this.#youngLength += text.length;
    if (this.#youngLength >= MAX_LENGTH) this.#turn();
    target.variants.set(variantKey(target.pinned, literals), statement);
    this.#shapeOf.set(statement, { shape: target, literals });
    return { statement, literals };
  }

  #turn(): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngLength = 0;
  }

  #find(scan: LiteralScan): Shape | null {
    const young = match(this.#young.get(scan.hash) ?? null, scan);
    if (young !== null) return young;
    const old = match(this.#old.get(scan.hash) ?? null, scan);
    if (old !== null) this.#insert(old);
    return old;
  }

  #insert(shape: Shape): void {
    if (this.#young.size >= MAX_SHAPES) this.#turn();
    this.#youngLength += shape.length;
    shape.next = this.#young.get(shape.hash) ?? null;
    this.#young.set(shape.hash, shape);
  }
}

function match(first: Shape | null, scan: LiteralScan): Shape | null {
  for (let shape = first; shape !== null; shape = shape.next) {
    const { key } = shape;
    if (key.length !== scan.keyLength) continue;
    let i = 0;
    while (i < key.length && key[i] === scan.key[i]) i++;
    if (i === key.length) return shape;
  }
  return null;
}

function literalValues(scan: LiteralScan, bytes: Uint8Array, from: number): LiteralValues {
  const values: (number | Uint8Array)[] = [];
  const offsets: number[] = [];
  for (let i = 0; i < scan.count; i++) {
    const start = scan.start[i] as number;
    const end = scan.end[i] as number;
    const kind = scan.kind[i];
    if (kind === INT4_LITERAL) {
      let value = 0;
      for (let p = start; p < end; p++) value = value * 10 + (bytes[p] as number) - 48;
      values.push(value);
    } else if (kind === STRING_LITERAL) values.push(unquote(bytes, start, end));
    else values.push(bytes.slice(start, end));
    offsets.push((kind === STRING_LITERAL ? start - 1 : start) - from);
  }
  return { values, offsets };
}

/** The bytes of a string literal with doubled quotes made single. */
function unquote(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const first = bytes.indexOf(39, start);
  if (first < 0 || first >= end) return bytes.slice(start, end);
  const out = new Uint8Array(end - start);
  let n = 0;
  for (let p = start; p < end; p++) {
    if (bytes[p] === 39) p++;
    out[n++] = bytes[p] as number;
  }
  return out.subarray(0, n);
}

function variantKey(pinned: readonly number[], { values }: LiteralValues): string {
  if (pinned.length === 0) return '';
  let key = '';
  for (const i of pinned) {
    const value = values[i] as number | Uint8Array;
    const text =
      typeof value === 'number'
        ? String(value)
        : Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1');
    key += `${text.length}:${text}`;
  }
  return key;
}

/**
 * Marks the A_Consts that may become parameters, if the tree shows the very value the scanner saw; returns the
 * indexes marked.
 */
function markLiterals(
  stmts: readonly RawStmt[],
  scan: LiteralScan,
  literals: LiteralValues,
  text: string,
): Set<number> {
  const byOffset = new Map(literals.offsets.map((offset, i) => [offset, i]));
  const kinds = scan.kind.slice(0, scan.count);
  const source = encoder.encode(text);
  const marked = new Set<number>();
  if (byOffset.size === 0) return marked;
  const mark = (aconst: RawNode): void => {
    let offset: number = aconst.location ?? 0;
    // A folded minus sign moves the constant's place to the sign.
    const negated = source[offset] === 45;
    if (negated) {
      offset++;
      while (source[offset] === 32 || (source[offset] as number) - 9 <= 4) offset++;
    }
    const index = byOffset.get(offset);
    if (index === undefined || kinds[index] === EDGE_LITERAL) return;
    if (!sameValue(aconst, literals.values[index] as number | Uint8Array, negated)) return;
    (aconst as { literal?: unknown }).literal = { index, negated };
    marked.add(index);
  };
  for (const stmt of stmts) markStatement(stmt.stmt, mark);
  return marked;
}

function sameValue(aconst: RawNode, value: number | Uint8Array, negated: boolean): boolean {
  if (aconst.isnull) return false;
  if (typeof value === 'number')
    return (
      aconst.ival !== undefined && (aconst.ival.ival ?? 0) === (negated ? -value : value) && !(negated && value === 0)
    );
  const text = decoder.decode(value);
  if (aconst.sval) return !negated && (aconst.sval.sval ?? '') === text;
  return aconst.fval !== undefined && aconst.fval.fval === (negated ? `-${text}` : text);
}

function forEachNode(value: unknown, visit: (node: Record<string, unknown>) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) forEachNode(item, visit);
  } else if (typeof value === 'object' && value !== null) {
    visit(value as Record<string, unknown>);
    for (const key in value) forEachNode((value as Record<string, unknown>)[key], visit);
  }
}

function unmarkAll(stmts: readonly RawStmt[], indexes: ReadonlySet<number>): void {
  forEachNode(stmts, node => {
    const literal = node['literal'] as { readonly index: number } | undefined;
    if (literal && indexes.has(literal.index)) delete node['literal'];
  });
}

function unmark(statement: Statement, indexes: ReadonlySet<number>): void {
  unmarkAll(statement.stmts, indexes);
}

function maxParam(stmts: readonly RawStmt[]): number {
  let max = 0;
  forEachNode(stmts, node => {
    if (node['type'] === 'ParamRef') max = Math.max(max, (node['number'] as number | undefined) ?? 0);
  });
  return max;
}

// ---- values --------------------------------------------------------------------------------------

/**
 * Values of the literal parameters of one analyzed statement, in the order of their paramids (the first is for
 * literalBase). `text` is for error positions only. May throw CatalogMiss like any input function.
 */
export function bindLiterals(
  fc: FunctionCall,
  params: readonly LiteralParam[],
  literals: LiteralValues,
  text: () => string,
): Datum[] {
  return params.map(param => {
    const value = literals.values[param.index] as number | Uint8Array;
    if (typeof value === 'number') return param.negated ? -value : value;
    if (param.type === TEXTOID || param.type === UNKNOWNOID) return value;
    if (param.type === INT8OID || param.type === INT4OID) {
      const wide = asInteger(value);
      // What does not fit is told by the type's input function.
      if (wide !== null && (param.type === INT8OID || wide <= INT4_MAX)) return param.negated ? -wide : wide;
    }
    try {
      const bytes = param.negated ? encoder.encode(`-${decoder.decode(value)}`) : value;
      return inputFunction(fc, param.type as Oid)(bytes, param.typmod);
    } catch (error) {
      if (!(error instanceof PgError) || error.fields.position !== undefined) throw error;
      const position = errorPosition(text(), literals.offsets[param.index] as number);
      throw ereport(error.sqlstate, error.message, { ...error.fields, position });
    }
  });
}

const INT4_MAX = 0x7fffffff;

/** Digits only; anything else is for the type's input function. */
function asInteger(bytes: Uint8Array): number | bigint | null {
  if (bytes.length === 0 || bytes.length > 18) return null;
  for (const byte of bytes) if (byte < 48 || byte > 57) return null;
  const value = BigInt(decoder.decode(bytes));
  const narrow = Number(value);
  return Number.isSafeInteger(narrow) ? narrow : value;
}
