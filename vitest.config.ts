import { defineConfig } from 'vitest/config';
import { fileURLToPath } from 'node:url';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const root = fileURLToPath(new URL('.', import.meta.url));

/** One for each core; vitest leaves one idle. */
const WORKERS = availableParallelism();

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
          include: ['test/differential/**/*.test.ts', 'test/fuzz/**/*.test.ts', 'test/isolation/**/*.test.ts'],
          maxWorkers: WORKERS,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // Whole clusters of real processes, with times that are promised: one at a time, after the rest.
        extends: true,
        test: {
          name: 'cluster',
          include: ['test/**/*.test.ts'],
          exclude: [
            '**/dist/**',
            '**/node_modules/**',
            'test/tidy/**',
            'test/sim/**',
            'test/differential/**',
            'test/fuzz/**',
            'test/isolation/**',
          ],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
