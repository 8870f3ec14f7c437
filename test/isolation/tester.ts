/**
 * Runs a spec against a server and prints what PostgreSQL's isolationtester prints (src/test/isolation/isolationtester.c).
 * Whether a step waits for another session is asked of the server (pg_isolation_test_session_is_blocked).
 */
import type { Socket } from 'node:net';
import pg from 'pg';
import type { PermutationStep, Session, Spec } from './spec.ts';

const POLL_MS = 10;
const STEP_LIMIT_MS = 20_000;

export interface Place {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

interface Result {
  readonly fields: readonly { readonly name: string }[];
  readonly rows: readonly (readonly (string | null)[])[];
  readonly command: string;
}

type Answer = { readonly results: readonly Result[]; readonly error: Error | undefined };

interface Active {
  readonly step: PermutationStep;
  readonly sql: string;
  readonly since: number;
  /** Notices that must have come from a blocker's session. */
  readonly notices: readonly { readonly session: Connection; readonly target: number }[];
  answer: Answer | undefined;
}

interface Connection {
  readonly name: string;
  readonly client: pg.Client;
  readonly pid: number;
  notices: number;
  active: Active | undefined;
}

export class Timeout extends Error {
  override readonly name = 'Timeout';
}

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));
const asText = { getTypeParser: () => (text: string) => text };

/** All results of the statements, up to the first error. */
function ask(client: pg.Client, text: string): Promise<Answer> {
  return new Promise(resolve => {
    const query = new pg.Query({ text, rowMode: 'array', types: asText } as never) as unknown as {
      _results: Result | Result[];
      on(event: string, listener: (error: Error) => void): void;
    };
    const results = (): Result[] => (Array.isArray(query._results) ? query._results : [query._results]);
    query.on('error', error => resolve({ results: results().filter(r => r.command !== null), error }));
    query.on('end', () => resolve({ results: results(), error: undefined }));
    client.query(query as never);
  });
}

class Tester {
  readonly #spec: Spec;
  readonly #control: Connection;
  readonly #sessions: readonly Connection[];
  readonly #owner = new Map<string, Connection>();
  readonly #sql = new Map<string, string>();
  readonly #print: (text: string) => void;
  #newNotice = false;

  constructor(spec: Spec, control: Connection, sessions: readonly Connection[], print: (text: string) => void) {
    this.#spec = spec;
    this.#control = control;
    this.#sessions = sessions;
    this.#print = print;
    spec.sessions.forEach(({ steps }, n) => {
      for (const [name, sql] of steps) {
        this.#owner.set(name, sessions[n]!);
        this.#sql.set(name, sql);
      }
    });
    for (const session of sessions) {
      session.client.on('notice', notice => {
        print(`${session.name}: ${notice.severity}:  ${notice.message}\n`);
        session.notices++;
        this.#newNotice = true;
      });
    }
  }

  async run(): Promise<void> {
    this.#print(`Parsed test spec with ${this.#spec.sessions.length} sessions\n`);
    for (const permutation of this.#spec.permutations) await this.#permutation(permutation);
  }

  async #permutation(steps: readonly PermutationStep[]): Promise<void> {
    this.#print(`\nstarting permutation: ${steps.map(step => step.name).join(' ')}\n`);
    for (const sql of this.#spec.setups) await this.#command(this.#control, sql, 'setup failed');
    await this.#eachSession('setup', 'setup of session');
    let waiting: Connection[] = [];
    for (const step of steps) {
      const session = this.#owner.get(step.name)!;
      const began = performance.now();
      while (session.active !== undefined) {
        if (!(await this.#tryComplete(session, false, true))) waiting = waiting.filter(other => other !== session);
        waiting = await this.#tryCompleteAll(waiting, true);
        if (performance.now() - began > 2 * STEP_LIMIT_MS) throw new Timeout(`step ${session.active!.step.name}`);
      }
      this.#launch(session, step);
      const mustWait = await this.#tryComplete(session, true, false);
      waiting = await this.#tryCompleteAll(waiting, true);
      if (mustWait) waiting.push(session);
    }
    if ((await this.#tryCompleteAll(waiting, false)).length > 0) throw new Timeout('mutually-blocking steps');
    await this.#eachSession('teardown', 'teardown of session');
    if (this.#spec.teardown !== undefined) await this.#command(this.#control, this.#spec.teardown, undefined);
  }

  #launch(session: Connection, step: PermutationStep): void {
    const sql = this.#sql.get(step.name)!;
    const notices = step.blockers.flatMap(blocker => {
      if (blocker.kind !== 'notices') return [];
      const other = this.#owner.get(blocker.step)!;
      return [{ session: other, target: other.notices + blocker.count }];
    });
    const active: Active = { step, sql, since: performance.now(), notices, answer: undefined };
    session.active = active;
    void ask(session.client, sql).then(answer => {
      active.answer = answer;
    });
  }

  /** Goes over those that wait, again as long as one that ended may have been what another waited for. */
  async #tryCompleteAll(waiting: readonly Connection[], nonblock: boolean): Promise<Connection[]> {
    let left = [...waiting];
    for (;;) {
      const before = left.length;
      this.#newNotice = false;
      const still: Connection[] = [];
      for (const session of left) if (await this.#tryComplete(session, nonblock, true)) still.push(session);
      left = still;
      const marked = left.some(({ active }) => active!.step.blockers.length > 0);
      if (!marked || !(left.length < before || this.#newNotice)) return left;
    }
  }

  /** Does the session's step go on waiting? Otherwise it was reported. */
  async #tryComplete(session: Connection, nonblock: boolean, retry: boolean): Promise<boolean> {
    const active = session.active!;
    const wait = (): true => {
      if (!retry) this.#print(`step ${active.step.name}: ${active.sql} <waiting ...>\n`);
      return true;
    };
    if (!retry && active.step.blockers.some(({ kind }) => kind === 'once')) return wait();
    while (active.answer === undefined) {
      await sleep(POLL_MS);
      if (active.answer !== undefined) break;
      if (nonblock && (await this.#isBlocked(session)) && active.answer === undefined) return wait();
      if (performance.now() - active.since > STEP_LIMIT_MS) throw new Timeout(`step ${active.step.name}`);
    }
    if (this.#hasBlocker(active)) return wait();
    this.#print(retry ? `step ${active.step.name}: <... completed>\n` : `step ${active.step.name}: ${active.sql}\n`);
    this.#report(active.answer);
    session.active = undefined;
    return false;
  }

  #hasBlocker({ step, notices }: Active): boolean {
    return (
      step.blockers.some(
        blocker => blocker.kind === 'step' && this.#owner.get(blocker.step)!.active?.step.name === blocker.step,
      ) || notices.some(({ session, target }) => session.notices < target)
    );
  }

  async #isBlocked(session: Connection): Promise<boolean> {
    const pids = this.#sessions.map(({ pid }) => pid).join(',');
    const { results, error } = await ask(
      this.#control.client,
      `SELECT pg_catalog.pg_isolation_test_session_is_blocked(${session.pid}, '{${pids}}')`,
    );
    if (error !== undefined) throw error;
    return results[0]!.rows[0]![0] === 't';
  }

  async #eachSession(part: 'setup' | 'teardown', what: string): Promise<void> {
    for (const [n, session] of this.#spec.sessions.entries()) {
      const sql = (session as Session)[part];
      if (sql !== undefined)
        await this.#command(this.#sessions[n]!, sql, part === 'setup' ? `${what} ${session.name} failed` : undefined);
    }
  }

  async #command({ client }: Connection, sql: string, failure: string | undefined): Promise<void> {
    const { results, error } = await ask(client, sql);
    if (error !== undefined) {
      if (failure !== undefined) throw Object.assign(new Error(`${failure}: ${error.message}`), error);
      return;
    }
    const last = results.at(-1);
    if (last !== undefined && last.fields.length > 0) this.#print(table(last));
  }

  #report({ results, error }: Answer): void {
    for (const result of results) if (result.fields.length > 0) this.#print(table(result));
    if (error !== undefined)
      this.#print(`${(error as Error & { severity?: string }).severity ?? 'ERROR'}:  ${error.message}\n`);
  }
}

/** PQprint with header and align. */
function table({ fields, rows }: Result): string {
  const widths = fields.map(({ name }, j) =>
    Math.max(Buffer.byteLength(name), ...rows.map(row => Buffer.byteLength(row[j] ?? ''))),
  );
  const numeric = fields.map((_, j) =>
    rows.every(row => {
      const value = row[j] ?? '';
      return value === '' || (/^[0-9.eE -]*[0-9]$/.test(value) && !/^[eE]/.test(value));
    }),
  );
  const line = (values: readonly (string | null)[]): string =>
    values
      .map((value, j) => {
        const pad = ' '.repeat(widths[j]! - Buffer.byteLength(value ?? ''));
        return numeric[j] ? pad + (value ?? '') : (value ?? '') + pad;
      })
      .join('|');
  return [
    line(fields.map(({ name }) => name)),
    widths.map(width => '-'.repeat(width)).join('+'),
    ...rows.map(line),
    `(${rows.length} row${rows.length === 1 ? '' : 's'})`,
    '\n',
  ].join('\n');
}

async function connect(place: Place, name: string): Promise<Connection> {
  const client = new pg.Client({ ...place, application_name: name });
  client.on('error', () => {});
  await client.connect();
  const { results } = await ask(client, 'SELECT pg_backend_pid()');
  return { name, client, pid: Number(results[0]!.rows[0]![0]), notices: 0, active: undefined };
}

/** Prints what isolationtester would print. Throws when a setup fails or a step never ends. */
export async function runSpec(spec: Spec, place: Place, print: (text: string) => void): Promise<void> {
  const connections: Connection[] = [];
  try {
    for (const name of ['control connection', ...spec.sessions.map(session => session.name)])
      connections.push(await connect(place, name));
    await new Tester(spec, connections[0]!, connections.slice(1), print).run();
  } finally {
    // A step that still waits is not waited for.
    await Promise.all(connections.map(({ client }) => Promise.race([client.end().catch(() => {}), sleep(1000)])));
    for (const { client } of connections)
      (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
  }
}
