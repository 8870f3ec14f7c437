/**
 * I/O of pseudo-types. Those that hold no value refuse, in PostgreSQL's words; void, and the
 * polymorphic types whose actual values are arrays or enums, do work.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { builtin } from './cache/typcache.ts';
import { EMPTY_BYTES } from './mb/mbutils.ts';

const NAMES = [
  'any',
  'trigger',
  'event_trigger',
  'language_handler',
  'fdw_handler',
  'table_am_handler',
  'index_am_handler',
  'tsm_handler',
  'internal',
  'anyelement',
  'anynonarray',
  'anycompatible',
  'anycompatiblenonarray',
  'pg_ddl_command',
];
/** These read nothing but print what they actually are. */
const PRINTING: Readonly<Record<string, string>> = {
  anyarray: 'array_out',
  anycompatiblearray: 'array_out',
  anyenum: 'enum_out',
  anyrange: 'range_out',
  anycompatiblerange: 'range_out',
  anymultirange: 'multirange_out',
  anycompatiblemultirange: 'multirange_out',
};

function refuse(typeName: string, what: 'accept' | 'display', type = 'type '): () => never {
  return () => {
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `cannot ${what} a value of ${type}${typeName}`);
  };
}

function tables(): FunctionTable {
  const out: Record<string, (fc: FunctionCall, value: Datum) => Datum> = {};
  for (const name of NAMES) {
    out[`${name}_in`] = refuse(name, 'accept');
    out[`${name}_out`] = refuse(name, 'display');
  }
  for (const [name, output] of Object.entries(PRINTING)) {
    out[`${name}_in`] = refuse(name, 'accept');
    out[`${name}_out`] = (fc, value) => builtin(output)(fc, value);
  }
  out['shell_in'] = refuse('a shell type', 'accept', '');
  out['shell_out'] = refuse('a shell type', 'display', '');
  out['void_in'] = () => 0;
  out['void_out'] = () => EMPTY_BYTES;
  out['void_recv'] = () => 0;
  out['void_send'] = () => EMPTY_BYTES;
  for (const type of ['anyarray', 'anycompatiblearray']) {
    out[`${type}_recv`] = refuse(type, 'accept');
    out[`${type}_send`] = (fc, value) => builtin('array_send')(fc, value);
  }
  out['pg_ddl_command_recv'] = refuse('pg_ddl_command', 'accept');
  out['pg_ddl_command_send'] = refuse('pg_ddl_command', 'display');
  for (const type of ['pg_node_tree', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list']) {
    out[`${type}_in`] = refuse(type, 'accept');
    out[`${type}_recv`] = refuse(type, 'accept');
  }
  out['pg_node_tree_out'] = (_fc, value) => value;
  out['pg_node_tree_send'] = (_fc, value) => value;
  return out;
}

export const pseudotypeFunctions: FunctionTable = tables();
