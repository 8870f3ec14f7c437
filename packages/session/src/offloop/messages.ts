/**
 * What the main thread and the thread beside it say to each other. Everything is copied on its way, but for large
 * values that are nobody else's.
 */
import type { ToastPointer } from '@pgtroupe/access/common/detoast';
import type { Datum } from '@pgtroupe/common/datum';
import type { ErrorFields } from '@pgtroupe/common/ereport';
import type { Sqlstate } from '@pgtroupe/common/errcodes';
import type { SessionSettings } from '@pgtroupe/adt/fmgr';

/** What input and output functions of built-in types look at. */
export type PlainSettings = Pick<
  SessionSettings,
  | 'byteaOutput'
  | 'extraFloatDigits'
  | 'dateStyle'
  | 'dateOrder'
  | 'intervalStyle'
  | 'timeZone'
  | 'transactionTimestamp'
  | 'statementTimestamp'
>;

export type Task = CallTask | ParseTask | CompressTask | DecompressTask;

/** A built-in by pg_proc.prosrc, with as much of its surroundings as it may know of. */
export interface CallTask {
  readonly task: 'call';
  readonly prosrc: string;
  readonly collation: number;
  readonly argTypes: readonly number[];
  readonly resultType: number;
  readonly variadic: boolean;
  readonly settings: PlainSettings;
  readonly args: readonly Datum[];
}

/** pglz; the answer is null where that saves nothing. */
export interface CompressTask {
  readonly task: 'compress';
  readonly args: readonly [Datum];
}

/** A value from a TOAST table. */
export interface DecompressTask {
  readonly task: 'decompress';
  readonly pointer: ToastPointer;
  readonly args: readonly [Datum];
}

/** Raw parsing; the answer is the tree as JSON, which the main thread reads faster than a copied tree. */
export interface ParseTask {
  readonly task: 'parse';
  readonly text: string;
}

export type Answer =
  | { readonly answer: 'value'; readonly value: Datum }
  | { readonly answer: 'json'; readonly json: string }
  | { readonly answer: 'error'; readonly sqlstate: Sqlstate; readonly message: string; readonly fields: ErrorFields }
  /** A bug in what was called. */
  | { readonly answer: 'failed'; readonly stack: string };

/** Smaller values are copied faster than given away. */
const MOVED_BYTES = 4096;

/** The memory of a value that has it to itself. */
export function buffersOf(value: Datum): ArrayBuffer[] {
  if (!(value instanceof Uint8Array) || !(value.buffer instanceof ArrayBuffer)) return [];
  return value.length > MOVED_BYTES && value.buffer.byteLength === value.length ? [value.buffer] : [];
}

/** A value without the memory around it: a view takes all that it looks into along. */
export function compact(value: Datum): Datum {
  return value instanceof Uint8Array && value.length < value.buffer.byteLength ? new Uint8Array(value) : value;
}
