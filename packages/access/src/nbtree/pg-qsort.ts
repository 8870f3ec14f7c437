/**
 * PostgreSQL's quicksort (Bentley and McIlroy's, after a look whether all is in order already). It is
 * not stable, and which of several equally good split points comes first decides the page's split: with
 * this sort, indexes grow exactly as PostgreSQL's do.
 */
export function pgQsort<T>(items: T[], compare: (a: T, b: T) => number, start = 0, count = items.length): void {
  let a = start;
  let n = count;
  const at = (x: number, y: number): number => compare(items[x]!, items[y]!);
  const swap = (x: number, y: number): void => {
    const item = items[x]!;
    items[x] = items[y]!;
    items[y] = item;
  };
  const swapRange = (x: number, y: number, length: number): void => {
    for (let i = 0; i < length; i++) swap(x + i, y + i);
  };
  const median = (x: number, y: number, z: number): number =>
    at(x, y) < 0 ? (at(y, z) < 0 ? y : at(x, z) < 0 ? z : x) : at(y, z) > 0 ? y : at(x, z) < 0 ? x : z;

  for (;;) {
    if (n < 7) {
      for (let i = a + 1; i < a + n; i++) for (let j = i; j > a && at(j - 1, j) > 0; j--) swap(j, j - 1);
      return;
    }
    let sorted = true;
    for (let i = a + 1; i < a + n && sorted; i++) sorted = at(i - 1, i) <= 0;
    if (sorted) return;

    let middle = a + (n >>> 1);
    if (n > 7) {
      let low = a;
      let high = a + n - 1;
      if (n > 40) {
        const step = n >>> 3;
        low = median(low, low + step, low + 2 * step);
        middle = median(middle - step, middle, middle + step);
        high = median(high - 2 * step, high - step, high);
      }
      middle = median(low, middle, high);
    }
    swap(a, middle);

    // Equal to the pivot | below | ... | above | equal to the pivot
    let equalLeft = a + 1;
    let left = a + 1;
    let right = a + n - 1;
    let equalRight = right;
    for (;;) {
      for (let order; left <= right && (order = at(left, a)) <= 0; left++) if (order === 0) swap(equalLeft++, left);
      for (let order; left <= right && (order = at(right, a)) >= 0; right--) if (order === 0) swap(right, equalRight--);
      if (left > right) break;
      swap(left++, right--);
    }
    const end = a + n;
    const below = left - equalLeft;
    const above = equalRight - right;
    const moveLeft = Math.min(equalLeft - a, below);
    swapRange(a, left - moveLeft, moveLeft);
    const moveRight = Math.min(above, end - equalRight - 1);
    swapRange(left, end - moveRight, moveRight);
    // The shorter side first.
    if (below <= above) {
      if (below > 1) pgQsort(items, compare, a, below);
      if (above <= 1) return;
      a = end - above;
      n = above;
    } else {
      if (above > 1) pgQsort(items, compare, end - above, above);
      if (below <= 1) return;
      n = below;
    }
  }
}
