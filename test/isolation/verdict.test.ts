import { expect, it } from 'vitest';
import { judge } from './verdict.ts';

const head = 'Parsed test spec with 2 sessions\n';
const first = '\nstarting permutation: a b\nstep a: SELECT 1;\n';
const second = '\nstarting permutation: b a\nstep b: LISTEN x;\n';
const refused = `${second}ERROR:  LISTEN is not supported by pgtroupe yet\n`;

it('equal to one of the expected files', () => {
  expect(judge(head + first + second, ['other', head + first + second])).toEqual({ kind: 'equal' });
});

it('a permutation that was refused something is unsupported, and says what', () => {
  const verdict = judge(head + first + refused, [head + first + second]);
  expect(verdict).toEqual({ kind: 'unsupported', what: 'LISTEN is not supported by pgtroupe yet' });
});

it('a permutation that differs without a refusal is wrong, whatever others were refused', () => {
  const verdict = judge(head + first.replace('1', '2') + refused, [head + first + second]);
  expect(verdict).toEqual({ kind: 'wrong', what: 'starting permutation: a b' });
});

it('no more output: a refusal before it, or in the failure itself, excuses it; nothing else does', () => {
  const stuck = new Error('step a waits for ever');
  expect(judge(head + first + refused, [head + first + second], stuck).kind).toBe('unsupported');
  expect(judge(head + refused + first, [head + second + first], stuck)).toEqual({
    kind: 'wrong',
    what: 'step a waits for ever: starting permutation: a b',
  });
  const setup = new Error('setup failed: triggers is not supported by pgtroupe yet');
  expect(judge(`${head}\nstarting permutation: a b\n`, [head + first], setup)).toEqual({
    kind: 'unsupported',
    what: 'triggers is not supported by pgtroupe yet',
  });
});
