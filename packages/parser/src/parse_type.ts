/**
 * Type names in the query: finding the type, evaluating its modifiers; collation names; calling a
 * type's input function on a literal.
 */
import { INT4OID } from '@pgtroupe/common/oids';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import type { Datum } from '@pgtroupe/common/datum';
import type { Form_pg_type } from '@pgtroupe/catalog/catalogs/pg_type';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { inputFunction } from '@pgtroupe/adt/cache/typcache';
import { lookupBuiltin } from '@pgtroupe/adt/fmgr';
import { encodeCStringArray } from './cstring_array.ts';
import { nameListToString, rawStrings, type ParseState } from './parse_node.ts';

export interface TypeAndTypmod {
  readonly type: Form_pg_type;
  readonly typmod: number;
}

export function typeNameToString(typeName: RawNode): string {
  const name = nameListToString(rawStrings(typeName.names));
  return `${name}${typeName.pct_type ? '%TYPE' : ''}${typeName.arrayBounds ? '[]' : ''}`;
}

/** Splits schema.name; a third part must be the current database. */
export function deconstructQualifiedName(
  pstate: ParseState,
  names: readonly string[],
): { schema: string | null; name: string } {
  switch (names.length) {
    case 1:
      return { schema: null, name: names[0] as string };
    case 2:
      return { schema: names[0] as string, name: names[1] as string };
    case 3:
      if (names[0] !== pstate.catalog.session.databaseName) {
        throw ereport(
          ERRCODE.FEATURE_NOT_SUPPORTED,
          `cross-database references are not implemented: ${nameListToString(names)}`,
        );
      }
      return { schema: names[1] as string, name: names[2] as string };
    default:
      throw ereport(
        ERRCODE.SYNTAX_ERROR,
        `improper qualified name (too many dotted names): ${nameListToString(names)}`,
      );
  }
}

/** The type a TypeName means, or null if there is none. */
export function lookupTypeName(pstate: ParseState, typeName: RawNode): TypeAndTypmod | null {
  const { catalog } = pstate;
  const location = typeName.location ?? 0;
  const names = rawStrings(typeName.names);
  let oid: Oid;
  if (names.length === 0) oid = typeName.typeOid ?? 0;
  else if (typeName.pct_type) oid = columnType(pstate, typeName, names);
  else {
    const { schema, name } = deconstructQualifiedName(pstate, names);
    if (schema === null) oid = catalog.typenameGetTypid(name);
    else
      oid = pstate.withPosition(location, () => catalog.typeInNamespace(name, catalog.lookupExplicitNamespace(schema)));
    if (typeName.arrayBounds) oid = oid === 0 ? INVALID_OID : catalog.arrayType(oid);
  }
  if (oid === 0) return null;
  const type = catalog.type(oid);
  return { type, typmod: typenameTypeMod(pstate, typeName, type) };
}

/** relation.column%TYPE */
function columnType(pstate: ParseState, typeName: RawNode, names: readonly string[]): Oid {
  const location = typeName.location ?? 0;
  if (names.length === 1) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      `improper %TYPE reference (too few dotted names): ${nameListToString(names)}`,
      location,
    );
  }
  if (names.length > 4) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      `improper %TYPE reference (too many dotted names): ${nameListToString(names)}`,
      location,
    );
  }
  const field = names[names.length - 1] as string;
  const { schema, name } = deconstructQualifiedName(pstate, names.slice(0, -1));
  const relid =
    schema === null
      ? pstate.catalog.relnameGetRelid(name)
      : pstate.catalog.relationInNamespace(name, pstate.catalog.lookupExplicitNamespace(schema));
  if (relid === 0) throw ereport(ERRCODE.UNDEFINED_TABLE, `relation "${name}" does not exist`);
  const attribute = pstate.catalog.attributes(relid).find(a => a.attname === field && !a.attisdropped);
  if (!attribute) {
    throw pstate.error(ERRCODE.UNDEFINED_COLUMN, `column "${field}" of relation "${name}" does not exist`, location);
  }
  pstate.notice(
    'NOTICE',
    ERRCODE.SUCCESSFUL_COMPLETION,
    `type reference ${typeNameToString(typeName)} converted to ${pstate.typeName(attribute.atttypid)}`,
  );
  return attribute.atttypid;
}

export function typenameType(pstate: ParseState, typeName: RawNode): TypeAndTypmod {
  const found = lookupTypeName(pstate, typeName);
  const location = typeName.location ?? 0;
  if (found === null) {
    throw pstate.error(ERRCODE.UNDEFINED_OBJECT, `type "${typeNameToString(typeName)}" does not exist`, location);
  }
  if (!found.type.typisdefined) {
    throw pstate.error(ERRCODE.UNDEFINED_OBJECT, `type "${typeNameToString(typeName)}" is only a shell`, location);
  }
  return found;
}

function typenameTypeMod(pstate: ParseState, typeName: RawNode, type: Form_pg_type): number {
  if (!typeName.typmods) return typeName.typemod ?? 0;
  const location = typeName.location ?? 0;
  if (!type.typisdefined) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      `type modifier cannot be specified for shell type "${typeNameToString(typeName)}"`,
      location,
    );
  }
  if (type.typmodin === 0) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      `type modifier is not allowed for type "${typeNameToString(typeName)}"`,
      location,
    );
  }
  const words = (typeName.typmods as RawNode[]).map(modifier => {
    let word: string | undefined;
    if (modifier.type === 'A_Const') {
      if (modifier.ival) word = String(modifier.ival.ival ?? 0);
      else if (modifier.fval) word = modifier.fval.fval;
      else if (modifier.sval) word = modifier.sval.sval ?? '';
    } else if (modifier.type === 'ColumnRef' && modifier.fields.length === 1) word = modifier.fields[0].sval;
    if (word === undefined) {
      throw pstate.error(ERRCODE.SYNTAX_ERROR, 'type modifiers must be simple constants or identifiers', location);
    }
    return word;
  });
  return pstate.withPosition(location, () => callTypmodin(pstate, type, words, location));
}

function callTypmodin(pstate: ParseState, type: Form_pg_type, words: readonly string[], location: number): number {
  const proc = pstate.catalog.proc(type.typmodin);
  const fn = lookupBuiltin(proc.prosrc);
  if (!fn) throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `function ${proc.proname} is not supported by pgtroupe yet`);
  const fc = { ...pstate.warningCall(location), argTypes: [1263 as Oid], resultType: INT4OID as Oid };
  return fn(fc, encodeCStringArray(words)) as number;
}

/** OID of a collation by its (qualified) name. */
export function lookupCollation(pstate: ParseState, collname: readonly RawNode[], location: number): Oid {
  const names = rawStrings(collname);
  return pstate.withPosition(location, () => {
    const { schema, name } = deconstructQualifiedName(pstate, names);
    const oid =
      schema === null
        ? pstate.catalog.collationOnPath(name)
        : pstate.catalog.collationInNamespace(name, pstate.catalog.lookupExplicitNamespace(schema));
    if (oid === 0) {
      throw ereport(
        ERRCODE.UNDEFINED_OBJECT,
        `collation "${nameListToString(names)}" for encoding "UTF8" does not exist`,
      );
    }
    return oid;
  });
}

const encoder = new TextEncoder();

/** A string literal as a value of the type. */
export function stringTypeDatum(pstate: ParseState, type: Form_pg_type, text: string | null, typmod: number): Datum {
  // Only domain_in cares about null input, and domains are looked through before.
  if (text === null) return null;
  return inputDatum(pstate, type, encoder.encode(text), typmod);
}

/** A cstring as a value of the type. */
export function inputDatum(pstate: ParseState, type: Form_pg_type, text: Uint8Array, typmod: number): Datum {
  return inputFunction(pstate.context.fc, type.oid)(text, typmod);
}

/** A C string as our cstring Datum. */
export function cstringDatum(text: string): Uint8Array {
  return encoder.encode(text);
}
