/**
 * Configuration parameters (Grand Unified Configuration): their definitions, how their text is
 * read, and how SHOW prints them. The wording of every refusal is PostgreSQL's.
 *
 * A value is a boolean, a number (in the parameter's base unit) or a string (enums: the canonical
 * spelling). Text in base units without a unit suffix is `setting`, what pg_settings.setting shows
 * and what travels between processes.
 */
import { type PgError, ereport } from './ereport.ts';
import { ERRCODE } from './errcodes.ts';
import { formatG } from './format_g.ts';
import { GUC_TABLES } from './guc_tables.ts';

export type GucUnit = 'B' | 'kB' | '8kB' | 'MB' | 'ms' | 's' | 'min';

/** When a parameter may change, from never to whenever a user likes. */
export type GucContext = 'internal' | 'postmaster' | 'sighup' | 'superuser-backend' | 'backend' | 'superuser' | 'user';

export type GucFlag =
  | 'EXPLAIN'
  | 'NO_SHOW_ALL'
  | 'NO_RESET_ALL'
  | 'NOT_IN_SAMPLE'
  | 'RUNTIME_COMPUTED'
  | 'REPORT'
  | 'LIST_INPUT'
  | 'LIST_QUOTE'
  | 'SUPERUSER_ONLY'
  | 'DISALLOW_IN_FILE';

export interface GucFacts {
  readonly name: string;
  readonly vartype: 'bool' | 'integer' | 'real' | 'string' | 'enum';
  readonly unit?: GucUnit;
  readonly context: GucContext;
  readonly category: string;
  /** Built-in default as `setting` text. */
  readonly boot: string | null;
  readonly min?: number;
  readonly max?: number;
  readonly enumvals?: readonly string[];
  /** Accepted spellings of enum values that are not offered. */
  readonly synonyms?: Readonly<Record<string, string>>;
  readonly flags?: readonly GucFlag[];
  /** Shown where shared_preload_libraries names this. */
  readonly library?: string;
  readonly short: string;
  readonly extra?: string;
}

export type GucName = (typeof GUC_TABLES)[number]['name'];
export type GucValue = boolean | number | string;

const BY_NAME: ReadonlyMap<string, GucFacts> = new Map(
  GUC_TABLES.map(facts => [facts.name.toLowerCase(), facts as GucFacts]),
);
/** Old names that still work. */
const OLD_NAMES: Readonly<Record<string, string>> = {
  sort_mem: 'work_mem',
  vacuum_mem: 'maintenance_work_mem',
};

export function allGucs(): Iterable<GucFacts> {
  return BY_NAME.values();
}

/**
 * pgtroupe's own parameters in files that PostgreSQL reads too: it takes names of that form without knowing them.
 * Without the prefix they are understood as well.
 */
const OWN_PREFIX = 'pgtroupe.';

function isOwnGuc(facts: GucFacts): boolean {
  return facts.extra?.endsWith('pgtroupe only.') === true;
}

/** How a configuration file names it. */
export function fileGucName(facts: GucFacts): string {
  return isOwnGuc(facts) ? OWN_PREFIX + facts.name : facts.name;
}

/** Does the parameter exist where these libraries are loaded at the start? */
export function isGucOf({ library }: GucFacts, sharedPreloadLibraries: string): boolean {
  return library === undefined || preloads(sharedPreloadLibraries, library);
}

/** Is the library in the list? */
export function preloads(sharedPreloadLibraries: string, library: string): boolean {
  return sharedPreloadLibraries.split(',').some(name => name.trim().replace(/^"(.*)"$/, '$1') === library);
}

/** Names are matched without regard to case. */
export function findGuc(name: string): GucFacts | undefined {
  const lower = name.toLowerCase();
  if (!lower.startsWith(OWN_PREFIX)) return BY_NAME.get(OLD_NAMES[lower] ?? lower);
  const facts = BY_NAME.get(lower.slice(OWN_PREFIX.length));
  return facts !== undefined && isOwnGuc(facts) ? facts : undefined;
}

/** `extension.parameter`: accepted without a definition, as PostgreSQL's placeholders are. */
export function isCustomGucName(name: string): boolean {
  return /^[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*(\.[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)+$/.test(name);
}

/** The error for a name without a definition; undefined: it is a custom one, and anything may be stored under it. */
export function unknownGuc(name: string, where = ''): PgError | undefined {
  if (name.toLowerCase().startsWith(OWN_PREFIX)) {
    return ereport(ERRCODE.INVALID_NAME, `invalid configuration parameter name "${name}"${where}`, {
      detail: '"pgtroupe" is a reserved prefix.',
    });
  }
  return isCustomGucName(name) ? undefined : unrecognizedGuc(name, where);
}

export function unrecognizedGuc(name: string, where = ''): PgError {
  return ereport(ERRCODE.UNDEFINED_OBJECT, `unrecognized configuration parameter "${name}"${where}`);
}

const MEMORY_HINT = 'Valid units for this parameter are "B", "kB", "MB", "GB", and "TB".';
const TIME_HINT = 'Valid units for this parameter are "us", "ms", "s", "min", "h", and "d".';

/** Largest first, each as a multiple of a byte or a microsecond. */
const MEMORY_UNITS: readonly (readonly [string, number])[] = [
  ['TB', 2 ** 40],
  ['GB', 2 ** 30],
  ['MB', 2 ** 20],
  ['kB', 2 ** 10],
  ['B', 1],
];
const TIME_UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000_000],
  ['h', 3_600_000_000],
  ['min', 60_000_000],
  ['s', 1_000_000],
  ['ms', 1_000],
  ['us', 1],
];
const BASE_UNITS: Readonly<Record<GucUnit, { readonly table: typeof TIME_UNITS; readonly size: number }>> = {
  B: { table: MEMORY_UNITS, size: 1 },
  kB: { table: MEMORY_UNITS, size: 2 ** 10 },
  '8kB': { table: MEMORY_UNITS, size: 8192 },
  MB: { table: MEMORY_UNITS, size: 2 ** 20 },
  ms: { table: TIME_UNITS, size: 1_000 },
  s: { table: TIME_UNITS, size: 1_000_000 },
  min: { table: TIME_UNITS, size: 60_000_000 },
};

function invalidValue(facts: GucFacts, text: string, hint?: string): PgError {
  return ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid value for parameter "${facts.name}": "${text}"`, { hint });
}

/** Half to even, as C's rint. */
function rint(x: number): number {
  const floor = Math.floor(x);
  const half = x - floor;
  if (half !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Value in base units; a fraction is rounded to the next smaller unit, as in "30.1GB". */
function convertToBaseUnit(value: number, unit: string, base: GucUnit): number | undefined {
  const { table, size } = BASE_UNITS[base];
  const at = table.findIndex(([name]) => name === unit);
  if (at < 0) return undefined;
  let converted = (value * table[at]![1]) / size;
  const smaller = table[at + 1];
  if (smaller) {
    const step = smaller[1] / size;
    converted = rint(converted / step) * step;
  }
  return converted;
}

const INTEGER = /^\s*([+-]?(?:0[xX][0-9a-fA-F]+|[0-9]+))(?![.eE\d])/;
const REAL =
  /^\s*([+-]?(?:0x(?:[\da-f]+\.?[\da-f]*|\.[\da-f]+)(?:p[+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?))/i;

function parseNumber(facts: GucFacts, text: string): number {
  let rest: string;
  let value: number;
  const integer = facts.vartype === 'integer' ? INTEGER.exec(text) : null;
  if (integer) {
    value = parseCInteger(integer[1]!);
    rest = text.slice(integer[0].length);
  } else {
    const real = REAL.exec(text);
    if (!real) throw invalidValue(facts, text);
    value = parseCReal(real[1]!);
    rest = text.slice(real[0].length);
  }
  const unit = rest.trim();
  if (unit !== '') {
    if (facts.unit === undefined) throw invalidValue(facts, text);
    const converted = convertToBaseUnit(value, unit, facts.unit);
    if (converted === undefined) {
      throw invalidValue(facts, text, BASE_UNITS[facts.unit].table === TIME_UNITS ? TIME_HINT : MEMORY_HINT);
    }
    value = converted;
  }
  if (facts.vartype === 'integer') {
    value = rint(value);
    if (value > 0x7fffffff || value < -0x80000000) {
      throw invalidValue(facts, text, 'Value exceeds integer range.');
    }
  }
  checkRange(facts, value);
  return value;
}

/** C's strtol with base 0: hexadecimal after 0x, octal after 0. */
function parseCInteger(text: string): number {
  const negative = text.startsWith('-');
  const digits = text.replace(/^[+-]/, '');
  const octal = /^0[0-7]+$/.test(digits);
  const magnitude = octal ? Number.parseInt(digits, 8) : Number(digits);
  return negative ? -magnitude : magnitude;
}

/** C's strtod, hexadecimal digits and infinity included. */
function parseCReal(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = text.replace(/^[+-]/, '').toLowerCase();
  if (digits.startsWith('inf')) return sign * Infinity;
  if (!digits.startsWith('0x')) return sign * Number(digits);
  const [mantissa, exponent = '0'] = digits.slice(2).split('p');
  const [whole, fraction = ''] = mantissa!.split('.');
  return sign * Number(`0x${whole}${fraction}`) * 2 ** (Number(exponent) - 4 * fraction.length);
}

function checkRange(facts: GucFacts, value: number): void {
  if (value >= facts.min! && value <= facts.max!) return;
  const unit = facts.unit === undefined ? '' : ` ${facts.unit}`;
  throw ereport(
    ERRCODE.INVALID_PARAMETER_VALUE,
    `${formatNumber(facts, value)}${unit} is outside the valid range for parameter "${facts.name}" ` +
      `(${formatNumber(facts, facts.min!)} .. ${formatNumber(facts, facts.max!)})`,
  );
}

/** PostgreSQL's parse_bool: unambiguous prefixes, any case. undefined when it is none. */
export function parseBool(text: string): boolean | undefined {
  const lower = text.toLowerCase();
  if (lower === '1') return true;
  if (lower === '0') return false;
  if (lower === '') return undefined;
  if ('true'.startsWith(lower) || 'yes'.startsWith(lower) || lower === 'on') return true;
  if ('false'.startsWith(lower) || 'no'.startsWith(lower) || (lower.length > 1 && 'off'.startsWith(lower))) {
    return false;
  }
  return undefined;
}

/** Reads what a user wrote. Throws PostgreSQL's error (22023). */
export function parseGuc(facts: GucFacts, text: string): GucValue {
  switch (facts.vartype) {
    case 'bool': {
      const value = parseBool(text);
      if (value === undefined) {
        throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `parameter "${facts.name}" requires a Boolean value`);
      }
      return value;
    }
    case 'integer':
    case 'real':
      return parseNumber(facts, text);
    case 'enum': {
      const lower = text.toLowerCase();
      const value = facts.enumvals!.find(v => v.toLowerCase() === lower) ?? facts.synonyms?.[lower];
      if (value === undefined) {
        throw invalidValue(facts, text, `Available values: ${facts.enumvals!.join(', ')}.`);
      }
      return value;
    }
    case 'string':
      return text;
  }
}

/** `setting`: base units, no suffix. Integers in octal where PostgreSQL shows them so. */
export function gucSetting(facts: GucFacts, value: GucValue): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'string') return value;
  if (OCTAL.has(facts.name)) return value.toString(8).padStart(4, '0');
  return formatNumber(facts, value);
}

const OCTAL: ReadonlySet<string> = new Set(['log_file_mode', 'unix_socket_permissions', 'data_directory_mode']);

/** Shown as the operating system reports them: without a unit. */
const SHOWN_BARE: ReadonlySet<string> = new Set(['tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_user_timeout']);

/** What SHOW prints: the largest unit that divides the value evenly. */
export function showGuc(facts: GucFacts, value: GucValue): string {
  if (typeof value !== 'number' || facts.unit === undefined || value <= 0 || SHOWN_BARE.has(facts.name)) {
    return gucSetting(facts, value);
  }
  const { table, size } = BASE_UNITS[facts.unit];
  if (facts.vartype === 'integer') {
    const smallest = value * size;
    const [name, multiple] = table.find(([, m]) => m <= size || smallest % m === 0)!;
    return `${Math.round(smallest / multiple)}${name}`;
  }
  for (const [name, multiple] of table) {
    const scaled = (value * size) / multiple;
    const last = multiple === 1;
    if (last || (scaled > 0 && Math.abs(rint(scaled) / scaled - 1) <= 1e-8)) return `${formatG(scaled)}${name}`;
  }
  return gucSetting(facts, value);
}

/** PostgreSQL prints integers with %d, others with %g. */
function formatNumber(facts: GucFacts, value: number): string {
  return facts.vartype === 'real' ? formatG(value) : String(value);
}
