import { defineConfig } from 'vitest/config';
import { fileURLToPath } from 'node:url';
import { existsSync } from 'node:fs';

const root = fileURLToPath(new URL('.', import.meta.url));

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
    include: ['packages/**/*.test.ts', 'services/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/dist/**', '**/node_modules/**'],
    testTimeout: 20_000,
  },
});
