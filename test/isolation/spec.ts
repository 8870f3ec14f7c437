/**
 * PostgreSQL's isolation specs (src/test/isolation/README): which sessions there are, what their steps say, and in
 * which orders the steps are run.
 */

/** What keeps a step from being reported as completed: that it was only just launched, another step, notices of it. */
export type Blocker =
  | { readonly kind: 'once' }
  | { readonly kind: 'step'; readonly step: string }
  | { readonly kind: 'notices'; readonly step: string; readonly count: number };

export interface PermutationStep {
  readonly name: string;
  readonly blockers: readonly Blocker[];
}

export interface Session {
  readonly name: string;
  readonly setup: string | undefined;
  readonly teardown: string | undefined;
  readonly steps: ReadonlyMap<string, string>;
}

export interface Spec {
  readonly setups: readonly string[];
  readonly teardown: string | undefined;
  readonly sessions: readonly Session[];
  readonly permutations: readonly (readonly PermutationStep[])[];
}

type Token =
  | { readonly kind: 'word' | 'quoted' | 'sql'; readonly text: string }
  | { readonly kind: 'sign'; readonly text: string };

function tokens(text: string): Token[] {
  const found: Token[] = [];
  const pattern = /\s+|#[^\n]*|"([^"\n]*)"|\{([^}]*)\}|([A-Za-z_0-9][\w$]*)|([(),*])/gy;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) throw new Error(`spec: unexpected ${JSON.stringify(text.slice(at, at + 20))}`);
    const [, quoted, sql, word, sign] = match;
    if (quoted !== undefined) found.push({ kind: 'quoted', text: quoted });
    // Blanks around the statements are not shown, line breaks are.
    else if (sql !== undefined) found.push({ kind: 'sql', text: sql.replace(/^[ \t\r\f]+|[ \t\r\f]+$/g, '') });
    else if (word !== undefined) found.push({ kind: 'word', text: word });
    else if (sign !== undefined) found.push({ kind: 'sign', text: sign });
  }
  return found;
}

export function parseSpec(text: string): Spec {
  const list = tokens(text);
  let at = 0;
  const is = (word: string): boolean => list[at]?.kind === 'word' && list[at]!.text === word;
  const take = (word: string): boolean => is(word) && ++at > 0;
  const sign = (text_: string): boolean => list[at]?.kind === 'sign' && list[at]!.text === text_ && ++at > 0;
  const next = (kinds: readonly Token['kind'][]): string => {
    const token = list[at++];
    if (token === undefined || !kinds.includes(token.kind)) throw new Error(`spec: ${kinds.join(' or ')} expected`);
    return token.text;
  };
  const sql = (): string => next(['sql']);
  const name = (): string => next(['word', 'quoted']);

  const setups: string[] = [];
  while (take('setup')) setups.push(sql());
  const teardown = take('teardown') ? sql() : undefined;
  const sessions: Session[] = [];
  while (take('session')) {
    const session = name();
    const setup = take('setup') ? sql() : undefined;
    const steps = new Map<string, string>();
    while (take('step')) {
      const step = name();
      steps.set(step, sql());
    }
    sessions.push({ name: session, setup, steps, teardown: take('teardown') ? sql() : undefined });
  }
  const permutations: PermutationStep[][] = [];
  const blocker = (): Blocker => {
    if (sign('*')) return { kind: 'once' };
    const step = name();
    return take('notices') ? { kind: 'notices', step, count: Number(next(['word'])) } : { kind: 'step', step };
  };
  while (take('permutation')) {
    const steps: PermutationStep[] = [];
    while (at < list.length && !is('permutation')) {
      const step = name();
      const blockers: Blocker[] = [];
      if (sign('(')) {
        do blockers.push(blocker());
        while (sign(','));
        if (!sign(')')) throw new Error('spec: ) expected');
      }
      steps.push({ name: step, blockers });
    }
    permutations.push(steps);
  }
  if (at < list.length) throw new Error(`spec: unexpected ${list[at]!.text}`);
  return { setups, teardown, sessions, permutations: permutations.length > 0 ? permutations : interleavings(sessions) };
}

/** All orders in which each session's own steps stay in order. */
function interleavings(sessions: readonly Session[]): PermutationStep[][] {
  const piles = sessions.map(({ steps }) => [...steps.keys()]);
  const next = piles.map(() => 0);
  const found: PermutationStep[][] = [];
  const order: PermutationStep[] = [];
  const extend = (): void => {
    let ended = true;
    piles.forEach((pile, n) => {
      const step = pile[next[n]!];
      if (step === undefined) return;
      ended = false;
      next[n]!++;
      order.push({ name: step, blockers: [] });
      extend();
      order.pop();
      next[n]!--;
    });
    if (ended) found.push([...order]);
  };
  extend();
  return found;
}
