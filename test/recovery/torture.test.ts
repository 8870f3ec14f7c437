/**
 * The torture of `npm run torture`, two cycles a role: every role killed with -9 under the ledger's load,
 * then all at once, with the sessions in one instance and spread over four.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const TORTURE = fileURLToPath(new URL('torture.mjs', import.meta.url));

it.each([1, 4])('loses nothing that was acknowledged, sessions in %i instance(s)', { timeout: 240_000 }, instances => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [TORTURE, '--cycles', '2', '--clients', '16', '--instances', String(instances)],
    { encoding: 'utf8', timeout: 230_000 },
  );
  console.log(stdout);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout.match(/nothing lost/g)).toHaveLength(8);
  // Several instances change the same pages.
  if (instances > 1) expect(stdout).toMatch(/page transfers: [1-9]\d+ to instances/);
});
