/**
 * `npm start`: installs and builds what is missing, then `pgtroupe start` with a data directory
 * `./pgdata` that is created the first time. Everything behind `--` goes to `pgtroupe start`.
 */
import { checkNode, install } from './install.mjs';

checkNode();
install();
const { build } = await import('./build.mjs');
build();
const options = process.argv.slice(2);
process.argv.splice(2, options.length, 'start', '--initdb', ...options);
await import('../bin/pgtroupe.js');
