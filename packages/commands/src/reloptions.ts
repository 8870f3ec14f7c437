/**
 * Storage parameters: `WITH (fillfactor = 70)`. Stored in pg_class.reloptions as name=value texts, the
 * values as they were written, checked first.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';

type Option =
  | { readonly kind: 'bool' }
  | { readonly kind: 'int' | 'real'; readonly min: number; readonly max: number }
  | { readonly kind: 'enum'; readonly values: readonly string[]; readonly detail: string };

const BOOL: Option = { kind: 'bool' };
const int = (min: number, max: number): Option => ({ kind: 'int', min, max });
const real = (min: number, max: number): Option => ({ kind: 'real', min, max });
const INT_MAX = 2147483647;

const AUTOVACUUM: Readonly<Record<string, Option>> = {
  autovacuum_enabled: BOOL,
  autovacuum_vacuum_threshold: int(0, INT_MAX),
  autovacuum_vacuum_insert_threshold: int(-1, INT_MAX),
  autovacuum_vacuum_cost_limit: int(1, 10000),
  autovacuum_freeze_min_age: int(0, 1000000000),
  autovacuum_multixact_freeze_min_age: int(0, 1000000000),
  autovacuum_freeze_max_age: int(100000, 2000000000),
  autovacuum_multixact_freeze_max_age: int(10000, 2000000000),
  autovacuum_freeze_table_age: int(0, 2000000000),
  autovacuum_multixact_freeze_table_age: int(0, 2000000000),
  log_autovacuum_min_duration: int(-1, INT_MAX),
  autovacuum_vacuum_cost_delay: real(0, 100),
  autovacuum_vacuum_scale_factor: real(0, 100),
  autovacuum_vacuum_insert_scale_factor: real(0, 100),
  vacuum_index_cleanup: {
    kind: 'enum',
    detail: 'Valid values are "on", "off", and "auto".',
    values: ['auto', 'on', 'off', 'true', 'false', 'yes', 'no', '1', '0'],
  },
  vacuum_truncate: BOOL,
};

const OPTIONS: Readonly<Record<'heap' | 'toast' | 'btree' | 'view' | 'attribute', Readonly<Record<string, Option>>>> = {
  heap: {
    ...AUTOVACUUM,
    fillfactor: int(10, 100),
    autovacuum_analyze_threshold: int(0, INT_MAX),
    autovacuum_analyze_scale_factor: real(0, 100),
    toast_tuple_target: int(128, 8160),
    parallel_workers: int(0, 1024),
    user_catalog_table: BOOL,
  },
  toast: AUTOVACUUM,
  btree: {
    fillfactor: int(10, 100),
    deduplicate_items: BOOL,
    vacuum_cleanup_index_scale_factor: real(0, 1e10),
  },
  view: {
    security_barrier: BOOL,
    security_invoker: BOOL,
    check_option: {
      kind: 'enum',
      detail: 'Valid values are "local" and "cascaded".',
      values: ['local', 'cascaded'],
    },
  },
  attribute: { n_distinct: real(-1, Number.MAX_VALUE), n_distinct_inherited: real(-1, Number.MAX_VALUE) },
};

/** The text of a DefElem's argument; absent means true. */
function defGetString(element: RawNode): string {
  const arg = element.arg as RawNode | undefined;
  if (arg === undefined) return 'true';
  switch (arg.type) {
    case 'Integer':
      return String(arg.ival ?? 0);
    case 'Float':
      return arg.fval;
    case 'Boolean':
      return arg.boolval ? 'true' : 'false';
    case 'String':
      return arg.sval ?? '';
    case 'TypeName':
      return (arg.names as RawNode[]).map(name => name.sval).join('.');
    default:
      throw ereport(ERRCODE.SYNTAX_ERROR, `${element.defname} requires a parameter`);
  }
}

function check(name: string, option: Option, text: string): void {
  const invalid = (kind: string, detail?: string): Error =>
    ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid value for ${kind} option "${name}": ${text}`, { detail });
  switch (option.kind) {
    case 'bool':
      if (!/^(t|tr|tru|true|f|fa|fal|fals|false|on|of|off|y|ye|yes|n|no|1|0)$/i.test(text)) throw invalid('boolean');
      return;
    case 'enum':
      if (!option.values.includes(text.toLowerCase())) throw invalid('enum', option.detail);
      return;
    case 'int':
    case 'real': {
      const value = Number(text);
      if (text.trim() === '' || Number.isNaN(value) || (option.kind === 'int' && !Number.isInteger(value))) {
        throw invalid(option.kind === 'int' ? 'integer' : 'floating point');
      }
      if (value >= option.min && value <= option.max) return;
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `value ${text} out of bounds for option "${name}"`, {
        detail: `Valid values are between "${shown(option, option.min)}" and "${shown(option, option.max)}".`,
      });
    }
  }
}

/** As printf's %d and %f do. */
function shown({ kind }: Option, limit: number): string {
  return kind === 'real' ? `${BigInt(Math.trunc(limit))}.${(Math.abs(limit) % 1).toFixed(6).slice(2)}` : String(limit);
}

/**
 * The stored options after SET (or RESET) of `definitions` on top of `old`. `namespace` '' are the
 * relation's own, 'toast' those of its TOAST table; definitions of the other one are skipped.
 */
export function transformRelOptions(
  old: readonly string[] | null,
  definitions: readonly RawNode[] | undefined,
  kind: keyof typeof OPTIONS,
  namespace: '' | 'toast',
  reset = false,
): readonly string[] | null {
  const result = new Map(
    (old ?? []).map(text => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]),
  );
  const seen = new Set<string>();
  for (const element of definitions ?? []) {
    const elementNamespace: string = element.defnamespace ?? '';
    if (elementNamespace !== '' && elementNamespace !== 'toast') {
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unrecognized parameter namespace "${elementNamespace}"`);
    }
    if (elementNamespace !== namespace) continue;
    const name: string = element.defname;
    const option = OPTIONS[kind][name];
    if (reset) {
      if (element.arg !== undefined)
        throw ereport(ERRCODE.SYNTAX_ERROR, 'RESET must not include values for parameters');
      result.delete(name);
      continue;
    }
    if (name === 'oids' && namespace === '') {
      if (/^(f|false|off|no|0)$/i.test(defGetString(element))) continue;
      throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'tables declared WITH OIDS are not supported');
    }
    if (option === undefined) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unrecognized parameter "${name}"`);
    if (seen.has(name)) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `parameter "${name}" specified more than once`);
    seen.add(name);
    const text = defGetString(element);
    check(name, option, text);
    result.set(name, text);
  }
  return result.size === 0 ? null : [...result].map(([name, value]) => `${name}=${value}`);
}
