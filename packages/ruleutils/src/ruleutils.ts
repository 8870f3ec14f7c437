/** The SQL functions that print catalog contents as SQL: pg_get_viewdef() and its kin. */
import { RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import { DEPENDREFERENCE } from '@pgtroupe/catalog/syscache';
import { walkChildren } from '@pgtroupe/nodes/nodefuncs';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import { buildTextArray } from '@pgtroupe/adt/arrayutils';
import { regclassOid } from '@pgtroupe/adt/regproc';
import type { FunctionCall, FunctionTable } from '@pgtroupe/adt/fmgr';
import { stringToText, textToString } from '@pgtroupe/adt/mb/mbutils';
import { constraintDefinition } from './constraintdef.ts';
import { prettyFlags, type DeparseEnvironment, type PrettyFlags } from './context.ts';
import { deparseEnvironment, deparseExpr, relationScope } from './deparse.ts';
import {
  functionArgumentDefault,
  functionArguments,
  functionDefinition,
  functionResult,
  functionSqlBody,
} from './functiondef.ts';
import { indexDefinition, partitionKeyDefinition, statisticsDefinition, statisticsExpressions } from './indexdef.ts';
import { qualifiedRelationName } from './names.ts';
import { ruleDefinition, viewDefinition } from './ruledef.ts';
import { triggerDefinition } from './triggerdef.ts';

type Text = Uint8Array;

const asText = (text: string | null): Text | null => (text === null ? null : stringToText(text));

/** f(oid) and f(oid, pretty). */
function definition(write: (env: DeparseEnvironment, oid: Oid, pretty: PrettyFlags) => string | null) {
  return {
    plain: (fc: FunctionCall, oid: Oid) => asText(write(deparseEnvironment(fc), oid, prettyFlags(false))),
    ext: (fc: FunctionCall, oid: Oid, pretty: boolean) =>
      asText(write(deparseEnvironment(fc), oid, prettyFlags(pretty))),
  };
}

function ofFunction(write: (env: DeparseEnvironment, proc: Form_pg_proc) => string | null) {
  return (fc: FunctionCall, oid: Oid): Text | null => {
    const env = deparseEnvironment(fc);
    const proc = env.catalog.procOrNull(oid);
    return proc === null ? null : asText(write(env, proc));
  };
}

function viewText(fc: FunctionCall, oid: Oid, pretty: PrettyFlags, wrapColumn = 0): Text | null {
  return asText(viewDefinition(deparseEnvironment(fc), oid, pretty, wrapColumn));
}

/** Range table indexes the expression's own columns refer to. */
function variableRelations(tree: Node | readonly Node[]): Set<number> {
  const found = new Set<number>();
  const visit = (node: Node): boolean => {
    if (node.type === 'Var' && node.varlevelsup === 0) found.add(node.varno);
    return walkChildren(node, visit);
  };
  for (const node of Array.isArray(tree) ? (tree as readonly Node[]) : [tree as Node]) visit(node);
  return found;
}

function expressionText(fc: FunctionCall, text: Text, relid: Oid, pretty: PrettyFlags): Text | null {
  const tree = stringToNode(textToString(text)) as Expr | readonly Expr[];
  const invalid = (message: string): Error => ereport(ERRCODE.INVALID_PARAMETER_VALUE, message);
  const list = Array.isArray(tree) ? (tree as readonly Expr[]) : [tree as Expr];
  if ((list[0] as Node | undefined)?.type === 'Query') throw invalid('input is a query, not an expression');
  const relations = variableRelations(tree);
  if (relid === 0 && relations.size > 0) throw invalid('expression contains variables');
  relations.delete(1);
  if (relations.size > 0) throw invalid('expression contains variables of more than one relation');
  const env = deparseEnvironment(fc);
  if (relid !== 0 && env.catalog.relationOrNull(relid) === null) return null;
  const scope = relid === 0 ? [] : relationScope(env, relid);
  return stringToText(list.map(expr => deparseExpr(env, expr, scope, { pretty })).join(', '));
}

/** The sequence a column owns: serial or identity. */
function serialSequence(fc: FunctionCall, table: Text, column: Text): Text | null {
  const env = deparseEnvironment(fc);
  const { catalog } = env;
  const relid = regclassOid(fc, textToString(table));
  const name = textToString(column);
  const attr = catalog.attributes(relid).find(a => a.attname === name && !a.attisdropped);
  if (attr === undefined) {
    throw ereport(
      ERRCODE.UNDEFINED_COLUMN,
      `column "${name}" of relation "${catalog.relation(relid).relname}" does not exist`,
    );
  }
  const owned = catalog.caches
    .searchList(DEPENDREFERENCE, RelationRelationId, relid, attr.attnum)
    .find(
      dep =>
        dep.classid === RelationRelationId &&
        dep.objsubid === 0 &&
        'ai'.includes(dep.deptype) &&
        catalog.relationOrNull(dep.objid)?.relkind === 'S',
    );
  return owned === undefined ? null : stringToText(qualifiedRelationName(env, owned.objid));
}

const constraintdef = definition(constraintDefinition);
const ruledef = definition(ruleDefinition);
const triggerdef = definition(triggerDefinition);

export const ruleutilsFunctions: FunctionTable = {
  pg_get_constraintdef: constraintdef.plain,
  pg_get_constraintdef_ext: constraintdef.ext,
  pg_get_expr: (fc: FunctionCall, expr: Text, relid: Oid) => expressionText(fc, expr, relid, prettyFlags(false)),
  pg_get_expr_ext: (fc: FunctionCall, expr: Text, relid: Oid, pretty: boolean) =>
    expressionText(fc, expr, relid, prettyFlags(pretty)),
  pg_get_function_arg_default: (fc: FunctionCall, oid: Oid, nth: number) =>
    ofFunction((env, proc) => functionArgumentDefault(env, proc, nth))(fc, oid),
  pg_get_function_arguments: ofFunction((env, proc) => functionArguments(env, proc, true)),
  pg_get_function_identity_arguments: ofFunction((env, proc) => functionArguments(env, proc, false)),
  pg_get_function_result: ofFunction(functionResult),
  pg_get_function_sqlbody: ofFunction(functionSqlBody),
  pg_get_functiondef: ofFunction(functionDefinition),
  pg_get_indexdef: (fc: FunctionCall, oid: Oid) =>
    asText(indexDefinition(deparseEnvironment(fc), oid, { pretty: prettyFlags(false) })),
  pg_get_indexdef_ext: (fc: FunctionCall, oid: Oid, column: number, pretty: boolean) =>
    asText(indexDefinition(deparseEnvironment(fc), oid, { pretty: prettyFlags(pretty), column })),
  pg_get_partkeydef: definition(partitionKeyDefinition).plain,
  pg_get_ruledef: ruledef.plain,
  pg_get_ruledef_ext: ruledef.ext,
  pg_get_serial_sequence: serialSequence,
  pg_get_statisticsobjdef: (fc: FunctionCall, oid: Oid) =>
    asText(statisticsDefinition(deparseEnvironment(fc), oid, false)),
  pg_get_statisticsobjdef_columns: (fc: FunctionCall, oid: Oid) =>
    asText(statisticsDefinition(deparseEnvironment(fc), oid, true)),
  pg_get_statisticsobjdef_expressions: (fc: FunctionCall, oid: Oid) => {
    const texts = statisticsExpressions(deparseEnvironment(fc), oid, prettyFlags(false));
    return texts === null ? null : buildTextArray(texts.map(text => stringToText(text)));
  },
  pg_get_triggerdef: triggerdef.plain,
  pg_get_triggerdef_ext: triggerdef.ext,
  pg_get_viewdef: (fc: FunctionCall, oid: Oid) => viewText(fc, oid, prettyFlags(false)),
  pg_get_viewdef_ext: (fc: FunctionCall, oid: Oid, pretty: boolean) => viewText(fc, oid, prettyFlags(pretty)),
  pg_get_viewdef_name: (fc: FunctionCall, name: Text) =>
    viewText(fc, regclassOid(fc, textToString(name)), prettyFlags(false)),
  pg_get_viewdef_name_ext: (fc: FunctionCall, name: Text, pretty: boolean) =>
    viewText(fc, regclassOid(fc, textToString(name)), prettyFlags(pretty)),
  pg_get_viewdef_wrap: (fc: FunctionCall, oid: Oid, wrapColumn: number) =>
    viewText(fc, oid, prettyFlags(true), wrapColumn),
};
