/**
 * Simulated clusters by seed, over all cores: 200 in CI, some anywhere else; SIM_SEEDS says how many. What a seed did
 * that failed: `npm run sim -- --seeds <seed> --trace /tmp/%.txt --verbose`.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const SEEDS = Number(process.env['SIM_SEEDS'] ?? (process.env['CI'] === undefined ? 20 : 200));
const PROGRAM = fileURLToPath(new URL('../../packages/testkit/dist/sim/seeds.js', import.meta.url));

it(`${SEEDS} seeds of the mix lose nothing and leave nothing behind`, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, '--seeds', `1-${SEEDS}`], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const told = stdout.split('\n').filter(line => !/^seed \d+: ok/.test(line));
  expect(status, `${told.join('\n')}\n${stderr}`).toBe(0);
  expect(stdout).toContain(`${SEEDS} seeds, 0 failed`);
}, 1_200_000);
