/**
 * Parameter values of a Bind message, through their types' input or receive functions.
 */
import { isUtf8 } from 'node:buffer';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { BodyReader } from '@pgtroupe/libpq/pqformat';
import { isLeftOver, LEFT_OVER } from '@pgtroupe/adt/pqwire';
import { invalidByteSequence } from '@pgtroupe/adt/varlena';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { inputFunction } from '@pgtroupe/adt/cache/iofunctions';
import { coerceToDomain } from '@pgtroupe/executor/execMain';
import type { PreparedStatement } from './prepared-statement.ts';
import type { QueryExecution } from './query-execution.ts';

const TEXT = 0;
const BINARY = 1;

/** Shorter ones are never looked at twice. */
const LARGE_BYTES = 1 << 20;

interface RawParameter {
  readonly bytes: Buffer | null;
  readonly format: number;
  readonly typid: Oid;
  readonly number: number;
  /** The CONTEXT of its errors. */
  where(): string;
}

/** Values, or a promise of them when a type's facts must be read first. */
export function decodeParameters(
  reader: BodyReader,
  statement: PreparedStatement,
  execution: QueryExecution,
  portalName: string,
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
  const portal = portalName === '' ? 'unnamed portal' : `portal "${portalName}"`;
  const shown = execution.session.settings.number('log_parameter_max_length_on_error');
  const raw: RawParameter[] = [];
  for (let n = 0; n < count; n++) {
    const format = formats.length === 0 ? 0 : formats.length === 1 ? formats[0]! : formats[n]!;
    const name = `${portal} parameter $${n + 1}`;
    const bytes = nextValue(reader, name);
    const where = (): string => `${name}${valueForContext(bytes, format, shown)}`;
    raw.push({ bytes, format, typid: types[n]! as Oid, number: n + 1, where });
  }
  if (raw.some(isLarge)) {
    const values = decodeLarge(raw, execution);
    // What comes before may fail first; then nobody asks for them.
    values.catch(() => {});
    return values;
  }
  const decode = (): Datum[] => raw.map(parameter => decodeOne(parameter, execution));
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof CatalogMiss)) throw error;
    return withCatalog(decode);
  }
}

/** Any other negative length than null's is longer than what is left. */
function nextValue(reader: BodyReader, where: string): Buffer | null {
  try {
    const length = reader.int32();
    return length === -1 ? null : reader.bytes(length);
  } catch (error) {
    throw addContext(error, where);
  }
}

const isLarge = ({ bytes, format }: RawParameter): boolean =>
  bytes !== null && bytes.length >= LARGE_BYTES && format === TEXT;

/** What takes long to read is read beside the main loop. */
async function decodeLarge(raw: readonly RawParameter[], execution: QueryExecution): Promise<readonly Datum[]> {
  const { functions, env } = execution;
  const values: Datum[] = [];
  for (const parameter of raw) {
    let value: Promise<Datum> | undefined;
    try {
      const { domain } = await withCatalog(() => baseOf(parameter.typid, execution));
      if (isLarge(parameter) && !domain) {
        const bytes = parameter.bytes!;
        checkText(bytes);
        const { prosrc, call, ioparam } = await withCatalog(() => inputFunction(functions, parameter.typid));
        value = env.callIfHeavy(prosrc, call, [bytes, ioparam, -1]);
      }
      values.push(await (value ?? withCatalog(() => valueOf(parameter, execution))));
    } catch (error) {
      throw located(error, parameter);
    }
  }
  return values;
}

function decodeOne(parameter: RawParameter, execution: QueryExecution): Datum {
  try {
    return valueOf(parameter, execution);
  } catch (error) {
    throw located(error, parameter);
  }
}

function valueOf({ bytes, format, typid }: RawParameter, execution: QueryExecution): Datum {
  const { functions, env } = execution;
  if (format !== TEXT && format !== BINARY)
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unsupported format code: ${format}`);
  const { base, typmod, domain } = baseOf(typid, execution);
  if (bytes === null) return domain ? coerceToDomain(env, typid, null) : null;
  if (format === TEXT) checkText(bytes);
  const { fn, call, ioparam } = inputFunction(functions, base, format === BINARY);
  // The message's memory is the connection's; the value outlives it.
  const value = fn(call, Buffer.from(bytes), ioparam, typmod);
  return domain ? coerceToDomain(env, typid, value) : value;
}

/** A domain's values come in as its base type's, with its typmod. */
function baseOf(typid: Oid, { functions }: QueryExecution): { base: Oid; typmod: number; domain: boolean } {
  let type = functions.lookup.type(typid);
  let typmod = -1;
  while (type?.typtype === 'd') {
    if (typmod < 0) typmod = type.typtypmod;
    type = functions.lookup.type(type.typbasetype);
  }
  const base = type?.oid ?? typid;
  return { base, typmod, domain: base !== typid };
}

function located(error: unknown, { where, number }: RawParameter): Error {
  // Bytes that are left over have a message of their own here.
  if (isLeftOver(error)) return ereport(error.sqlstate, `${LEFT_OVER} in bind parameter ${number}`, { where: where() });
  return addContext(error, where());
}

/** Behind what the error's own place is in the value. */
function addContext(error: unknown, place: string): Error {
  if (!(error instanceof PgError)) return error as Error;
  const { where } = error.fields;
  return new PgError(error.sqlstate, error.message, {
    ...error.fields,
    where: where === undefined ? place : `${where}\n${place}`,
  });
}

const isReadable = (bytes: Buffer): boolean => isUtf8(bytes) && !bytes.includes(0);

function checkText(bytes: Buffer): void {
  if (!isReadable(bytes)) throw invalidByteSequence(bytes);
}

/** As log_parameter_max_length_on_error lets it be seen: -1 all of it. Binary values are not shown. */
function valueForContext(bytes: Buffer | null, format: number, shown: number): string {
  if (bytes === null || format !== TEXT || !isReadable(bytes)) return '';
  const cut = shown >= 0 && shown < bytes.length;
  const text = cut ? clipUtf8(bytes, shown) : bytes;
  return ` = '${text.toString('utf8').replaceAll("'", "''")}${cut ? '...' : ''}'`;
}

/** The longest start of no more than `length` bytes that ends with a whole character. */
export function clipUtf8(bytes: Buffer, length: number): Buffer {
  let n = length;
  while (n > 0 && (bytes[n]! & 0xc0) === 0x80) n--;
  return bytes.subarray(0, n);
}
