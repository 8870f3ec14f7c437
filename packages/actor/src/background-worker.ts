/**
 * What a background worker is registered with (PostgreSQL's BackgroundWorker), and how a user writes it down:
 *
 *     module key=value …        /srv/jobs/nightly.js database=app role=jobs restart=5min
 *
 * in `pgtroupe.background_workers`, a list with commas, and in pgtroupe_launch_worker(). A module or value with blanks,
 * commas or quotes stands in double quotes, a double quote in it doubled.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { type GucFacts, parseGuc } from '@pgtroupe/common/guc';

/** bgw_restart_time of a worker that is launched once. */
export const NEVER_RESTART = -1;
/** BGW_DEFAULT_RESTART_INTERVAL */
export const DEFAULT_RESTART_S = 60;
/** USECS_PER_DAY / 1000, the longest that PostgreSQL takes. */
const MAX_RESTART_S = 24 * 60 * 60;
const START_TIMES = ['postmaster_start', 'consistent', 'recovery_finished'] as const;
/** BGW_MAXLEN and its like, without the byte that ends the name. */
const MAX_NAME_BYTES = 95;

export interface WorkerRegistration {
  /** Path of its module; `$libdir/` is where those that come with pgtroupe are. */
  readonly module: string;
  /** bgw_name, in the log. */
  readonly name: string;
  /** bgw_type: pg_stat_activity's backend_type. */
  readonly type: string;
  readonly startTime: (typeof START_TIMES)[number];
  /** Seconds between its end and its next start, or NEVER_RESTART. */
  readonly restartSeconds: number;
  /** undefined: it has no session. */
  readonly database: string | undefined;
  /** undefined: the bootstrap superuser. */
  readonly role: string | undefined;
  /** For the module to read. */
  readonly argument: string;
  /** Of the request that registered it; '' if that was the configuration. */
  readonly id: string;
}

/** What is not written down. */
export interface WorkerDefaults {
  readonly database: string | undefined;
  readonly role: string | undefined;
  readonly restartSeconds: number;
}

const RESTART: GucFacts = {
  name: 'restart',
  vartype: 'integer',
  unit: 's',
  context: 'postmaster',
  category: '',
  boot: null,
  min: 0,
  max: MAX_RESTART_S,
  short: '',
};

/** The workers of a list. */
export function parseWorkers(text: string, defaults: WorkerDefaults): WorkerRegistration[] {
  return entries(text).map(words => registration(words, defaults));
}

function registration(words: readonly Word[], defaults: WorkerDefaults): WorkerRegistration {
  const [first, ...options] = words;
  if (first === undefined || first.key !== undefined || first.value === '')
    throw invalid('a background worker begins with the path of its module');
  const given = new Map<string, string>();
  for (const { key, value } of options) {
    if (key === undefined || !KEYS.has(key)) throw invalid(`"${key ?? value}" is no property of a background worker`);
    if (given.has(key)) throw invalid(`"${key}" is given twice`);
    given.set(key, value);
  }
  const name = given.get('name') ?? baseName(first.value);
  const startTime = startTimeOf(given.get('start'));
  const database = given.get('database') ?? defaults.database;
  if (database !== undefined && startTime === 'postmaster_start') {
    const message = `background worker "${name}": cannot request database access if starting at postmaster start`;
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, message);
  }
  return {
    module: first.value,
    name: clipped(name),
    type: clipped(given.get('type') ?? name),
    startTime,
    restartSeconds: restartOf(given.get('restart'), name, defaults.restartSeconds),
    database,
    role: given.get('role') ?? defaults.role,
    argument: given.get('argument') ?? '',
    id: '',
  };
}

const KEYS: ReadonlySet<string> = new Set(['name', 'type', 'start', 'restart', 'database', 'role', 'argument']);

function startTimeOf(text: string | undefined): WorkerRegistration['startTime'] {
  if (text === undefined) return 'recovery_finished';
  const found = START_TIMES.find(time => time === text);
  if (found === undefined) throw invalid(`"start" is one of ${START_TIMES.join(', ')}`);
  return found;
}

function restartOf(text: string | undefined, name: string, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (text === 'never') return NEVER_RESTART;
  try {
    return parseGuc(RESTART, text) as number;
  } catch {
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `background worker "${name}": invalid restart interval`, {
      hint: `It is "never", or from 0 to ${MAX_RESTART_S} seconds.`,
    });
  }
}

const baseName = (path: string): string => path.replace(/^.*\//, '').replace(/\.[cm]?[jt]s$/, '');

function clipped(name: string): string {
  let text = name;
  while (Buffer.byteLength(text) > MAX_NAME_BYTES) text = text.slice(0, -1);
  return text;
}

interface Word {
  readonly key: string | undefined;
  readonly value: string;
}

/** `key=`, then a value in quotes or without; what follows it. */
const WORD = /\s*(?:([a-z]+)=)?("(?:[^"]|"")*"|[^\s,"]*)(\s*,|\s*$|\s+)/y;

function entries(text: string): Word[][] {
  const found: Word[][] = [];
  if (text.trim() === '') return found;
  let words: Word[] = [];
  for (WORD.lastIndex = 0; ; ) {
    const match = WORD.exec(text);
    if (match === null) throw invalid('list syntax is invalid');
    const [, key, value, behind] = match;
    words.push({ key, value: value!.startsWith('"') ? value!.slice(1, -1).replaceAll('""', '"') : value! });
    const isLast = WORD.lastIndex === text.length && !behind!.endsWith(',');
    if (isLast || behind!.endsWith(',')) {
      found.push(words);
      words = [];
    }
    if (isLast) return found;
  }
}

function invalid(detail: string): PgError {
  return ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'invalid background worker', { detail });
}
