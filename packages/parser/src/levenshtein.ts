/**
 * Edit distance with all costs 1, over characters. Distances above the bound are reported as bound + 1:
 * the callers only ask for close matches.
 */
export function levenshteinLessEqual(source: string, target: string, max: number): number {
  const a = Array.from(source);
  const b = Array.from(target);
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[j] as number) + 1, (current[j - 1] as number) + 1));
    }
    previous = current;
  }
  return Math.min(previous[b.length] as number, max + 1);
}
