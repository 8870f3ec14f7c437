/**
 * The smallest statement that still differs in the same way: cuts are tried until none is left that keeps the difference.
 */
import { print, smaller } from './tree.mjs';

/** `ask` answers the kind of difference of a tree, undefined for none. */
export async function reduce(made, kind, ask, tries = 400, milliseconds = 20_000) {
  let tree = made.tree;
  let left = tries;
  const deadline = performance.now() + milliseconds;
  for (let again = true; again && left > 0; ) {
    again = false;
    const length = print(tree).length;
    for (const cut of smaller(tree)) {
      if (print(cut).length >= length) continue;
      if (left-- <= 0 || performance.now() > deadline) return tree;
      const now = await ask(cut);
      if (now !== kind) continue;
      tree = cut;
      again = true;
      break;
    }
  }
  return tree;
}
