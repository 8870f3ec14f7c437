/**
 * stringToNode: reads PostgreSQL 15's text form of analyzed trees. As in PostgreSQL, token locations
 * are dropped (-1): they point into a query text that is gone.
 */
import { assert } from '@pgtroupe/common/assert';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { datumFromBytes } from './datumbytes.ts';
import {
  LAYOUT_BY_TAG,
  RTE_HEAD_FIELDS,
  RTE_KIND_FIELDS,
  RTE_TAG,
  RTE_TAIL_FIELDS,
  type FieldLayout,
} from './layout.ts';
import { makeRangeTblEntry } from './makefuncs.ts';
import type { Node } from './parsenodes.ts';

export interface StringToNodeOptions {
  /** Keep the written locations: for comparing trees byte for byte. */
  readonly keepLocations?: boolean;
}

/** Reads one node, a list of nodes, or null for `<>`. */
export function stringToNode(text: string, options: StringToNodeOptions = {}): Node | readonly Node[] | null {
  return new NodeReader(text, options.keepLocations ?? false).readAny() as Node | readonly Node[] | null;
}

type Fields = Record<string, unknown>;

class NodeReader {
  readonly #text: string;
  readonly #keepLocations: boolean;
  #pos = 0;

  constructor(text: string, keepLocations: boolean) {
    this.#text = text;
    this.#keepLocations = keepLocations;
  }

  #fail(what: string): never {
    throw ereport(ERRCODE.INTERNAL_ERROR, `badly formatted node string: ${what} at ${this.#pos}`);
  }

  /** Next token with its backslashes; parentheses and braces stand alone. */
  #token(): string {
    const text = this.#text;
    let p = this.#pos;
    while (p < text.length && isSpace(text.charCodeAt(p))) p++;
    if (p >= text.length) this.#fail('unexpected end');
    const start = p;
    if (isBracket(text.charCodeAt(p))) p++;
    else {
      while (p < text.length) {
        const c = text.charCodeAt(p);
        if (isSpace(c) || isBracket(c)) break;
        p += c === 92 && p + 1 < text.length ? 2 : 1;
      }
    }
    this.#pos = p;
    return text.slice(start, p);
  }

  #peek(): string {
    const pos = this.#pos;
    const token = this.#token();
    this.#pos = pos;
    return token;
  }

  /** A node, list, number or string, whatever comes next. */
  readAny(): unknown {
    const token = this.#token();
    if (token === '<>') return null;
    if (token === '{') return this.#readNode();
    if (token === '(') return this.#readList();
    if (token.startsWith('"')) return debackslash(token.slice(1, -1));
    if (/^[+-]?[0-9]+$/.test(token)) return Number(token);
    return this.#fail(`unrecognized token "${token}"`);
  }

  #readList(): unknown[] {
    const items: unknown[] = [];
    const mark = this.#peek();
    if (mark === 'i' || mark === 'o' || mark === 'b') {
      this.#token();
      for (let token = this.#token(); token !== ')'; token = this.#token()) items.push(Number(token));
      return items;
    }
    while (this.#peek() !== ')') items.push(this.readAny());
    this.#token();
    return items;
  }

  #readNode(): Node {
    const tag = this.#token();
    let node: Fields;
    if (tag === RTE_TAG) {
      node = { ...makeRangeTblEntry({}) };
      this.#readFields(node, RTE_HEAD_FIELDS);
      this.#readFields(node, RTE_KIND_FIELDS[node['rtekind'] as number] ?? this.#fail('RTE kind'));
      this.#readFields(node, RTE_TAIL_FIELDS);
    } else {
      const layout = LAYOUT_BY_TAG.get(tag) ?? this.#fail(`unknown node ${tag}`);
      node = { type: layout.type };
      this.#readFields(node, layout.fields);
      if (layout.type === 'SubLink') node['arraytype'] = 0;
    }
    if (this.#token() !== '}') this.#fail(`end of ${tag}`);
    return node as unknown as Node;
  }

  #readFields(node: Fields, fields: readonly FieldLayout[]): void {
    for (const field of fields) {
      const label = this.#token();
      if (label !== `:${field.label}`) this.#fail(`field ${field.label}, got ${label}`);
      node[field.prop] = this.#readField(node, field);
    }
  }

  #readField(node: Fields, field: FieldLayout): unknown {
    switch (field.kind) {
      case 'p': {
        const location = Number(this.#token());
        return this.#keepLocations ? location : -1;
      }
      case 'i':
      case 'u':
      case 'o':
      case 'e':
        return Number(this.#token());
      case 'b':
        return this.#token() === 'true';
      case 'c': {
        const token = this.#token();
        return token === '<>' ? '' : debackslash(token);
      }
      case 's': {
        const token = this.#token();
        return token === '<>' ? null : debackslash(token);
      }
      case 'x':
        return this.#token();
      case 'n':
        return this.readAny();
      case 'l':
      case 'g':
      case 'S':
      case 'I':
      case 'O':
      case 'B':
        return this.readAny() ?? [];
      case 'U':
        assert(this.#token() === '<>', 'stored queries are not utility statements');
        return null;
      case 'D':
        return this.#readConstValue(node);
    }
  }

  #readConstValue(node: Fields): unknown {
    const first = this.#token();
    if (first === '<>') return null;
    if (this.#token() !== '[') this.#fail('constant');
    const bytes: number[] = [];
    for (let token = this.#token(); token !== ']'; token = this.#token()) bytes.push(Number(token) & 0xff);
    return datumFromBytes(
      Uint8Array.from(bytes),
      node['consttype'] as number,
      node['constlen'] as number,
      node['constbyval'] as boolean,
    );
  }
}

function isSpace(c: number): boolean {
  return c === 32 || c === 10 || c === 9;
}

function isBracket(c: number): boolean {
  return c === 40 || c === 41 || c === 123 || c === 125;
}

function debackslash(token: string): string {
  return token.includes('\\') ? token.replace(/\\([\s\S])/g, '$1') : token;
}
