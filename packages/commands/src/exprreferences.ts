/**
 * Objects that an analyzed expression or query refers to, for pg_depend (find_expr_references_walker).
 * Built-in ones are included; whoever records dependencies skips them.
 */
import { DEFAULT_COLLATION_OID, REGCLASSOID, REGPROCEDUREOID, REGPROCOID, REGTYPEOID } from '@pgtroupe/common/oids';
import { CollationRelationId } from '@pgtroupe/catalog/catalogs/pg_collation';
import { RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import { ConstraintRelationId } from '@pgtroupe/catalog/catalogs/pg_constraint';
import { OperatorFamilyRelationId } from '@pgtroupe/catalog/catalogs/pg_opfamily';
import { OperatorRelationId } from '@pgtroupe/catalog/catalogs/pg_operator';
import { ProcedureRelationId } from '@pgtroupe/catalog/catalogs/pg_proc';
import { TypeRelationId } from '@pgtroupe/catalog/catalogs/pg_type';
import { objectAddress, type ObjectAddress } from '@pgtroupe/catalog/objectaddress';
import type { Oid } from '@pgtroupe/common/ids';
import { exprType, walkChildren } from '@pgtroupe/nodes/nodefuncs';
import { RTE_JOIN, RTE_RELATION } from '@pgtroupe/nodes/nodes';
import type { Node, Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { CatalogLookup } from '@pgtroupe/parser/catalog-lookup';

/** What a Var's varno means at one query level; a lone expression is over one relation. */
type Level = readonly Pick<RangeTblEntry, 'rtekind' | 'relid'>[];

/** References of an expression whose only relation (varno 1) is `relid`; 0 when it has none. */
export function findExprReferences(lookup: CatalogLookup, expr: Node, relid: Oid): ObjectAddress[] {
  const collector = new Collector(lookup, relid === 0 ? [] : [[{ rtekind: RTE_RELATION, relid }]]);
  collector.visit(expr);
  return collector.result();
}

export function findQueryReferences(lookup: CatalogLookup, query: Query): ObjectAddress[] {
  const collector = new Collector(lookup, []);
  collector.visit(query);
  return collector.result();
}

class Collector {
  readonly #lookup: CatalogLookup;
  readonly #levels: Level[];
  readonly #found: ObjectAddress[] = [];

  constructor(lookup: CatalogLookup, levels: readonly Level[]) {
    this.#lookup = lookup;
    this.#levels = [...levels];
  }

  /** Without duplicates; a relation is left out where one of its columns is named. */
  result(): ObjectAddress[] {
    const key = (o: ObjectAddress): string => `${o.classId} ${o.objectId}`;
    const partly = new Set(this.#found.filter(o => o.objectSubId !== 0).map(key));
    const seen = new Set<string>();
    return this.#found.filter(object => {
      if (object.objectSubId === 0 && partly.has(key(object))) return false;
      const whole = `${key(object)} ${object.objectSubId}`;
      if (seen.has(whole)) return false;
      seen.add(whole);
      return true;
    });
  }

  #add(classId: Oid, objectId: number, subId = 0): void {
    if (objectId !== 0) this.#found.push(objectAddress(classId, objectId as Oid, subId));
  }

  #type(oid: number, collation = 0): void {
    this.#add(TypeRelationId, oid);
    this.#collation(collation);
  }

  #collation(oid: number): void {
    if (oid !== DEFAULT_COLLATION_OID) this.#add(CollationRelationId, oid);
  }

  readonly visit = (node: Node): boolean => {
    switch (node.type) {
      case 'Query':
        return this.#query(node);
      case 'RangeTblEntry':
        // Join columns count only where they are used; system columns of the entry are no nodes.
        return node.rtekind === RTE_JOIN ? false : walkChildren(node, this.visit);
      case 'Var': {
        const rte = this.#levels.at(-1 - node.varlevelsup)?.[node.varno - 1];
        if (rte?.rtekind === RTE_RELATION) this.#add(RelationRelationId, rte.relid, node.varattno);
        return false;
      }
      case 'Const':
        this.#type(node.consttype, node.constcollid);
        if (typeof node.constvalue === 'number') this.#registered(node.consttype, node.constvalue);
        return false;
      case 'Param':
        this.#type(node.paramtype, node.paramcollid);
        return false;
      case 'FuncExpr':
        this.#add(ProcedureRelationId, node.funcid);
        break;
      case 'Aggref':
        this.#add(ProcedureRelationId, node.aggfnoid);
        break;
      case 'WindowFunc':
        this.#add(ProcedureRelationId, node.winfnoid);
        break;
      case 'OpExpr':
      case 'DistinctExpr':
      case 'NullIfExpr':
      case 'ScalarArrayOpExpr':
        this.#add(OperatorRelationId, node.opno);
        break;
      case 'RowCompareExpr':
        for (const opno of node.opnos) this.#add(OperatorRelationId, opno);
        for (const family of node.opfamilies) this.#add(OperatorFamilyRelationId, family);
        break;
      case 'FieldSelect': {
        const argType = exprType(node.arg);
        const relid = this.#lookup.typeOrDomainRelid(argType);
        if (relid !== 0) this.#add(RelationRelationId, relid, node.fieldnum);
        else this.#type(argType);
        this.#collation(node.resultcollid);
        break;
      }
      case 'RelabelType':
      case 'CoerceViaIO':
      case 'ArrayCoerceExpr':
        this.#type(node.resulttype, node.resultcollid);
        break;
      case 'ConvertRowtypeExpr':
      case 'CoerceToDomain':
        this.#type(node.resulttype);
        break;
      case 'CollateExpr':
        this.#add(CollationRelationId, node.collOid);
        break;
      case 'RowExpr':
        this.#type(node.row_typeid);
        break;
      case 'NextValueExpr':
        this.#add(RelationRelationId, node.seqid);
        break;
      case 'OnConflictExpr':
        this.#add(ConstraintRelationId, node.constraint);
        break;
      case 'SortGroupClause':
        this.#add(OperatorRelationId, node.eqop);
        this.#add(OperatorRelationId, node.sortop);
        return false;
      case 'RangeTblFunction':
        for (const type of node.funccoltypes) this.#type(type);
        for (const collation of node.funccolcollations) this.#collation(collation);
        break;
      default:
        break;
    }
    return walkChildren(node, this.visit);
  };

  #registered(type: number, oid: number): void {
    if (type === REGCLASSOID) this.#add(RelationRelationId, oid);
    else if (type === REGPROCOID || type === REGPROCEDUREOID) this.#add(ProcedureRelationId, oid);
    else if (type === REGTYPEOID) this.#add(TypeRelationId, oid);
  }

  #query(query: Query): boolean {
    this.#levels.push(query.rtable);
    for (const rte of query.rtable) {
      if (rte.rtekind === RTE_RELATION) this.#add(RelationRelationId, rte.relid);
      // Only merged columns may hide a coercion function.
      if (rte.rtekind !== RTE_JOIN) continue;
      for (const alias of rte.joinaliasvars.slice(0, rte.joinmergedcols))
        if (alias !== null && alias.type !== 'Var') this.visit(alias);
    }
    for (const oid of query.constraintDeps) this.#add(ConstraintRelationId, oid);
    const stop = walkChildren(query, this.visit);
    this.#levels.pop();
    return stop;
  }
}
