import { defineConfig } from 'vitest/config';
import { fileURLToPath } from 'node:url';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const root = fileURLToPath(new URL('.', import.meta.url));

/** One for each core; vitest leaves one idle. */
const WORKERS = availableParallelism();

/** Whole clusters in which times are promised, or everything is killed: one at a time, with nothing beside them. */
const TIMED = [
  'test/{blast,recovery,soak,stalls,supervision}/**/*.test.ts',
  'test/clients/{activity,hostile,logging,node-postgres,signals,timeouts}.test.ts',
  'test/cluster/{archiver,autovacuum,bgworker,cast,release,spill,stats-collector}.test.ts',
];

/** Unit tests run straight from the sources: `@pgtroupe/x/y` is packages/x/src/y.ts or the service's. */
export default defineConfig({
  plugins: [
    {
      name: 'pgtroupe-sources',
      enforce: 'pre',
      resolveId(source: string) {
        const match = /^@pgtroupe\/([\w-]+)\/(.+)$/.exec(source);
        if (!match) return undefined;
        for (const folder of ['packages', 'services']) {
          const file = `${root}${folder}/${match[1]}/src/${match[2]}.ts`;
          if (existsSync(file)) return file;
        }
        return undefined;
      },
    },
  ],
  test: {
    exclude: ['**/dist/**', '**/node_modules/**'],
    testTimeout: 20_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          maxWorkers: WORKERS,
          include: [
            'packages/**/*.test.ts',
            'services/**/*.test.ts',
            'test/tidy/**/*.test.ts',
            'test/sim/**/*.test.ts',
          ],
        },
      },
      {
        // Whole clusters whose answers count, not their times: as many at a time as there are cores.
        extends: true,
        test: {
          name: 'answers',
          include: ['test/**/*.test.ts'],
          exclude: ['**/dist/**', '**/node_modules/**', 'test/tidy/**', 'test/sim/**', ...TIMED],
          maxWorkers: WORKERS,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'cluster',
          include: TIMED,
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
