/**
 * Building the tree of a regular expression: atoms side by side and repeated, and what is left of a part where its parentheses
 * or its place do not matter.
 */
import { combined, PLAIN, type Preference, type RegexNode, type Traits } from './regguts.ts';

export const EMPTY: RegexNode = { ...PLAIN, type: 'empty' };

export function concat(left: RegexNode, right: RegexNode): RegexNode {
  if (left.type === 'empty') return right;
  return { ...combined(left, right), type: 'concat', left, right };
}

/** What follows an atom. `prefer` is undefined where it leaves the atom its own. */
export interface Quantifier {
  readonly min: number;
  readonly max: number;
  readonly prefer: Preference;
}

export const ONCE: Quantifier = { min: 1, max: 1, prefer: undefined };

export const traitsOf = ({ prefer, mixed, captures, backrefs }: Traits): Traits => ({
  prefer,
  mixed,
  captures,
  backrefs,
});

/** A quantified atom. */
export function times(atom: RegexNode, { min, max, prefer }: Quantifier): RegexNode {
  const traits = combined({ ...PLAIN, prefer }, atom);
  if (atom.type === 'backref') return { ...atom, ...traits, min, max };
  // {1,1} changes nothing but which match is preferred.
  if (min === 1 && max === 1 && (prefer === undefined || atom.prefer === undefined || prefer === atom.prefer))
    return atom;
  if (!atom.captures && !atom.backrefs) return { ...traits, type: 'repeat', body: atom, min, max };
  // Rounds on which references depend, and those of x{0,n}, are divided one by one.
  if (min === 0 || atom.backrefs) return { ...traits, type: 'repeat', body: atom, min, max };
  // Only the last round's parentheses count: x{m,n} is x{m-1,n-1}x, the first part capturing nothing.
  const before: RegexNode = {
    ...PLAIN,
    prefer: traits.prefer,
    type: 'repeat',
    body: withoutCaptures(atom),
    min: min - 1,
    max: max - 1,
  };
  return { ...traits, type: 'concat', left: before, right: atom };
}

/** The same to the automaton, with nothing to divide. */
function withoutCaptures(node: RegexNode): RegexNode {
  switch (node.type) {
    case 'group':
      return withoutCaptures(node.body);
    case 'concat':
      return { ...node, left: withoutCaptures(node.left), right: withoutCaptures(node.right), captures: false };
    case 'alternate':
      return { ...node, branches: node.branches.map(withoutCaptures), captures: false };
    case 'repeat':
      return { ...node, body: withoutCaptures(node.body), captures: false };
    default:
      return node;
  }
}

/** All that a parenthesis can have matched, wherever it stands: what repeats it need not stand where the parenthesis must. */
export function unconstrained(node: RegexNode): RegexNode {
  switch (node.type) {
    case 'assert':
    case 'look':
      return EMPTY;
    case 'group':
      return unconstrained(node.body);
    case 'concat':
      return { ...node, left: unconstrained(node.left), right: unconstrained(node.right), captures: false };
    case 'alternate':
      return { ...node, branches: node.branches.map(unconstrained), captures: false };
    case 'repeat':
    case 'backref':
      return { ...node, body: unconstrained(node.body), captures: false };
    default:
      return node;
  }
}
