/**
 * SQL as a tree that can be made smaller: what is generated remembers where it may be cut.
 *
 *   node('int', 'abs(', x, ')')      text with nodes in it; of a type when it is an expression
 *   list([a, b], ', ', 1)            members may be dropped down to `min`
 *   optional('WHERE ', q)            may be left out altogether
 */

/** Seeded chance (mulberry32): the same seed gives the same statements. */
export function seeded(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (low, high) => low + Math.floor(next() * (high - low + 1));
  return {
    next,
    int,
    chance: p => next() < p,
    pick: items => items[int(0, items.length - 1)],
    /** [weight, value] pairs. */
    weighted: pairs => {
      let at = next() * pairs.reduce((sum, [w]) => sum + w, 0);
      for (const [w, value] of pairs) if ((at -= w) < 0) return value;
      return pairs[pairs.length - 1][1];
    },
  };
}

export function node(type, ...parts) {
  return { kind: 'node', type, parts };
}

export function list(items, separator, min = 0) {
  return { kind: 'list', items, separator, min };
}

export function optional(...parts) {
  return { kind: 'optional', parts };
}

export function print(part) {
  if (typeof part === 'string') return part;
  if (part.kind === 'list') {
    const items = part.items.map(print).filter(s => s !== '');
    return items.join(part.separator);
  }
  return part.parts.map(print).join('');
}

/** The simplest expressions of a type. */
const SIMPLE = {
  int: ['1', 'NULL::int'],
  bigint: ['1::bigint'],
  numeric: ['1.5'],
  float: ['1.5::float8'],
  text: ["'a'", 'NULL::text'],
  bool: ['true', 'false', 'NULL::bool'],
  date: ["date '2020-01-01'"],
  timestamp: ["timestamp '2020-01-01'"],
  interval: ["interval '1 day'"],
  ints: ["'{1}'::int[]"],
  texts: ["'{a}'::text[]"],
  jsonb: [`'{"a":1}'::jsonb`],
};

function children(part) {
  if (typeof part === 'string') return [];
  return part.kind === 'list' ? part.items : part.parts;
}

function withChildren(part, changed) {
  return part.kind === 'list' ? { ...part, items: changed } : { ...part, parts: changed };
}

function* descendants(part) {
  for (const child of children(part)) {
    if (typeof child === 'string') continue;
    yield child;
    yield* descendants(child);
  }
}

/** Smaller trees, the boldest cuts first. */
export function* smaller(tree) {
  const text = print(tree);
  if (tree.kind === 'optional' && text !== '') yield { ...tree, parts: [] };
  if (tree.kind === 'list' && tree.items.length > tree.min) {
    if (tree.items.length > 3 && tree.min <= 1) {
      const half = tree.items.length >> 1;
      yield { ...tree, items: tree.items.slice(0, half) };
      yield { ...tree, items: tree.items.slice(half) };
    }
    for (let i = 0; i < tree.items.length; i++) yield { ...tree, items: tree.items.filter((_, n) => n !== i) };
  }
  if (tree.kind === 'node' && tree.type !== undefined) {
    for (const simple of SIMPLE[tree.type] ?? []) if (text.length > simple.length) yield node(tree.type, simple);
    for (const inner of descendants(tree)) if (inner.kind === 'node' && inner.type === tree.type) yield inner;
  }
  const own = children(tree);
  for (let i = 0; i < own.length; i++) {
    if (typeof own[i] === 'string') continue;
    for (const cut of smaller(own[i]))
      yield withChildren(
        tree,
        own.map((c, n) => (n === i ? cut : c)),
      );
  }
}
