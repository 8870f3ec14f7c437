/**
 * Reproducible chance: sfc32 seeded through splitmix32. Small, fast, good enough for schedules and
 * for SQL's random(); not for secrets.
 */
export interface Prng {
  /** Uniform in [0, 1). */
  uniform(): number;
  bytes(n: number): Uint8Array;
}

export function seededRandom(seed: number): Prng {
  let mix = seed | 0;
  const split = (): number => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix ^ (mix >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return (z ^ (z >>> 15)) | 0;
  };
  let [a, b, c, d] = [split(), split(), split(), split()];
  const next = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  return {
    uniform: () => next() / 0x100000000,
    bytes: n => Uint8Array.from({ length: n }, () => next() & 255),
  };
}
