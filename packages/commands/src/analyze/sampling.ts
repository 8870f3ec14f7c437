/**
 * Choosing at random (utils/misc/sampling.c): blocks of a table by Knuth's algorithm S (3.4.2), rows of those blocks into a
 * reservoir by Vitter's algorithms X and Z (ACM Trans. Math. Softw. 11, 1, 1985).
 *
 * `random` answers uniformly in [0, 1).
 */
type Random = () => number;

/** In (0, 1): its logarithm is taken. */
function fraction(random: Random): number {
  for (;;) {
    const r = random();
    if (r !== 0) return r;
  }
}

/** `sampleSize` of `blocks` block numbers, in order; all of them if there are no more. */
export class BlockSampler {
  readonly #blocks: number;
  readonly #sampleSize: number;
  readonly #random: Random;
  #next = 0;
  /** How many were answered. */
  selected = 0;

  constructor(blocks: number, sampleSize: number, random: Random) {
    this.#blocks = blocks;
    this.#sampleSize = sampleSize;
    this.#random = random;
  }

  get hasMore(): boolean {
    return this.#next < this.#blocks && this.selected < this.#sampleSize;
  }

  next(): number {
    let left = this.#blocks - this.#next;
    const wanted = this.#sampleSize - this.selected;
    this.selected++;
    if (wanted >= left) return this.#next++;
    // One number decides about a whole run of blocks: below p this one is skipped, and within that it is uniform again.
    const chosen = fraction(this.#random);
    let skip = 1 - wanted / left;
    while (chosen < skip) {
      this.#next++;
      left--;
      skip *= 1 - wanted / left;
    }
    return this.#next++;
  }
}

/** From Vitter's paper: up to so many times the reservoir algorithm X is the faster one. */
const SWITCH_TO_Z = 22;

/** A uniform sample of `size` out of a stream of unknown length. */
export class Reservoir {
  readonly #size: number;
  readonly #random: Random;
  #w: number;

  constructor(size: number, random: Random) {
    this.#size = size;
    this.#random = random;
    this.#w = this.#drawW();
  }

  #drawW(): number {
    return Math.exp(-Math.log(fraction(this.#random)) / this.#size);
  }

  /** Which one the next pick replaces. */
  slot(): number {
    return Math.floor(this.#size * fraction(this.#random));
  }

  /** How many to pass over before the next pick, when `seen` (no fewer than the reservoir holds) have gone by. */
  skip(seen: number): number {
    return seen <= SWITCH_TO_Z * this.#size ? this.#skipX(seen) : this.#skipZ(seen);
  }

  #skipX(seen: number): number {
    const n = this.#size;
    const v = fraction(this.#random);
    let skipped = 0;
    let t = seen + 1;
    let quotient = (t - n) / t;
    while (quotient > v) {
      skipped++;
      t++;
      quotient *= (t - n) / t;
    }
    return skipped;
  }

  #skipZ(t: number): number {
    const n = this.#size;
    const term = t - n + 1;
    for (;;) {
      const u = fraction(this.#random);
      const x = t * (this.#w - 1);
      const s = Math.floor(x);
      // Is U at most h(S) / cg(X)? (6.3)
      const lhs = Math.exp(Math.log((u * ((t + 1) / term) ** 2 * (term + s)) / (t + x)) / n);
      const rhs = (((t + x) / (term + s)) * term) / t;
      if (lhs <= rhs) {
        this.#w = rhs / lhs;
        return s;
      }
      // Is it at most f(S) / cg(X)?
      let y = (((u * (t + 1)) / term) * (t + s + 1)) / (t + x);
      let denominator = n < s ? t : t - n + s;
      const last = n < s ? term + s : t + 1;
      for (let numerator = t + s; numerator >= last; numerator--) y *= numerator / denominator--;
      this.#w = this.#drawW();
      if (Math.exp(Math.log(y) / n) <= (t + x) / t) return s;
    }
  }
}
