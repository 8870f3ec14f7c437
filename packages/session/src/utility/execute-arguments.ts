/**
 * EXECUTE's arguments: expressions of their own, assigned to the parameters' types.
 */
import { type Oid } from '@pgtroupe/common/ids';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { VOIDOID } from '@pgtroupe/common/oids';
import { exprLocation, exprType } from '@pgtroupe/nodes/nodefuncs';
import { COERCE_IMPLICIT_CAST, COERCION_ASSIGNMENT } from '@pgtroupe/nodes/nodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { makeParseState } from '@pgtroupe/parser/analyze';
import { transformExpr } from '@pgtroupe/parser/grammar';
import { coerceToTargetType } from '@pgtroupe/parser/parse_coerce';
import { selectAll } from '../own-query.ts';
import type { PreparedStatement } from '../prepared-statement.ts';
import type { StatementRunner } from '../statement-runner.ts';

export async function executeArguments(
  runner: StatementRunner,
  statement: PreparedStatement,
  args: readonly RawNode[],
  text: string,
): Promise<readonly Datum[]> {
  const types = statement.paramTypes;
  if (args.length !== types.length) {
    throw ereport(ERRCODE.SYNTAX_ERROR, `wrong number of parameters for prepared statement "${statement.name}"`, {
      detail: `Expected ${types.length} parameters but got ${args.length}.`,
    });
  }
  if (args.length === 0) return [];
  await withCatalog(() => checkArguments(runner, types, args, text));
  const location = -1;
  const targetList = args.map((arg, n) => {
    const typeName = { type: 'TypeName', names: [], typeOid: types[n]!, typemod: -1, location };
    return { type: 'ResTarget', name: `$${n + 1}`, val: { type: 'TypeCast', arg, typeName, location }, location };
  });
  const rest = { limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' };
  const [values] = await selectAll(runner, { type: 'SelectStmt', targetList, ...rest }, text);
  return values!;
}

/** Complains as EXECUTE does: about what may not be in an argument, and what cannot be assigned. */
function checkArguments(
  { analysis, functions }: StatementRunner,
  types: readonly Oid[],
  args: readonly RawNode[],
  text: string,
): void {
  const fc = functions.call([], VOIDOID);
  const pstate = makeParseState({ catalog: analysis.lookup(), fc, sourceText: text });
  args.forEach((arg, n) => {
    const expr = transformExpr(pstate, arg, 'EXECUTE_PARAMETER');
    const [given, wanted] = [exprType(expr), types[n]!];
    if (coerceToTargetType(pstate, expr, given, wanted, -1, COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1) !== null)
      return;
    throw pstate.error(
      ERRCODE.DATATYPE_MISMATCH,
      `parameter $${n + 1} of type ${pstate.typeName(given)} cannot be coerced to the expected type ${pstate.typeName(wanted)}`,
      exprLocation(expr),
      { hint: 'You will need to rewrite or cast the expression.' },
    );
  });
}
