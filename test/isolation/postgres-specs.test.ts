/**
 * PostgreSQL's own isolation specs, as far as their SQL runs: `npm run isolation`. They are not in this repository;
 * PG_ISOLATION_DIR names src/test/isolation of PostgreSQL 15's source. Each spec is equal to an expected file, needs
 * something unsupported (which is named), or is wrong and fails here.
 *
 * PG_ISOLATION_SPECS (comma-separated) picks some; PG_ISOLATION_INSTANCES=1 or 4 picks one of the two ways: all
 * sessions in one instance, or an instance for each (four and more with the connection that watches).
 * PG_ISOLATION_RESULTS names a folder for the outputs that are not equal.
 */
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, ours } from '../clients/clients.ts';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { parseSpec } from './spec.ts';
import { runSpec } from './tester.ts';
import { judge, type Verdict } from './verdict.ts';

const FOLDER = process.env['PG_ISOLATION_DIR'];
const PICKED = process.env['PG_ISOLATION_SPECS']?.split(',');
const WAYS = process.env['PG_ISOLATION_INSTANCES']?.split(',') ?? ['1', '4'];
const RESULTS = process.env['PG_ISOLATION_RESULTS'];
const SPEC_LIMIT_MS = 600_000;

const names =
  FOLDER === undefined
    ? []
    : readdirSync(join(FOLDER, 'specs'))
        .filter(name => name.endsWith('.spec'))
        .map(name => name.slice(0, -5))
        .filter(name => PICKED === undefined || PICKED.includes(name));

/** Expected files: NAME.out, NAME_1.out ... */
function expectedOf(name: string): string[] {
  return ['', '_1', '_2', '_3']
    .map(variant => join(FOLDER!, 'expected', `${name}${variant}.out`))
    .filter(file => existsSync(file))
    .map(file => readFileSync(file, 'utf8'));
}

function line(name: string, verdict: Verdict): string {
  return `${verdict.kind.padEnd(11)} ${name}${verdict.kind === 'equal' ? '' : `: ${verdict.what}`}\n`;
}

function tableOf(way: string, verdicts: ReadonlyMap<string, Verdict>): string {
  const count = (kind: Verdict['kind']): number => [...verdicts.values()].filter(each => each.kind === kind).length;
  const lines = [...verdicts].map(([name, verdict]) => line(name, verdict)).sort();
  return `\n${lines.join('')}${way} instance(s): ${count('equal')} equal, ${count('unsupported')} unsupported, ${count('wrong')} wrong\n`;
}

describe.skipIf(FOLDER === undefined || !isBuilt)(
  `PostgreSQL's isolation specs (${FOLDER === undefined ? 'skipped: PG_ISOLATION_DIR is not set' : FOLDER})`,
  () => {
    describe.each(WAYS)('%s instance(s)', way => {
      const cluster = new TestCluster();
      const verdicts = new Map<string, Verdict>();

      beforeAll(async () => {
        await cluster.create();
        await cluster.start('-c', `sessions_per_instance=${way === '1' ? 50 : 1}`);
      }, 120_000);
      afterAll(async () => {
        process.stdout.write(tableOf(way, verdicts));
        await cluster.destroy();
      }, 60_000);

      it.each(names)(
        '%s',
        async name => {
          const client = await connect(ours(cluster));
          await client.query(
            'DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO public',
          );
          await client.end();
          const spec = parseSpec(readFileSync(join(FOLDER!, 'specs', `${name}.spec`), 'utf8'));
          const output: string[] = [];
          const failure = await runSpec(spec, { ...ours(cluster), user: 'postgres' }, text => output.push(text)).catch(
            (error: Error) => error,
          );
          const verdict = judge(output.join(''), expectedOf(name), failure ?? undefined);
          verdicts.set(name, verdict);
          if (RESULTS !== undefined) {
            appendFileSync(join(RESULTS, `verdicts.${way}`), line(name, verdict));
            if (verdict.kind !== 'equal') writeFileSync(join(RESULTS, `${name}.${way}.out`), output.join(''));
          }
          expect(verdict.kind === 'wrong' ? verdict.what : undefined).toBeUndefined();
        },
        SPEC_LIMIT_MS,
      );
    });
  },
);
