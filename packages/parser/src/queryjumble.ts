/**
 * Query identifiers (queryjumble.c): what an analyzed statement means, without the values of its constants, as a number.
 * Statements that differ in constants, blanks, aliases or letter case only have the same; objects count by their OIDs. The
 * numbers are not PostgreSQL's.
 *
 * The jumble is the text that is hashed; on the way the places of the constants are noted, for the normalized text.
 */
import { createHash } from 'node:crypto';
import type { Const, Param, TargetEntry } from '@pgtroupe/nodes/primnodes';
import type { Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import {
  PARAM_EXTERN,
  RTE_CTE,
  RTE_FUNCTION,
  RTE_JOIN,
  RTE_RELATION,
  RTE_SUBQUERY,
  RTE_TABLEFUNC,
  RTE_VALUES,
} from '@pgtroupe/nodes/nodes';

export interface Jumble {
  /** 64 bits with a sign, never 0. */
  readonly queryId: bigint;
  /** Byte offsets into the statement's text, in the order found. */
  readonly constants: readonly number[];
  /** Highest $n of the client's. */
  readonly highestParam: number;
}

/** How things are written, where they are, and what follows from the rest. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  ...['location', 'stmt_location', 'stmt_len', 'alias', 'join_using_alias', 'usingClause', 'name', 'refname'],
  ...['funcformat', 'coercionformat', 'relabelformat', 'convertformat', 'coerceformat', 'row_format', 'colnames'],
  ...['funcvariadic', 'aggvariadic', 'opfuncid', 'operName', 'copiedOrder', 'literal', 'search_clause', 'cycle_clause'],
  ...['querySource', 'canSetTag', 'utilityStmt', 'resultRelation', 'hasAggs', 'hasWindowFuncs', 'hasTargetSRFs'],
  ...['hasSubLinks', 'hasDistinctOn', 'hasRecursive', 'hasModifyingCTE', 'hasForUpdate', 'hasRowSecurity'],
  ...['isReturn', 'constraintDeps', 'withCheckOptions', 'exclRelTlist', 'aliascolnames', 'ctecolnames'],
  ...['ctecoltypes', 'ctecoltypmods', 'ctecolcollations', 'colTypes', 'colTypmods', 'colCollations', 'groupClauses'],
]);

/** `literalBase`: parameters from there on stand for constants. */
export function jumbleQuery(query: Query, literalBase: number): Jumble {
  const jumbling = new Jumbling(literalBase);
  jumbling.value(query);
  return {
    queryId: hashed(jumbling.text.join(' ')),
    constants: jumbling.constants,
    highestParam: jumbling.highestParam,
  };
}

/** The identifier of a statement that is not analyzed: of its text. */
export function queryIdOfText(text: string): bigint {
  return hashed(text);
}

function hashed(text: string): bigint {
  const id = createHash('sha1').update(text).digest().readBigInt64BE(0);
  return id === 0n ? 1n : id;
}

class Jumbling {
  readonly text: (string | number)[] = [];
  readonly constants: number[] = [];
  highestParam = 0;
  readonly #literalBase: number;

  constructor(literalBase: number) {
    this.#literalBase = literalBase;
  }

  value(value: unknown): void {
    if (Array.isArray(value)) {
      this.text.push('(');
      for (const item of value) this.value(item);
      this.text.push(')');
    } else if (typeof value === 'object' && value !== null) this.#node(value as { readonly type?: string });
    else this.text.push(String(value));
  }

  #node(node: { readonly type?: string }): void {
    if (node.type === 'Const') return this.#constant((node as Const).consttype, (node as Const).location);
    if (node.type === 'Param') return this.#param(node as Param);
    this.text.push('{', node.type ?? '');
    switch (node.type) {
      case 'RangeTblEntry':
        this.#rangeTableEntry(node as RangeTblEntry);
        break;
      case 'TargetEntry': {
        const { resno, ressortgroupref, expr } = node as TargetEntry;
        this.text.push(resno, ressortgroupref);
        this.value(expr);
        break;
      }
      default:
        for (const [name, field] of Object.entries(node)) {
          if (name === 'type' || LEFT_OUT.has(name)) continue;
          this.value(field);
        }
    }
    this.text.push('}');
  }

  #constant(type: number, location: number): void {
    this.text.push('Const', type);
    if (location >= 0) this.constants.push(location);
  }

  #param({ paramkind, paramid, paramtype, location }: Param): void {
    if (paramkind === PARAM_EXTERN && paramid >= this.#literalBase) return this.#constant(paramtype, location);
    this.text.push('Param', paramkind, paramid, paramtype);
    if (paramkind === PARAM_EXTERN) this.highestParam = Math.max(this.highestParam, paramid);
  }

  #rangeTableEntry(rte: RangeTblEntry): void {
    this.text.push(rte.rtekind);
    switch (rte.rtekind) {
      case RTE_RELATION:
        this.text.push(rte.relid);
        return this.value(rte.tablesample);
      case RTE_SUBQUERY:
        return this.value(rte.subquery);
      case RTE_JOIN:
        this.text.push(rte.jointype);
        return;
      case RTE_FUNCTION:
        return this.value(rte.functions.map(({ funcexpr }) => funcexpr));
      case RTE_TABLEFUNC:
        return this.value(rte.tablefunc);
      case RTE_VALUES:
        return this.value(rte.values_lists);
      case RTE_CTE:
        this.text.push(rte.ctename ?? '', rte.ctelevelsup);
        return;
      default:
    }
  }
}
