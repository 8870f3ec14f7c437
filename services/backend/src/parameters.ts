/**
 * Parameter values of a Bind message, through their types' input or receive functions.
 */
import { isUtf8 } from 'node:buffer';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { FunctionCall } from '@pgtroupe/adt/fmgr';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { BodyReader } from '@pgtroupe/libpq/pqformat';
import { invalidByteSequence } from '@pgtroupe/adt/varlena';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { inputFunction } from '@pgtroupe/adt/cache/iofunctions';
import type { PreparedStatement } from './prepared-statement.ts';
import type { SessionFunctions } from './session-functions.ts';

/** Reads what takes long beside the main loop; undefined for what does not. */
export type HeavyInput = (prosrc: string, call: FunctionCall, args: readonly Datum[]) => Promise<Datum> | undefined;

/** Shorter ones are never looked at twice. */
const LARGE_BYTES = 1 << 20;

interface RawParameter {
  readonly bytes: Buffer | null;
  readonly binary: boolean;
}

/** Values, or a promise of them when a type's facts must be read first. */
export function decodeParameters(
  reader: BodyReader,
  statement: PreparedStatement,
  functions: SessionFunctions,
  heavy: HeavyInput,
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
  if (raw.some(({ bytes }) => bytes !== null && bytes.length >= LARGE_BYTES)) {
    const values = decodeLarge(raw, types as readonly Oid[], functions, heavy);
    // What comes before may fail first; then nobody asks for them.
    values.catch(() => {});
    return values;
  }
  const decode = (): Datum[] => raw.map((parameter, n) => decodeOne(parameter, types[n]! as Oid, functions));
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof CatalogMiss)) throw error;
    return withCatalog(decode);
  }
}

async function decodeLarge(
  raw: readonly RawParameter[],
  types: readonly Oid[],
  functions: SessionFunctions,
  heavy: HeavyInput,
): Promise<readonly Datum[]> {
  const values: Datum[] = [];
  for (const [n, parameter] of raw.entries()) {
    const { bytes, binary } = parameter;
    let value: Promise<Datum> | undefined;
    if (bytes !== null && bytes.length >= LARGE_BYTES && !binary) {
      checkText(bytes);
      const { prosrc, call, ioparam } = await withCatalog(() => inputFunction(functions, types[n]!));
      value = heavy(prosrc, call, [bytes, ioparam, -1]);
    }
    values.push(await (value ?? withCatalog(() => decodeOne(parameter, types[n]!, functions))));
  }
  return values;
}

function checkText(bytes: Buffer): void {
  if (!isUtf8(bytes) || bytes.includes(0)) throw invalidByteSequence(bytes);
}

function decodeOne({ bytes, binary }: RawParameter, typid: Oid, functions: SessionFunctions): Datum {
  if (bytes === null) return null;
  if (!binary) checkText(bytes);
  const { fn, call, ioparam } = inputFunction(functions, typid, binary);
  // The message's memory is the connection's; the value outlives it.
  return fn(call, Buffer.from(bytes), ioparam, -1);
}
