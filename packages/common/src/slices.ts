/**
 * Work that is done bit by bit: whoever has it done looks at a clock between two bits, and lets others run when it is time.
 */
export type Slices<Result> = Generator<void, Result>;

/** All of it now. */
export function finish<Result>(work: Slices<Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Sorted by the engine, which nothing interrupts. */
const RUN = 1024;
const MERGED_A_SLICE = 4096;

/** Sorts in place, stably. When `compare` throws the elements are in some order, and all there. */
export function* sortInSlices<T>(list: T[], compare: (a: T, b: T) => number): Slices<void> {
  if (list.length <= RUN) {
    list.sort(compare);
    return;
  }
  for (let from = 0; from < list.length; from += RUN) {
    const run = list.slice(from, from + RUN).sort(compare);
    for (let i = 0; i < run.length; i++) list[from + i] = run[i]!;
    yield;
  }
  let source = list;
  let target = new Array<T>(list.length);
  try {
    for (let width = RUN; width < list.length; width *= 2) {
      for (let from = 0; from < list.length; from += 2 * width) yield* merge(source, target, from, width, compare);
      [source, target] = [target, source];
    }
  } finally {
    if (source !== list) for (let i = 0; i < list.length; i++) list[i] = source[i]!;
  }
}

/** Two neighbouring runs of up to `width` become one. */
function* merge<T>(
  source: readonly T[],
  target: T[],
  from: number,
  width: number,
  compare: (a: T, b: T) => number,
): Slices<void> {
  const middle = Math.min(from + width, source.length);
  const end = Math.min(middle + width, source.length);
  let a = from;
  let b = middle;
  for (let to = from; to < end; to++) {
    target[to] = a < middle && (b >= end || compare(source[a]!, source[b]!) <= 0) ? source[a++]! : source[b++]!;
    if (to % MERGED_A_SLICE === 0) yield;
  }
}
