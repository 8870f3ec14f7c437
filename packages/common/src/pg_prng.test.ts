import { expect, it } from 'vitest';
import { postgresRandom } from './pg_prng.ts';

/** `SELECT setseed(…)`, then random() three times, of PostgreSQL 15. */
it.each<[number, number[]]>([
  [0.5, [0.9851677175347999, 0.825301858027981, 0.12974610012450416]],
  [0, [0.8702553105818676, 0.426569726107606, 0.6684808914837377]],
  [-1, [0.725656831544149, 0.21342431605981593, 0.08668744483804192]],
  [1, [0.3978842227698167, 0.7438732417540841, 0.3875091442400458]],
  [0.123, [0.5484870155732398, 0.4182108328500862, 0.031520520332802615]],
  [-0.7, [0.23520594261148386, 0.7526006542758814, 0.29566403676059205]],
])('setseed(%f) makes the numbers PostgreSQL makes', (seed, numbers) => {
  const random = postgresRandom(seed);
  expect(numbers.map(() => random.uniform())).toEqual(numbers);
});
