/**
 * What an output column is called when the query does not say: the column's or function's name, or a
 * word for the construct.
 */
import type { RawNode } from '@pgtroupe/nodes/rawnodes';

/** Strength 2: a good name; 1: only if nothing better is found further in. */
interface Name {
  readonly name: string;
  readonly strength: 1 | 2;
}

export function figureColname(raw: RawNode): string {
  return figure(raw)?.name ?? '?column?';
}

const WORDS: Readonly<Record<string, string>> = {
  GroupingFunc: 'grouping',
  A_ArrayExpr: 'array',
  RowExpr: 'row',
  CoalesceExpr: 'coalesce',
  XmlSerialize: 'xmlserialize',
};

const XML_WORDS: Readonly<Record<string, string>> = {
  IS_XMLCONCAT: 'xmlconcat',
  IS_XMLELEMENT: 'xmlelement',
  IS_XMLFOREST: 'xmlforest',
  IS_XMLPARSE: 'xmlparse',
  IS_XMLPI: 'xmlpi',
  IS_XMLROOT: 'xmlroot',
  IS_XMLSERIALIZE: 'xmlserialize',
};

function lastString(list: readonly RawNode[]): string | null {
  let name: string | null = null;
  for (const item of list) if (item.type === 'String') name = item.sval ?? '';
  return name;
}

function good(name: string): Name {
  return { name, strength: 2 };
}

function figure(raw: RawNode | null | undefined): Name | null {
  if (!raw) return null;
  const word = WORDS[raw.type];
  if (word !== undefined) return good(word);
  switch (raw.type) {
    case 'ColumnRef': {
      const name = lastString(raw.fields);
      return name === null ? null : good(name);
    }
    case 'A_Indirection': {
      const name = lastString(raw.indirection);
      return name === null ? figure(raw.arg) : good(name);
    }
    case 'FuncCall':
      return good(raw.funcname[raw.funcname.length - 1].sval);
    case 'A_Expr':
      return raw.kind === 'AEXPR_NULLIF' ? good('nullif') : null;
    case 'TypeCast': {
      const inner = figure(raw.arg);
      if (inner?.strength === 2) return inner;
      const { names } = raw.typeName;
      return { name: names[names.length - 1].sval, strength: 1 };
    }
    case 'CollateClause':
      return figure(raw.arg);
    case 'SubLink':
      if (raw.subLinkType === 'EXISTS_SUBLINK') return good('exists');
      if (raw.subLinkType === 'ARRAY_SUBLINK') return good('array');
      return raw.subLinkType === 'EXPR_SUBLINK' ? figureSubquery(raw.subselect) : null;
    case 'CaseExpr': {
      const inner = figure(raw.defresult);
      return inner?.strength === 2 ? inner : { name: 'case', strength: 1 };
    }
    case 'MinMaxExpr':
      return good(raw.op === 'IS_LEAST' ? 'least' : 'greatest');
    case 'SQLValueFunction':
      return good(
        (raw.op as string)
          .replace(/^SVFOP_/, '')
          .replace(/_N$/, '')
          .toLowerCase(),
      );
    case 'XmlExpr': {
      const name = XML_WORDS[raw.op as string];
      return name === undefined ? null : good(name);
    }
    default:
      return null;
  }
}

/** A scalar subquery is called as its first column. */
function figureSubquery(select: RawNode): Name | null {
  let leftmost = select;
  while (leftmost.larg) leftmost = leftmost.larg;
  if (leftmost.valuesLists) return good('column1');
  const target: RawNode | undefined = leftmost.targetList?.[0];
  if (!target) return null;
  if (target.name) return good(target.name);
  return good(figureColname(target.val));
}
