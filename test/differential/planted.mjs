/**
 * Each bug of plants.mjs is planted into one server after the other, and recorded answers are compared until it is found.
 *
 *   node test/differential/planted.mjs [GOLDEN]
 *
 * Prints a line for each; exits 1 if one stays unseen.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPgtroupe } from '../bench/servers.mjs';
import { BLOCK, Comparison, modeOf } from './comparison.mjs';
import { readGolden } from './golden.mjs';
import { PLANTS } from './plants.mjs';
import { statement } from './statements.mjs';

const MOST = 300;
const recorded = readGolden(process.argv[2] ?? fileURLToPath(new URL('golden.txt', import.meta.url)), 1, 0, MOST);
const folder = mkdtempSync(join(tmpdir(), 'pgtroupe-planted-'));
const file = join(folder, 'plant');
writeFileSync(file, '');
process.env.DIFFERENTIAL_PLANT_FILE = file;
process.env.PGTROUPE_NODE_OPTIONS = `--import=${fileURLToPath(new URL('plants.mjs', import.meta.url))}`;
const server = await startPgtroupe();
try {
  for (const [number, plant] of PLANTS.entries()) {
    const comparison = await Comparison.open({ target: `127.0.0.1:${server.port}` }, number);
    writeFileSync(file, plant);
    // Until every role has looked.
    await new Promise(resolve => setTimeout(resolve, 200));
    const found = await search(comparison);
    console.log(`${plant}: ${found ?? `not found by ${MOST} statements`}`);
    if (found === undefined) process.exitCode = 1;
    writeFileSync(file, '');
    await new Promise(resolve => setTimeout(resolve, 200));
    await comparison.close();
  }
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function search(comparison) {
  for (let n = 0; n < MOST; n++) {
    if (n % BLOCK === 0) await comparison.use(modeOf(n));
    const { fault } = await comparison.compare(statement(1, n), modeOf(n), recorded[n]);
    if (fault !== undefined) return `found by statement ${n}: ${fault}`;
  }
  return undefined;
}
