#!/usr/bin/env node
/** The command line; everything is in packages/tools/src/cli. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../packages/tools/dist/cli/main.js', import.meta.url);
if (!existsSync(fileURLToPath(main))) {
  console.error('pgtroupe: not built yet; run "npm run build" (or "npm start") in the project folder first');
  process.exit(1);
}
await import(main.href);
