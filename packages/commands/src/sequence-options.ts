/**
 * Options of CREATE and ALTER SEQUENCE, and of serial and identity columns (init_params).
 */
import { INT2OID, INT4OID, INT8OID } from '@pgtroupe/common/oids';
import type { Form_pg_sequence } from '@pgtroupe/catalog/catalogs/pg_sequence';
import type { SequenceRow } from '@pgtroupe/access/sequence/sequence';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { rawStrings } from '@pgtroupe/parser/parse_node';
import { typenameType } from '@pgtroupe/parser/parse_type';
import type { CommandContext } from './command-context.ts';

export type SequenceForm = Omit<Form_pg_sequence, 'seqrelid' | 'ctid'>;

export interface SequencePlan {
  readonly form: SequenceForm;
  readonly row: SequenceRow;
  /** The row must be written anew. */
  readonly rewrite: boolean;
  /** OWNED BY: a dotted column name, or `none`; undefined when not given. */
  readonly ownedBy: readonly string[] | undefined;
}

const LIMITS: ReadonlyMap<number, readonly [min: bigint, max: bigint, name: string]> = new Map([
  [INT2OID, [-32768n, 32767n, 'smallint']],
  [INT4OID, [-2147483648n, 2147483647n, 'integer']],
  [INT8OID, [-9223372036854775808n, 9223372036854775807n, 'bigint']],
]);
const KNOWN = new Set(['as', 'increment', 'start', 'restart', 'maxvalue', 'minvalue', 'cache', 'cycle', 'owned_by']);

function invalid(message: string): Error {
  return ereport(ERRCODE.INVALID_PARAMETER_VALUE, message);
}

function int8(option: RawNode): bigint {
  const { arg } = option;
  if (arg?.type === 'Integer') return BigInt(arg.ival ?? 0);
  if (arg?.type === 'Float' && /^[+-]?\d+$/.test(arg.fval)) {
    const value = BigInt(arg.fval);
    if (BigInt.asIntN(64, value) === value) return value;
    throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, `value "${arg.fval}" is out of range for type bigint`);
  }
  throw ereport(ERRCODE.SYNTAX_ERROR, `${option.defname} requires a numeric value`);
}

/** A catalog's int8: a number where it is safe. */
export function int8Datum(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** `old` undefined for a new sequence. `typid`: of a serial or identity column. */
export function planSequence(
  context: CommandContext,
  definitions: readonly RawNode[],
  old: { readonly form: SequenceForm; readonly row: SequenceRow } | undefined,
  typid?: Oid,
): SequencePlan {
  const options = new Map<string, RawNode>();
  for (const option of definitions) {
    if (option.defname === 'sequence_name')
      throw context.error(ERRCODE.SYNTAX_ERROR, 'invalid sequence option SEQUENCE NAME', option);
    if (!KNOWN.has(option.defname)) throw ereport(ERRCODE.INTERNAL_ERROR, `option "${option.defname}" not recognized`);
    if (options.has(option.defname))
      throw context.error(ERRCODE.SYNTAX_ERROR, 'conflicting or redundant options', option);
    options.set(option.defname, option);
  }
  const type = sequenceType(context, options.get('as'), old?.form.seqtypid ?? typid ?? INT8OID, typid !== undefined);
  const [typeMin, typeMax, typeName] = LIMITS.get(type)!;
  const increment = options.has('increment') ? int8(options.get('increment')!) : BigInt(old?.form.seqincrement ?? 1);
  if (increment === 0n) throw invalid('INCREMENT must not be zero');
  const ascending = increment > 0n;
  const [oldMin, oldMax] = old === undefined ? [0n, 0n] : LIMITS.get(old.form.seqtypid)!;
  const typeChanged = old !== undefined && options.has('as');

  const limit = (
    name: 'maxvalue' | 'minvalue',
    byDefault: bigint,
    ofType: bigint,
    oldOfType: bigint,
    oldValue: number | bigint | undefined,
  ): bigint => {
    const option = options.get(name);
    if (option?.arg) return int8(option);
    if (typeChanged && BigInt(oldValue!) === oldOfType) return ofType;
    return option !== undefined || oldValue === undefined ? byDefault : BigInt(oldValue);
  };
  const max = limit('maxvalue', ascending ? typeMax : -1n, typeMax, oldMax, old?.form.seqmax);
  if (max < typeMin || max > typeMax)
    throw invalid(`MAXVALUE (${max}) is out of range for sequence data type ${typeName}`);
  const min = limit('minvalue', ascending ? 1n : typeMin, typeMin, oldMin, old?.form.seqmin);
  if (min < typeMin || min > typeMax)
    throw invalid(`MINVALUE (${min}) is out of range for sequence data type ${typeName}`);
  if (min >= max) throw invalid(`MINVALUE (${min}) must be less than MAXVALUE (${max})`);

  const start = options.has('start')
    ? int8(options.get('start')!)
    : BigInt(old?.form.seqstart ?? (ascending ? min : max));
  if (start < min) throw invalid(`START value (${start}) cannot be less than MINVALUE (${min})`);
  if (start > max) throw invalid(`START value (${start}) cannot be greater than MAXVALUE (${max})`);

  const restart = options.get('restart');
  let row: SequenceRow = old?.row ?? { lastValue: start, isCalled: false };
  if (restart !== undefined) row = { lastValue: restart.arg ? int8(restart) : start, isCalled: false };
  if (row.lastValue < min) throw invalid(`RESTART value (${row.lastValue}) cannot be less than MINVALUE (${min})`);
  if (row.lastValue > max) throw invalid(`RESTART value (${row.lastValue}) cannot be greater than MAXVALUE (${max})`);

  const cache = options.has('cache') ? int8(options.get('cache')!) : BigInt(old?.form.seqcache ?? 1);
  if (cache <= 0n) throw invalid(`CACHE (${cache}) must be greater than zero`);
  const cycle = options.get('cycle');
  return {
    form: {
      seqtypid: type,
      seqstart: int8Datum(start),
      seqincrement: int8Datum(increment),
      seqmax: int8Datum(max),
      seqmin: int8Datum(min),
      seqcache: int8Datum(cache),
      seqcycle: cycle === undefined ? (old?.form.seqcycle ?? false) : (cycle.arg?.boolval ?? false),
    },
    row,
    rewrite: [...options.keys()].some(name => name !== 'owned_by' && name !== 'start'),
    ownedBy: options.has('owned_by') ? rawStrings(options.get('owned_by')!.arg.items) : undefined,
  };
}

function sequenceType(context: CommandContext, as: RawNode | undefined, byDefault: Oid, identity: boolean): Oid {
  const type = as === undefined ? byDefault : typenameType(context.parseState(), as.arg).type.oid;
  if (LIMITS.has(type)) return type;
  throw invalid(`${identity ? 'identity column' : 'sequence'} type must be smallint, integer, or bigint`);
}
