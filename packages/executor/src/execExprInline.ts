/**
 * The built-ins that scans and joins run most, written out so that no call is made per row: the same
 * results as the functions registered under these prosrc names.
 *
 * Numbers compare with JavaScript's operators: Datum keeps int8 as a number while it is safe and as a
 * bigint beyond, and both compare across. Text compares as bytes here only for equality.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { RowReader } from './batch.ts';

type Num = number | bigint;
type Compare = (a: Num, b: Num) => boolean;

const COMPARE: Readonly<Record<string, Compare>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
};

/** prosrc stems whose values are numbers ordered as JavaScript orders them (no NaN among them). */
const NUMBER_TYPES = [
  'int2',
  'int4',
  'int8',
  'int24',
  'int42',
  'int28',
  'int82',
  'int48',
  'int84',
  'oid',
  'date_',
  'timestamp_',
  'time_',
];
const comparisons = new Map<string, keyof typeof COMPARE>();
for (const type of NUMBER_TYPES) for (const op of Object.keys(COMPARE)) comparisons.set(type + op, op);

function integerOutOfRange(): never {
  throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'integer out of range');
}

/** A closure for a call of `prosrc`, or undefined when it is not one of these. */
export function compileInlined(
  prosrc: string,
  args: readonly RowReader[],
  exprs: readonly Expr[],
): RowReader | undefined {
  const comparison = comparisons.get(prosrc);
  if (comparison !== undefined) return compileComparison(comparison, args, exprs);
  const [a, b] = args as [RowReader, RowReader];
  switch (prosrc) {
    case 'int4pl':
      return row => {
        const x = a(row);
        const y = b(row);
        if (x === null || y === null) return null;
        const sum = (x as number) + (y as number);
        return sum === (sum | 0) ? sum : integerOutOfRange();
      };
    case 'int4mi':
      return row => {
        const x = a(row);
        const y = b(row);
        if (x === null || y === null) return null;
        const difference = (x as number) - (y as number);
        return difference === (difference | 0) ? difference : integerOutOfRange();
      };
    case 'texteq':
      return row => {
        const x = a(row);
        const y = b(row);
        return x === null || y === null ? null : sameBytes(x as Uint8Array, y as Uint8Array);
      };
    case 'textne':
      return row => {
        const x = a(row);
        const y = b(row);
        return x === null || y === null ? null : !sameBytes(x as Uint8Array, y as Uint8Array);
      };
    case 'int48':
    case 'i2toi4':
    case 'int28':
      // Widening casts change nothing in a Datum.
      return args.length === 1 ? a : undefined;
    default:
      return undefined;
  }
}

function compileComparison(op: keyof typeof COMPARE, args: readonly RowReader[], exprs: readonly Expr[]): RowReader {
  const [a, b] = args as [RowReader, RowReader];
  const right = exprs[1];
  if (right !== undefined && right.type === 'Const' && typeof right.constvalue === 'number') {
    return compareWithConst(op, a, right.constvalue);
  }
  switch (op) {
    case 'eq':
      return row => {
        const x = a(row);
        const y = b(row);
        return x === null || y === null ? null : x === y;
      };
    case 'lt':
      return row => {
        const x = a(row) as Num | null;
        const y = b(row) as Num | null;
        return x === null || y === null ? null : x < y;
      };
    default: {
      const compare = COMPARE[op]!;
      return row => {
        const x = a(row) as Num | null;
        const y = b(row) as Num | null;
        return x === null || y === null ? null : compare(x, y);
      };
    }
  }
}

function compareWithConst(op: keyof typeof COMPARE, a: RowReader, y: number): RowReader {
  switch (op) {
    case 'eq':
      return row => {
        const x = a(row);
        return x === null ? null : x === y;
      };
    case 'lt':
      return row => {
        const x = a(row) as Num | null;
        return x === null ? null : x < y;
      };
    case 'gt':
      return row => {
        const x = a(row) as Num | null;
        return x === null ? null : x > y;
      };
    default: {
      const compare = COMPARE[op]!;
      return row => {
        const x = a(row) as Num | null;
        return x === null ? null : compare(x, y);
      };
    }
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  const { length } = a;
  if (length !== b.length) return false;
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}
