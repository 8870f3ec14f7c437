/**
 * The relation that a ModifyTable changes: its columns in a lane, its computed columns, whether it can be
 * changed; and how rows of the plan below are read.
 */
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import * as N from '@pgtroupe/nodes/nodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { ModifyTable } from '@pgtroupe/optimizer/plannodes';
import type { Column, RowReader, TupleLane } from './batch.ts';
import { type EState, type ExecEnv, type PlanState, storedExpr } from './estate.ts';
import { readColumn, tidReader } from './execExpr.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';

/** How a child's (or a recheck's) rows are read. */
export interface Sources {
  readonly values: readonly RowReader[];
  readonly tid: ((row: number) => number) | null;
  /** Where the rows of the other tables are, and whole rows of everything else, by range table index. */
  readonly marks: ReadonlyMap<number, (row: number) => number>;
  readonly wholeRows: ReadonlyMap<number, RowReader>;
}

export function sourcesOf(est: EState, plan: ModifyTable, child: PlanState, factory: SubPlanFactory): Sources {
  const scope = makeScope(est, factory, { outer: child.out.columns });
  const tlist = child.plan.targetlist;
  const column = (resno: number): Column => child.out.columns[resno - 1]!;
  const junk = (name: string): Column | undefined => {
    const tle = tlist.find(t => t.resjunk && t.resname === name);
    return tle === undefined ? undefined : column(tle.resno);
  };
  const ctid = junk('ctid');
  const marks = new Map<number, (row: number) => number>();
  const wholeRows = new Map<number, RowReader>();
  for (const mark of plan.rowMarks) {
    const tid = mark.ctidName === null ? undefined : junk(mark.ctidName);
    if (tid !== undefined) marks.set(mark.rti, tidReader(scope, tid));
    const wholeRow = mark.wholeName === null ? undefined : junk(mark.wholeName);
    if (wholeRow !== undefined) wholeRows.set(mark.rti, readColumn(scope, wholeRow));
  }
  return {
    values: tlist.filter(t => !t.resjunk).map(t => readColumn(scope, column(t.resno))),
    tid: ctid === undefined ? null : tidReader(scope, ctid),
    marks,
    wholeRows,
  };
}

/** Attribute `attnum` of the relation's tuples in a lane. */
export function columnOf(relation: RelationDesc, lane: TupleLane, attnum: number): Column {
  if (attnum === -1) lane.wantTids = true;
  const att = attnum > 0 ? relation.att.attrs[attnum - 1]! : undefined;
  const type =
    att === undefined
      ? { typid: attnum === 0 ? relation.rel.reltype : 27, typmod: -1, collation: 0 }
      : { typid: att.typid, typmod: att.typmod, collation: att.collation };
  return { kind: 'attr', type, lane, attnum };
}

/** Columns that are computed from others, and how. */
export function generatedColumns(env: ExecEnv, relation: RelationDesc): { att: number; expr: Expr }[] {
  const result: { att: number; expr: Expr }[] = [];
  relation.attributes.forEach((a, att) => {
    if (a.attgenerated !== 's') return;
    const def = relation.defaults.find(d => d.adnum === a.attnum);
    if (def?.adbin) result.push({ att, expr: storedExpr(env, def.adbin) });
  });
  return result;
}

/** Can rows of this relation be changed at all? */
export function checkRelation(relation: RelationDesc, operation: N.CmdType): void {
  const verb = operation === N.CMD_INSERT ? 'insert into' : operation === N.CMD_UPDATE ? 'update' : 'delete from';
  switch (relation.rel.relkind) {
    case 'r':
      if (relation.rel.relhastriggers && relation.triggers.some(t => t.tgenabled !== 'D'))
        throw notSupported(`a table with triggers or foreign keys`);
      return;
    case 'p':
      throw notSupported('partitioned tables');
    case 'S':
      throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `cannot change sequence "${relation.name}"`);
    case 'v':
      throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, `cannot ${verb} view "${relation.name}"`);
    case 'm':
      throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `cannot change materialized view "${relation.name}"`);
    default:
      throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `cannot change relation "${relation.name}"`);
  }
}

export function serializationFailure(verb: 'update' | 'delete'): Error {
  return ereport(ERRCODE.T_R_SERIALIZATION_FAILURE, `could not serialize access due to concurrent ${verb}`);
}

export function modifiedByTrigger(what: 'updated' | 'deleted'): Error {
  return ereport(
    ERRCODE.TRIGGERED_DATA_CHANGE_VIOLATION,
    `tuple to be ${what} was already modified by an operation triggered by the current command`,
    {
      hint: 'Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other rows.',
    },
  );
}
