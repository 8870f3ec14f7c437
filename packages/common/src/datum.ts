/**
 * Datum: one SQL value in memory, by type:
 *
 *   bool                                        boolean
 *   "char" int2 int4 oid xid cid reg* date float4 float8        number
 *   int8 timestamp timestamptz time xid8 pg_lsn money           number while it is a safe integer,
 *                                               otherwise bigint; never a bigint that would fit
 *   name cstring                                bytes without the terminating zero
 *   varlena (text, numeric, arrays, bytea…)     bytes after the length header, detoasted
 *   other fixed-length types (tid, interval, uuid, timetz…)     typlen raw bytes as on disk
 *   internal (aggregate states)                 a subclass of Internal
 *
 * Byte values may be views into page memory: they are valid until the operator that produced
 * them is asked for its next batch. Whoever keeps one longer copies it.
 */
export type Datum = null | boolean | number | bigint | Uint8Array | Internal;

/** Base of values that SQL can pass around but never sees: pseudo-type `internal`. */
export abstract class Internal {
  protected readonly internal = true;
}
