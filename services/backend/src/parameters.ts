/**
 * Parameter values of a Bind message, through their types' input or receive functions.
 */
import { isUtf8 } from 'node:buffer';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { BodyReader } from '@pgtroupe/libpq/pqformat';
import { invalidByteSequence } from '@pgtroupe/adt/varlena';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { inputFunction } from '@pgtroupe/adt/cache/iofunctions';
import type { PreparedStatement } from './prepared-statement.ts';
import type { SessionFunctions } from './session-functions.ts';

interface RawParameter {
  readonly bytes: Buffer | null;
  readonly binary: boolean;
}

/** Values, or a promise of them when a type's facts must be read first. */
export function decodeParameters(
  reader: BodyReader,
  statement: PreparedStatement,
  functions: SessionFunctions,
): readonly Datum[] | Promise<readonly Datum[]> {
  const formats = Array.from({ length: reader.uint16() }, () => reader.int16());
  const count = reader.uint16();
  if (formats.length > 1 && formats.length !== count) {
    throw ereport(
      ERRCODE.PROTOCOL_VIOLATION,
      `bind message has ${formats.length} parameter formats but ${count} parameters`,
    );
  }
  const types = statement.paramTypes;
  if (count !== types.length) {
    throw ereport(
      ERRCODE.PROTOCOL_VIOLATION,
      `bind message supplies ${count} parameters, but prepared statement "${statement.name}" requires ${types.length}`,
    );
  }
  const raw: RawParameter[] = [];
  for (let n = 0; n < count; n++) {
    const length = reader.int32();
    const format = formats.length === 0 ? 0 : formats.length === 1 ? formats[0]! : formats[n]!;
    if (format !== 0 && format !== 1)
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unsupported format code: ${format}`);
    raw.push({ bytes: length < 0 ? null : reader.bytes(length), binary: format === 1 });
  }
  const decode = (): Datum[] => raw.map((parameter, n) => decodeOne(parameter, types[n]! as Oid, functions));
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof CatalogMiss)) throw error;
    return withCatalog(decode);
  }
}

function decodeOne({ bytes, binary }: RawParameter, typid: Oid, functions: SessionFunctions): Datum {
  if (bytes === null) return null;
  if (!binary && (!isUtf8(bytes) || bytes.includes(0))) throw invalidByteSequence(bytes);
  const { fn, call, ioparam } = inputFunction(functions, typid, binary);
  // The message's memory is the connection's; the value outlives it.
  return fn(call, Buffer.from(bytes), ioparam, -1);
}
