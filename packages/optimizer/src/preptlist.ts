/**
 * Target lists as ModifyTable and LockRows need them (preptlist.c): all columns of an inserted row, junk
 * columns that say where the rows came from.
 */
import { INVALID_OID } from '@pgtroupe/common/ids';
import { RECORDOID, TIDOID, INT4OID } from '@pgtroupe/common/oids';
import { makeConst, makeTargetEntry, makeVar } from '@pgtroupe/nodes/makefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { TargetEntry } from '@pgtroupe/nodes/primnodes';
import { equalNodes } from '@pgtroupe/nodes/nodefuncs';
import type { PlannerInfo } from './pathnodes.ts';
import type { PlanRowMark } from './plannodes.ts';
import { pullVars } from './var.ts';

const SELF_ITEM_POINTER = -1;

export interface PreparedTlist {
  readonly tlist: TargetEntry[];
  readonly updateColnos: number[];
  readonly rowMarks: PlanRowMark[];
}

export function preprocessTargetlist(root: PlannerInfo): PreparedTlist {
  const { parse } = root;
  const tlist = [...parse.targetList];
  let updateColnos: number[] = [];
  const junk = (tle: TargetEntry): void => {
    tlist.push({ ...tle, resno: tlist.length + 1 });
  };
  if (parse.commandType === N.CMD_INSERT) {
    const full = expandInsertTargetlist(root, tlist);
    tlist.length = 0;
    tlist.push(...full);
  } else if (parse.commandType === N.CMD_UPDATE) {
    updateColnos = tlist.filter(tle => !tle.resjunk).map(tle => tle.resno);
    tlist.forEach((tle, i) => (tlist[i] = { ...tle, resno: i + 1 }));
  } else if (parse.commandType === N.CMD_DELETE) tlist.length = 0;
  if (parse.commandType === N.CMD_UPDATE || parse.commandType === N.CMD_DELETE) {
    junk(makeTargetEntry(makeVar(parse.resultRelation, SELF_ITEM_POINTER, TIDOID, -1, INVALID_OID), 0, 'ctid', true));
  }
  const rowMarks = preprocessRowmarks(root, junk);
  // RETURNING may mention columns of the other relations.
  for (const { expr } of parse.returningList) {
    for (const v of pullVars(expr)) {
      if (v.varno === parse.resultRelation || tlist.some(tle => equalNodes(tle.expr, v))) continue;
      junk(makeTargetEntry(v, 0, null, true));
    }
  }
  return { tlist, updateColnos, rowMarks };
}

/** One entry per column of the table, null for those not mentioned. */
function expandInsertTargetlist(root: PlannerInfo, tlist: readonly TargetEntry[]): TargetEntry[] {
  const relation = root.env.relation(root.rtable[root.parse.resultRelation - 1]!.relid);
  const result = relation.att.attrs.map((att, i): TargetEntry => {
    const given = tlist.find(tle => !tle.resjunk && tle.resno === i + 1);
    if (given !== undefined) return given;
    const dropped = att.dropped;
    const none = dropped
      ? makeConst(INT4OID, -1, INVALID_OID, 4, true, null)
      : makeConst(att.typid, -1, att.collation, att.len, att.byval, null);
    return makeTargetEntry(none, i + 1, att.name, false);
  });
  for (const tle of tlist) if (tle.resjunk) result.push({ ...tle, resno: result.length + 1 });
  return result;
}

/** Rows to lock (FOR UPDATE...), and rows to find again when an updated row is checked once more. */
function preprocessRowmarks(root: PlannerInfo, junk: (tle: TargetEntry) => void): PlanRowMark[] {
  const { parse } = root;
  const marks: PlanRowMark[] = [];
  if (parse.rowMarks.length === 0 && parse.commandType !== N.CMD_UPDATE && parse.commandType !== N.CMD_DELETE)
    return marks;
  root.rtable.forEach((rte, i) => {
    const rti = i + 1;
    if (rti === parse.resultRelation || root.rels[rti] === undefined) return;
    const clause = parse.rowMarks.find(m => m.rti === rti);
    if (rte.rtekind === N.RTE_RELATION) {
      const ctidName = `ctid${rti}`;
      junk(makeTargetEntry(makeVar(rti, SELF_ITEM_POINTER, TIDOID, -1, INVALID_OID), 0, ctidName, true));
      marks.push({
        rti,
        strength: clause?.strength ?? N.LCS_NONE,
        waitPolicy: clause?.waitPolicy ?? N.LOCK_WAIT_BLOCK,
        locks: clause !== undefined,
        ctidName,
        wholeName: null,
      });
    } else if (rte.rtekind !== N.RTE_RESULT) {
      const wholeName = `wholerow${rti}`;
      junk(makeTargetEntry(makeVar(rti, 0, RECORDOID, -1, INVALID_OID), 0, wholeName, true));
      marks.push({ rti, strength: N.LCS_NONE, waitPolicy: N.LOCK_WAIT_BLOCK, locks: false, ctidName: null, wholeName });
    }
  });
  return marks;
}
