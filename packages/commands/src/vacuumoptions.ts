/** What VACUUM and ANALYZE are told in brackets (ExecVacuum). */
import type { IndexCleanup } from '@pgtroupe/access/heap/vacuumlazy';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { errorPosition } from '@pgtroupe/parser/position';
import { defGetBoolean } from './define.ts';
import type { VacuumDelay } from './vacuumdelay.ts';

export interface VacuumOptions {
  readonly vacuum: boolean;
  readonly analyze: boolean;
  readonly freeze: boolean;
  readonly full: boolean;
  readonly aggressive: boolean;
  /** DISABLE_PAGE_SKIPPING */
  readonly everyPage: boolean;
  readonly skipLocked: boolean;
  readonly verbose: boolean;
  /** PROCESS_TOAST */
  readonly toast: boolean;
  /** Undefined: as the table's vacuum_index_cleanup says. */
  readonly indexCleanup: IndexCleanup | undefined;
  /** TRUNCATE; undefined: as the table's vacuum_truncate says. */
  readonly truncate: boolean | undefined;
  readonly automatic?: Automatic;
}

/** Of autovacuum's. */
export interface Automatic {
  readonly wraparound: boolean;
  /** log_autovacuum_min_duration; -1: nothing is told. */
  readonly logMinDurationMs: number;
}

/** What a vacuum goes by, besides what it was told in brackets. */
export interface VacuumWork extends VacuumOptions {
  readonly delay: VacuumDelay;
}

const MAX_PARALLEL_WORKER_LIMIT = 1024;

const KNOWN: Readonly<Record<'VACUUM' | 'ANALYZE', readonly string[]>> = {
  ANALYZE: ['verbose', 'skip_locked'],
  VACUUM: [
    ...['verbose', 'skip_locked', 'analyze', 'freeze', 'full', 'disable_page_skipping'],
    ...['index_cleanup', 'process_toast', 'truncate', 'parallel'],
  ],
};

export function vacuumOptions(raw: RawNode, text: string): VacuumOptions {
  const vacuum = raw['is_vacuumcmd'] === true;
  const command = vacuum ? 'VACUUM' : 'ANALYZE';
  const given = new Map<string, RawNode | undefined>();
  let workers = 0;
  let indexCleanup: IndexCleanup | undefined;
  for (const option of (raw['options'] as RawNode[] | undefined) ?? []) {
    const name = option['defname'] as string;
    const arg = option['arg'] as RawNode | undefined;
    const wrong = (message: string): PgError =>
      ereport(ERRCODE.SYNTAX_ERROR, message, { position: errorPosition(text, Number(option['location'] ?? -1)) });
    if (!KNOWN[command].includes(name)) throw wrong(`unrecognized ${command} option "${name}"`);
    if (name === 'parallel') workers = parallelWorkers(arg, wrong);
    else if (name === 'index_cleanup') indexCleanup = indexCleanupOf(arg);
    else defGetBoolean(name, arg);
    given.set(name, arg);
  }
  const on = (name: string, fallback = false): boolean =>
    given.has(name) ? defGetBoolean(name, given.get(name)) : fallback;
  if (on('full')) checkFull(workers, on('disable_page_skipping'), on('process_toast', true));
  return {
    vacuum,
    analyze: !vacuum || on('analyze'),
    freeze: on('freeze'),
    full: on('full'),
    aggressive: on('freeze') || on('disable_page_skipping'),
    everyPage: on('disable_page_skipping'),
    skipLocked: on('skip_locked'),
    verbose: on('verbose'),
    toast: on('process_toast', true),
    indexCleanup,
    truncate: given.has('truncate') ? on('truncate') : undefined,
  };
}

/** Accepted, and everything is done by one. */
function parallelWorkers(arg: RawNode | undefined, wrong: (message: string) => PgError): number {
  if (arg === undefined) throw wrong(`parallel option requires a value between 0 and ${MAX_PARALLEL_WORKER_LIMIT}`);
  if (arg.type !== 'Integer') throw ereport(ERRCODE.SYNTAX_ERROR, 'parallel requires an integer value');
  const workers = Number(arg['ival'] ?? 0);
  if (workers < 0 || workers > MAX_PARALLEL_WORKER_LIMIT)
    throw wrong(`parallel workers for vacuum must be between 0 and ${MAX_PARALLEL_WORKER_LIMIT}`);
  return workers;
}

function indexCleanupOf(arg: RawNode | undefined): IndexCleanup {
  if (arg === undefined || String(arg['sval'] ?? '').toLowerCase() === 'auto') return 'auto';
  return defGetBoolean('index_cleanup', arg) ? 'on' : 'off';
}

function checkFull(workers: number, everyPage: boolean, toast: boolean): void {
  const refuse = (message: string): PgError => ereport(ERRCODE.FEATURE_NOT_SUPPORTED, message);
  if (workers > 0) throw refuse('VACUUM FULL cannot be performed in parallel');
  if (everyPage) throw refuse('VACUUM option DISABLE_PAGE_SKIPPING cannot be used with FULL');
  if (!toast) throw refuse('PROCESS_TOAST required with VACUUM FULL');
}
