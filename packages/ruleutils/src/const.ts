/** Constants as literals that read back as the same value of the same type. */
import { BOOLOID, INT4OID, NUMERICOID, UNKNOWNOID } from '@pgtroupe/common/oids';
import type { Oid } from '@pgtroupe/common/ids';
import type { Const } from '@pgtroupe/nodes/primnodes';
import { outputFunction } from '@pgtroupe/adt/cache/typcache';
import { textToString } from '@pgtroupe/adt/mb/mbutils';
import type { DeparseContext, DeparseEnvironment } from './context.ts';
import { collateSuffix, simpleQuoteLiteral, typeName } from './names.ts';

/** Should the literal carry its type: never, where it would not be inferred, or always? */
export type ShowType = 'never' | 'needed' | 'always';

/** A number as it stands in SQL: no sign, and (for numeric) recognizable as what it is. */
const PLAIN_NUMERIC = /^[0-9].*[eE.]/;

export function appendConst(constant: Const, context: DeparseContext, show: ShowType): void {
  const { env } = context;
  const label = (): string => `::${typeName(env, constant.consttype, constant.consttypmod)}`;
  if (constant.constisnull) {
    context.append('NULL');
    if (show === 'never') return;
    context.append(label() + collation(env, constant));
    return;
  }
  const value = textToString(outputFunction(env.fc, constant.consttype as Oid)(constant.constvalue));
  const { text, needlabel } = literal(env, constant, value);
  context.append(text);
  if (show === 'never') return;
  if (needlabel || show === 'always') context.append(label());
  context.append(collation(env, constant));
}

function literal(
  env: DeparseEnvironment,
  constant: Const,
  value: string,
): { readonly text: string; readonly needlabel: boolean } {
  switch (constant.consttype) {
    case INT4OID:
      return value.startsWith('-') ? { text: `'${value}'`, needlabel: true } : { text: value, needlabel: false };
    case NUMERICOID:
      return PLAIN_NUMERIC.test(value)
        ? { text: value, needlabel: constant.consttypmod >= 0 }
        : { text: `'${value}'`, needlabel: true };
    case BOOLOID:
      return { text: value === 't' ? 'true' : 'false', needlabel: false };
    default:
      return { text: simpleQuoteLiteral(env, value), needlabel: constant.consttype !== UNKNOWNOID };
  }
}

function collation(env: DeparseEnvironment, constant: Const): string {
  const { constcollid, consttype } = constant;
  return constcollid !== 0 && constcollid !== env.catalog.typeCollation(consttype)
    ? collateSuffix(env, constcollid)
    : '';
}
