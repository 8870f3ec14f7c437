/**
 * PostgreSQL's generator (pg_prng.c): xoroshiro128**, seeded by splitmix64. After the same setseed() random() gives the
 * same numbers.
 */
const WORD = (1n << 64n) - 1n;
const FRACTION_BITS = 52;

/** `seed` in [-1, 1]. */
export function postgresRandom(seed: number): { uniform(): number } {
  let split = BigInt.asUintN(64, BigInt(Math.trunc((2 ** FRACTION_BITS - 1) * seed)));
  const splitmix = (): bigint => {
    split = (split + 0x9e3779b97f4a7c15n) & WORD;
    let value = split;
    value = ((value ^ (value >> 30n)) * 0xbf58476d1ce4e5b9n) & WORD;
    value = ((value ^ (value >> 27n)) * 0x94d049bb133111ebn) & WORD;
    return value ^ (value >> 31n);
  };
  let s0 = splitmix();
  let s1 = splitmix();
  return {
    uniform() {
      const value = (rotate((s0 * 5n) & WORD, 7n) * 9n) & WORD;
      const mixed = s1 ^ s0;
      s0 = rotate(s0, 24n) ^ mixed ^ ((mixed << 16n) & WORD);
      s1 = rotate(mixed, 37n);
      return Number(value >> BigInt(64 - FRACTION_BITS)) * 2 ** -FRACTION_BITS;
    },
  };
}

function rotate(word: bigint, bits: bigint): bigint {
  return ((word << bits) & WORD) | (word >> (64n - bits));
}
