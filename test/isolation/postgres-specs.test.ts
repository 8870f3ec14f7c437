/**
 * PostgreSQL's own isolation specs, as far as their SQL runs: `npm run isolation`. They are not in this repository;
 * PG_ISOLATION_DIR names src/test/isolation of PostgreSQL 15's source. Says of each spec whether its output is
 * equal to an expected file, unsupported (and what is missing), or different; those in EQUAL must be equal.
 *
 * PG_ISOLATION_SPECS (comma-separated) picks some; PG_ISOLATION_INSTANCES=1 or 4 picks one of the two ways.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, ours } from '../clients/clients.ts';
import { isBuilt, TestCluster } from '../testcluster.ts';
import { EQUAL } from './equal.ts';
import { parseSpec } from './spec.ts';
import { runSpec } from './tester.ts';

const FOLDER = process.env['PG_ISOLATION_DIR'];
const PICKED = process.env['PG_ISOLATION_SPECS']?.split(',');
const WAYS = process.env['PG_ISOLATION_INSTANCES']?.split(',') ?? ['1', '4'];
const SPEC_LIMIT_MS = 300_000;

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

describe.skipIf(FOLDER === undefined || !isBuilt)(
  `PostgreSQL's isolation specs (${FOLDER === undefined ? 'skipped: PG_ISOLATION_DIR is not set' : FOLDER})`,
  () => {
    describe.each(WAYS)('%s instance(s)', way => {
      const cluster = new TestCluster();
      const report: string[] = [];

      beforeAll(async () => {
        await cluster.create();
        await cluster.start('-c', `sessions_per_instance=${way === '1' ? 50 : 1}`, '-c', 'deadlock_timeout=100ms');
      }, 120_000);
      afterAll(async () => {
        await cluster.destroy();
        process.stdout.write(`\n${report.sort().join('\n')}\n`);
      });

      it.each(names)(
        '%s',
        async name => {
          const client = await connect(ours(cluster));
          await client.query('DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public').catch(() => {});
          await client.end();
          const spec = parseSpec(readFileSync(join(FOLDER!, 'specs', `${name}.spec`), 'utf8'));
          let output: string;
          try {
            output = await runSpec(spec, { ...ours(cluster), user: 'postgres' });
          } catch (error) {
            const { code, message } = error as Error & { code?: string };
            report.push(`${code === '0A000' ? 'unsupported' : 'different  '} ${name}: ${message.split('\n')[0]}`);
            expect(EQUAL, message).not.toContain(name);
            return;
          }
          const equal = expectedOf(name).includes(output);
          const missing =
            /is not supported by pgtroupe yet/.exec(output) === null
              ? undefined
              : /.*is not supported by pgtroupe yet.*/.exec(output)![0];
          report.push(
            equal
              ? `equal       ${name}`
              : missing !== undefined
                ? `unsupported ${name}: ${missing}`
                : `different   ${name}`,
          );
          const results = process.env['PG_ISOLATION_RESULTS'];
          if (!equal && results !== undefined) writeFileSync(join(results, `${name}.${way}.out`), output);
          if (EQUAL.includes(name)) expect(output).toBe(expectedOf(name)[0]);
        },
        SPEC_LIMIT_MS,
      );
    });
  },
);
