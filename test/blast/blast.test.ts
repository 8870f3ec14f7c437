/** The death of a process concerns only its own: `npm run blast` in small, and that it finds who does otherwise. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { hasPostgres } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt } from '@pgtroupe/testkit/test-cluster';

const SCRIPT = fileURLToPath(new URL('blast.mjs', import.meta.url));

function blast(...args: string[]): { readonly status: number | null; readonly output: string } {
  const run = spawnSync(process.execPath, [SCRIPT, '--pauses', '0', '--idle', '12', '--busy', '6', ...args], {
    encoding: 'utf8',
  });
  return { status: run.status, output: run.stdout + run.stderr };
}

describe.skipIf(!isBuilt)('blast', () => {
  it('costs no session of others, whichever process is killed', () => {
    const { status, output } = blast('--kills', '2', '--instances', '3', '--servers', 'pgtroupe');
    expect(output).toContain('the death of each concerned only its own');
    expect(status).toBe(0);
    const roles = [
      'walwriter',
      'buffer-manager',
      'backend',
      'broker',
      'logger',
      'checkpointer',
      'bgwriter',
      'stats-collector',
      'postmaster',
    ];
    for (const role of roles) expect(output).toMatch(new RegExp(`pgtroupe +${role} +kill +2 `));
  }, 240_000);

  it.skipIf(!hasPostgres)(
    'finds that PostgreSQL drops them all',
    () => {
      const { status, output } = blast(
        '--kills',
        '1',
        '--roles',
        'bgwriter',
        '--servers',
        'PostgreSQL',
        '--judged',
        'PostgreSQL',
      );
      expect(output).toMatch(/PostgreSQL +bgwriter +kill +1 +\d+ +\d+ +12 +6 /);
      expect(status).toBe(1);
    },
    120_000,
  );
});
