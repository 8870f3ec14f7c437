import { describe, expect, it } from 'vitest';
import { DEFAULT_RESTART_S, NEVER_RESTART, parseWorkers } from './background-worker.ts';

const parse = (text: string) =>
  parseWorkers(text, { database: undefined, role: undefined, restartSeconds: DEFAULT_RESTART_S });

describe('background workers as users write them', () => {
  it('a path is enough; the rest has defaults', () => {
    expect(parse('/srv/jobs/nightly.js')).toEqual([
      {
        module: '/srv/jobs/nightly.js',
        name: 'nightly',
        type: 'nightly',
        startTime: 'recovery_finished',
        restartSeconds: 60,
        database: undefined,
        role: undefined,
        argument: '',
        id: '',
      },
    ]);
    expect(parse('  ')).toEqual([]);
  });

  it('a list, quotes, units', () => {
    const found = parse(
      `"/a b/c,d.mjs" name="my ""own"" worker" restart=5min , $libdir/x database=app role=me start=consistent restart=never argument="1, 2"`,
    );
    expect(found).toMatchObject([
      { module: '/a b/c,d.mjs', name: 'my "own" worker', type: 'my "own" worker', restartSeconds: 300 },
      { module: '$libdir/x', database: 'app', role: 'me', restartSeconds: NEVER_RESTART, argument: '1, 2' },
    ]);
    expect(parse('/x.js name=é'.replace('é', 'é'.repeat(60)))[0]!.name).toBe('é'.repeat(47));
  });

  it('what makes no sense is refused', () => {
    for (const text of [
      'a,,b',
      'a,',
      'name=x',
      'a "b',
      'a b',
      'a "b"c',
      'a restart=2d',
      'a restart=soon',
      'a start=never',
      'a nope=1',
      'a role=x role=y',
    ])
      expect(() => parse(text), text).toThrow();
    expect(() => parse('a start=postmaster_start database=x')).toThrow(
      'background worker "a": cannot request database access if starting at postmaster start',
    );
  });
});
