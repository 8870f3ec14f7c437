/**
 * What an isolation spec's output says of us, compared with its expected files permutation by permutation: a
 * permutation in which nothing was refused as unsupported must be as PostgreSQL's.
 */

export type Verdict =
  | { readonly kind: 'equal' }
  /** What is missing, in the server's words. Permutations that do not need it are equal. */
  | { readonly kind: 'unsupported'; readonly what: string }
  | { readonly kind: 'wrong'; readonly what: string };

const UNSUPPORTED = /[^\s:][^\n:]*is not supported by pgtroupe[^\n]*/;

const permutationsOf = (output: string): string[] => output.split(/\n(?=starting permutation: )/).slice(1);

/** `expected`: the files that are right, one for each way it may go. `failure`: why there is no more output, in the last
 *  permutation: a setup that failed, or steps that wait for each other for ever, which may be a refusal's fault. */
export function judge(output: string, expected: readonly string[], failure?: Error): Verdict {
  if (failure === undefined && expected.includes(output)) return { kind: 'equal' };
  const right = expected.map(permutationsOf);
  const ours = permutationsOf(output);
  const missing = new Set<string>();
  for (const [n, permutation] of ours.entries()) {
    const broken = n === ours.length - 1 ? failure : undefined;
    if (broken === undefined && right.some(file => file[n] === permutation)) continue;
    const refusal = UNSUPPORTED.exec(`${permutation}\n${broken?.message ?? ''}`)?.[0];
    if (refusal === undefined)
      return {
        kind: 'wrong',
        what: `${broken === undefined ? '' : `${broken.message}: `}${permutation.split('\n')[0]!}`,
      };
    missing.add(refusal);
  }
  if (missing.size === 0)
    return { kind: 'wrong', what: failure?.message ?? 'each permutation is right in another file' };
  return { kind: 'unsupported', what: [...missing].join('; ') };
}
