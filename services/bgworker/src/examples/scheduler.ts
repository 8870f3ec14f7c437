/**
 * An example of a background worker: runs the statements of a table at the times of their cron lines.
 *
 *     pgtroupe.background_workers = '$libdir/scheduler name=scheduler database=app role=app'
 *
 * It makes its table where there is none, in the first schema of its search path:
 *
 *     scheduled_job (name text PRIMARY KEY, schedule text, command text, last_run timestamptz, last_error text)
 *
 * Each job is one transaction with the note that it ran, so that a worker that is killed in the middle does not run it twice
 * in a minute. What was due while no worker was there is not caught up on. The argument, if there is one, is how many
 * milliseconds pass between two looks at the clock (a second otherwise).
 */
import type { BackgroundWorker } from '../worker.ts';
import { type CronLine, isDue, parseCron } from './cron.ts';

const LOOK_MS = 1000;

const MAKE_TABLE = `CREATE TABLE IF NOT EXISTS scheduled_job (
  name text PRIMARY KEY, schedule text NOT NULL, command text NOT NULL, last_run timestamptz, last_error text)`;
/** Sunday is 0. */
const DUE = `SELECT name, schedule, command, to_char(now(), 'YYYY-MM-DD HH24:MI ') || extract(dow FROM now()) AS minute
  FROM scheduled_job WHERE last_run IS NULL OR last_run < date_trunc('minute', now()) ORDER BY name`;
const NOTE = 'UPDATE scheduled_job SET last_run = now(), last_error = $2 WHERE name = $1';

export async function main(worker: BackgroundWorker): Promise<void> {
  worker.onTerminate(() => worker.log('LOG', 'the scheduler ends'));
  const every = worker.argument === '' ? LOOK_MS : Number(worker.argument);
  await worker.query(MAKE_TABLE);
  while (!worker.terminating) {
    const { rows } = await worker.query(DUE);
    for (const { name, schedule, command, minute } of rows) {
      if (worker.terminating) break;
      if (isDueNow(worker, name!, schedule!, minute!)) await runJob(worker, name!, command!);
    }
    await worker.sleep(every);
  }
}

/** Lines that make no sense are told once. */
const told = new Set<string>();

function isDueNow(worker: BackgroundWorker, name: string, schedule: string, minute: string): boolean {
  let line: CronLine;
  try {
    line = parseCron(schedule);
  } catch (error) {
    if (!told.has(schedule)) worker.log('WARNING', `job "${name}" is not run`, { detail: (error as Error).message });
    told.add(schedule);
    return false;
  }
  return isDue(line, minute);
}

async function runJob(worker: BackgroundWorker, name: string, command: string): Promise<void> {
  await worker.query('BEGIN');
  try {
    await worker.query(NOTE, [name, null]);
    await worker.query(command);
    await worker.query('COMMIT');
  } catch (error) {
    // If the session is gone this fails too, and ends the worker.
    await worker.query('ROLLBACK');
    await worker.query(NOTE, [name, (error as Error).message]);
  }
}
