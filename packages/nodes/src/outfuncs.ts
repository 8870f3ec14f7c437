/**
 * nodeToString: analyzed trees in PostgreSQL 15's text form (type pg_node_tree), as stored in
 * pg_attrdef.adbin, pg_constraint.conbin, pg_index.indexprs/indpred and pg_rewrite.ev_action. Byte for
 * byte what PostgreSQL writes.
 */
import { assert } from '@pgtroupe/common/assert';
import { datumToBytes } from './datumbytes.ts';
import {
  LAYOUT_BY_TYPE,
  RTE_HEAD_FIELDS,
  RTE_KIND_FIELDS,
  RTE_TAG,
  RTE_TAIL_FIELDS,
  type FieldLayout,
} from './layout.ts';
import type { Const } from './primnodes.ts';
import type { Node, RangeTblEntry } from './parsenodes.ts';

/** Text form of a node, or of a list of nodes. */
export function nodeToString(node: Node | readonly Node[] | null): string {
  const out: string[] = [];
  outAny(out, node);
  return out.join('');
}

function outAny(out: string[], value: unknown): void {
  if (value === null || value === undefined) out.push('<>');
  else if (Array.isArray(value)) outList(out, value);
  else outNode(out, value as Node);
}

function outList(out: string[], list: readonly unknown[]): void {
  if (list.length === 0) {
    out.push('<>');
    return;
  }
  out.push('(');
  for (let i = 0; i < list.length; i++) {
    if (i > 0) out.push(' ');
    outAny(out, list[i]);
  }
  out.push(')');
}

function outNode(out: string[], node: Node): void {
  if (node.type === 'RangeTblEntry') {
    out.push('{', RTE_TAG);
    outFields(out, node, RTE_HEAD_FIELDS);
    outFields(out, node, RTE_KIND_FIELDS[(node as RangeTblEntry).rtekind] as readonly FieldLayout[]);
    outFields(out, node, RTE_TAIL_FIELDS);
  } else {
    const layout = LAYOUT_BY_TYPE.get(node.type);
    assert(layout !== undefined, `node ${node.type} has a text form`);
    out.push('{', layout.tag);
    outFields(out, node, layout.fields);
  }
  out.push('}');
}

function outFields(out: string[], node: Node, fields: readonly FieldLayout[]): void {
  for (const field of fields) {
    out.push(' :', field.label, ' ');
    const value = (node as unknown as Record<string, unknown>)[field.prop];
    switch (field.kind) {
      case 'i':
      case 'u':
      case 'o':
      case 'e':
      case 'p':
        out.push(String(value));
        break;
      case 'b':
        out.push(value ? 'true' : 'false');
        break;
      case 'c':
      case 's':
      case 'x':
        out.push(outToken(value as string | null));
        break;
      case 'n':
      case 'l':
        outAny(out, value);
        break;
      case 'g':
        outGroupingContent(out, value as readonly unknown[]);
        break;
      case 'S':
        outStrings(out, value as readonly string[]);
        break;
      case 'I':
        outNumbers(out, 'i', value as readonly number[]);
        break;
      case 'O':
        outNumbers(out, 'o', value as readonly number[]);
        break;
      case 'B':
        out.push('(b');
        for (const member of value as readonly number[]) out.push(' ', String(member));
        out.push(')');
        break;
      case 'D':
        outConstValue(out, node as Const);
        break;
      case 'U':
        out.push(value === null ? '<>' : '?');
        break;
    }
  }
}

function outGroupingContent(out: string[], content: readonly unknown[]): void {
  if (typeof content[0] === 'number') outNumbers(out, 'i', content as readonly number[]);
  else outList(out, content);
}

function outStrings(out: string[], list: readonly string[]): void {
  if (list.length === 0) {
    out.push('<>');
    return;
  }
  out.push('(');
  for (let i = 0; i < list.length; i++) {
    const s = list[i] as string;
    out.push(i > 0 ? ' "' : '"', s === '' ? '' : outToken(s), '"');
  }
  out.push(')');
}

function outNumbers(out: string[], mark: string, list: readonly number[]): void {
  if (list.length === 0) {
    out.push('<>');
    return;
  }
  out.push('(', mark);
  for (const n of list) out.push(' ', String(n));
  out.push(')');
}

function outConstValue(out: string[], node: Const): void {
  if (node.constisnull) {
    out.push('<>');
    return;
  }
  const { length, bytes } = datumToBytes(node.constvalue, node.consttype, node.constlen, node.constbyval);
  out.push(String(length), ' [ ');
  for (const byte of bytes) out.push(String((byte << 24) >> 24), ' ');
  out.push(']');
}

const NEEDS_LEADING_ESCAPE = /^(?:[<"0-9]|[+-][0-9.])/;
const NEEDS_ESCAPE = /[ \n\t(){}\\]/g;

/** A string as one token; null and the empty string are both `<>`. */
function outToken(s: string | null): string {
  if (s === null || s === '' || s === '\0') return '<>';
  const escaped = s.replace(NEEDS_ESCAPE, '\\$&');
  return NEEDS_LEADING_ESCAPE.test(s) ? `\\${escaped}` : escaped;
}
