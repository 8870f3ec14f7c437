/**
 * The torture of `npm run torture`, one cycle for each of the roles that hold what can be lost, all at once, and a full
 * disk, with sessions spread over four instances; then bugs are planted, which it must find. All roles, more often, and
 * other seeds: by hand.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROLES = 'walwriter,buffer-manager,backend,postmaster,all,disk';
const TORTURE = fileURLToPath(new URL('torture.mjs', import.meta.url));

function torture(...options: string[]): { status: number | null; stdout: string; stderr: string } {
  const run = spawnSync(process.execPath, [TORTURE, ...options], {
    encoding: 'utf8',
    timeout: 230_000,
  });
  console.log(run.stdout);
  return run;
}

it('loses and leaks nothing', { timeout: 240_000 }, () => {
  const { status, stdout, stderr } = torture('--cycles', '1', '--clients', '8', '--instances', '4', '--roles', ROLES);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const roles = stdout.includes('skipped: a full disk') ? 5 : 6;
  expect(stdout.match(/nothing lost\n/g)).toHaveLength(roles);
  expect(stdout).toMatch(/\nnothing lost, nothing leaked\n$/);
  // Several instances change the same pages; everything that the load consists of took place.
  expect(stdout).toMatch(/page transfers: [1-9]\d+ to instances/);
  expect(stdout).toMatch(/definitions: [1-9]\d* transactions/);
  expect(stdout).toMatch(/clients vanished: [1-9]/);
});

it.each([
  ['commit-forgotten', 'buffer-manager', / LOST\n/],
  ['dead-hold-on', 'backend', /leaked: buffer-manager: \d+ relation tokens of the dead/],
])('finds a planted bug: %s', { timeout: 240_000 }, (plant, role, finding) => {
  const few = [
    '--cycles',
    '2',
    '--clients',
    '8',
    '--ddl',
    '0',
    '--vanishing',
    '0',
    '--full-disk',
    'none',
    '--patience',
    '5',
  ];
  const { status, stdout } = torture(...few, '--roles', role, '--plant', plant);
  expect(status).toBe(1);
  expect(stdout).toMatch(finding);
  expect(stdout).toMatch(/FAILED; again with --seed 1\n$/);
});
