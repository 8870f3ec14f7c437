/**
 * Where a transaction stands after every statement: each kind of statement outside of a block, in one, in one that
 * has failed, among others in a query string and in a pipeline, by the simple and by the extended protocol, against
 * PostgreSQL 15's answers; and after the deaths of buffer-manager and walwriter, where PostgreSQL has no answer to
 * compare with but its rule: a COMMIT that fails has ended its block, any other error leaves a block failed.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';
import { dropOracleDatabase, oracleDatabase, ours, type Server } from './clients.ts';
import { type Answers, expected } from './expected.ts';
import { B, E, type Message, P, Q, S, Wire, X } from './wire.ts';

const STATEMENTS = [
  'select 1',
  'select 1/0',
  'selec',
  '',
  'begin',
  'start transaction',
  'begin isolation level repeatable read',
  'begin read only',
  'commit',
  'end',
  'rollback',
  'abort',
  'commit and chain',
  'rollback and chain',
  'commit and no chain',
  'savepoint s',
  'release s',
  'release nosuch',
  'rollback to s',
  'rollback to nosuch',
  'set work_mem = 64',
  'set local work_mem = 100',
  'set nosuch = 1',
  'set work_mem = -1',
  'reset work_mem',
  'reset all',
  'show work_mem',
  'show nosuch',
  'discard all',
  'discard plans',
  'execute nosuch',
  'deallocate nosuch',
  'deallocate all',
  'lock table st',
  'vacuum st',
  'analyze st',
  'create table st(a int)',
  'create table nt(a int)',
  'drop table nosuch',
  'drop table if exists nosuch',
  'alter table st add column nosuch nosuch',
  'truncate st',
  'insert into st values (1)',
  'insert into st values (7)',
  'delete from st where a = 99',
  'copy st to stdout',
  'explain (costs off) select 1',
  'set transaction isolation level repeatable read',
  'set transaction read only',
  'set session characteristics as transaction isolation level repeatable read',
  "prepare transaction 'x'",
  "commit prepared 'x'",
  "rollback prepared 'x'",
  "comment on table st is 'x'",
  'grant select on st to public',
  'create index on st(b)',
  'set role none',
  'set session authorization default',
  'listen x',
  'declare c cursor for select 1',
  'fetch c',
  'set constraints all deferred',
];

const BEFORE: Readonly<Record<string, readonly string[]>> = {
  idle: [],
  block: ['begin'],
  savepoint: ['begin', 'savepoint s', 'select 1'],
  failed: ['begin', 'savepoint s', 'select 1/0'],
};

const PREPARE = `drop table if exists st;
create table st(a int primary key, b int);
insert into st values (1, 1)`;
const AFTER = 'rollback; reset all; delete from st where a <> 1; select 1';

/** Tags, SQLSTATEs and the status; not the rows. */
function outcome(lines: readonly string[]): string {
  return lines
    .filter(line => /^[CENZI]( |$)/.test(line))
    .map(line => line.replace(/^([EN]) \S+ (\S+).*/s, '$1 $2'))
    .join(', ');
}

const pipeline = (sql: string): Message[] => [
  ...['insert into st values (50)', sql, 'select 3'].flatMap(text => [P('', text), B('', ''), E()]),
  S,
];

async function walk(server: Server): Promise<Answers> {
  const answers = new Map<string, string>();
  const wire = await Wire.open(server);
  const ask = async (name: string, before: readonly string[], sent: readonly Message[]): Promise<void> => {
    await wire.send(Q(AFTER));
    for (const sql of before) await wire.send(Q(sql));
    const lines = [...(await wire.send(sent)), ...(await wire.send(Q('select 2')))];
    answers.set(name, outcome(lines));
    await wire.send(Q('rollback'));
    if (sent.some(({ bytes }) => bytes.includes('table nt'))) await wire.send(Q('drop table if exists nt'));
  };
  await wire.send(Q(PREPARE));
  for (const [state, before] of Object.entries(BEFORE)) {
    for (const sql of STATEMENTS) {
      await ask(`${state}: ${sql}`, before, [Q(sql)]);
      await ask(`${state}, extended: ${sql}`, before, X(sql));
      if (state === 'failed' || state === 'savepoint') continue;
      await ask(`${state}, among others: ${sql}`, before, [Q(`insert into st values (50); ${sql}; select 3`)]);
      await ask(`${state}, pipelined: ${sql}`, before, pipeline(sql));
    }
  }
  wire.close();
  return answers;
}

describe.skipIf(!isBuilt)('transaction status', () => {
  const cluster = new TestCluster();
  const recorded = expected(new URL('expected/status.out', import.meta.url), async () => {
    const oracle = oracleDatabase('transaction_status');
    try {
      return await walk(oracle);
    } finally {
      dropOracleDatabase('transaction_status');
    }
  });

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
  }, 90_000);

  afterAll(() => cluster.destroy(), 30_000);

  it('is as in PostgreSQL after every statement', async () => {
    const answers = await walk(ours(cluster));
    const wrong: string[] = [];
    for (const [name, right] of recorded()) {
      const answer = answers.get(name) ?? 'nothing';
      if (answer === right) continue;
      // What is not built fails, and leaves behind what an error leaves behind.
      const failed = name.startsWith('idle') ? 'Z I' : 'Z E';
      if (answer.includes(`E 0A000, ${failed}`)) continue;
      wrong.push(`${name}\n  ${right}\n  ${answer}`);
    }
    expect(wrong.join('\n')).toBe('');
    expect(answers.size).toBe(recorded().size);
  }, 200_000);

  describe('after a death', () => {
    const insert = Q("insert into dt select g, 'x' from generate_series(1, 50) g");

    async function kill(name: 'buffer-manager' | 'walwriter'): Promise<void> {
      const role = await until(name, async () => {
        const found = await cluster.role(name).catch(() => undefined);
        return found?.state === 'ready' && found;
      });
      process.kill(role.osPid, 'SIGKILL');
    }

    const open = (): Promise<Wire> =>
      until('a session', async () => {
        const wire = await Wire.open(ours(cluster));
        return wire.greeting.at(-1) === 'Z I' && wire;
      });

    /** The session may still be to hear of the last death. */
    const insertInBlock = (wire: Wire): Promise<boolean> =>
      until('a row in a block', async () => {
        await wire.send(Q('begin'));
        const said = await wire.send(insert);
        if (said.at(-1) !== 'Z T') await wire.send(Q('rollback'));
        return said.at(-1) === 'Z T';
      });

    it('of the buffer-manager, COMMIT ends its block whatever it answers, and the session serves on', async () => {
      const wire = await open();
      await wire.send(Q('drop table if exists dt; create table dt(a int, b text)'));
      for (const commit of [[Q('commit')], X('commit'), [Q('rollback')], X('rollback')]) {
        await insertInBlock(wire);
        await kill('buffer-manager');
        const said = await wire.send(commit);
        expect(said.at(-1)).toBe('Z I');
        const rows = await until('rows counted', async () => {
          const lines = await wire.send(Q('select count(*) from dt'));
          return lines.at(-1) === 'Z I' && lines.find(line => line.startsWith('D '));
        });
        expect(rows).toBe('D 0');
        const rollsBack = said.some(line => line === 'C ROLLBACK');
        expect(rollsBack || said.some(line => line.startsWith('E ERROR 40001'))).toBe(true);
      }
      wire.close();
    }, 60_000);

    it('of the buffer-manager, any other statement leaves its block failed', async () => {
      const wire = await open();
      for (const next of [[Q('select count(*) from dt')], X('select count(*) from dt'), [Q('savepoint x')], [insert]]) {
        await insertInBlock(wire);
        await kill('buffer-manager');
        const error = await until('an error', async () => {
          const said = await wire.send(next);
          const told = said.find(line => line.startsWith('E '));
          expect(said.at(-1)).toBe(told === undefined ? 'Z T' : 'Z E');
          return told;
        });
        expect(error).toMatch(/^E ERROR 40001/);
        expect((await wire.send(Q('commit'))).at(-1)).toBe('Z I');
      }
      wire.close();
    }, 60_000);

    for (const name of ['buffer-manager', 'walwriter'] as const) {
      it(`of the ${name} amid BEGIN, statement and COMMIT leaves a status that matches the answers`, async () => {
        const wires = await Promise.all(Array.from({ length: 6 }, open));
        await wires[0]!.send(Q('drop table if exists dt; create table dt(a int, b text)'));
        const started = performance.now();
        let committed = 0;
        const killing = (async () => {
          for (let n = 0; n < 3; n++) {
            await sleep(300);
            await kill(name);
          }
        })();
        let over = false;
        void killing.then(() => (over = true));
        await Promise.all(
          wires.map(async wire => {
            while (!over || performance.now() - started < 1_000) {
              const begin = await wire.send(Q('begin'));
              expect(begin.at(-1)).toBe(begin.some(line => line.startsWith('E ')) ? 'Z I' : 'Z T');
              if (begin.at(-1) === 'Z I') continue;
              const statement = await wire.send(Q("insert into dt values (1, 'x')"));
              expect(statement.at(-1)).toBe(statement.some(line => line.startsWith('E ')) ? 'Z E' : 'Z T');
              const commit = await wire.send(Q('commit'));
              expect(commit.at(-1)).toBe('Z I');
              if (commit.includes('C COMMIT')) committed++;
            }
          }),
        );
        await killing;
        // Every session still commits.
        for (const wire of wires) {
          expect(await wire.send(Q("begin; insert into dt values (1, 'x'); commit"))).toContain('C COMMIT');
          committed++;
        }
        expect((await wires[0]!.send(Q('select count(*) from dt')))[1]).toBe(`D ${committed}`);
        for (const wire of wires) wire.close();
      }, 90_000);
    }
  });
});
