/**
 * The type of a reference to a whole row of a range table entry. A function that yields scalars has no
 * row: with allowScalar its one column stands for it.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { RECORDOID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { exprCollation, exprType } from '@pgtroupe/nodes/nodefuncs';
import { RTE_FUNCTION, RTE_RELATION } from '@pgtroupe/nodes/nodes';
import type { RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { Var } from '@pgtroupe/nodes/primnodes';
import type { ParseState } from './parse_node.ts';

export function wholeRowType(
  pstate: ParseState,
  rte: RangeTblEntry,
  allowScalar: boolean,
): Pick<Var, 'varattno' | 'varattnosyn' | 'vartype' | 'varcollid'> {
  const row = (vartype: Oid) => ({ varattno: 0, varattnosyn: 0, vartype, varcollid: INVALID_OID });
  if (rte.rtekind === RTE_RELATION) {
    const rel = pstate.catalog.relation(rte.relid);
    if (rel.reltype === 0) {
      throw pstate.error(ERRCODE.WRONG_OBJECT_TYPE, `relation "${rel.relname}" does not have a composite type`);
    }
    return row(rel.reltype);
  }
  const [func] = rte.functions;
  if (rte.rtekind === RTE_FUNCTION && func && !rte.funcordinality && rte.functions.length === 1) {
    const type = exprType(func.funcexpr);
    if (pstate.catalog.typeIsRowtype(type)) return row(type);
    if (allowScalar) return { varattno: 1, varattnosyn: 1, vartype: type, varcollid: exprCollation(func.funcexpr) };
  }
  return row(RECORDOID);
}
