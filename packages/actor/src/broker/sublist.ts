/**
 * Who wants which subject: a tree of dot-separated tokens, where `*` stands for one token and `>`
 * for one or more at the end. Members of one queue group share the messages: one of them gets each.
 */
interface Node<S> {
  readonly children: Map<string, Node<S>>;
  readonly here: Set<S>;
  readonly rest: Set<S>;
}

const node = <S>(): Node<S> => ({ children: new Map(), here: new Set(), rest: new Set() });

export function isValidSubject(subject: string, wildcards: boolean): boolean {
  const tokens = subject.split('.');
  return tokens.every((token, i) => {
    if (token === '' || /[\s\0]/.test(token)) return false;
    if (token === '*') return wildcards;
    if (token === '>') return wildcards && i === tokens.length - 1;
    return true;
  });
}

export class Sublist<S extends { readonly subject: string; readonly queue: string | undefined }> {
  readonly #root: Node<S> = node();

  insert(subscription: S): void {
    this.#place(subscription.subject).add(subscription);
  }

  remove(subscription: S): void {
    const tokens = subscription.subject.split('.');
    this.#prune(this.#root, tokens, 0, subscription);
  }

  /** Receivers of one message: every plain subscriber and one of each queue group. */
  match(subject: string, choose: (n: number) => number): S[] {
    const found: S[] = [];
    this.#collect(this.#root, subject.split('.'), 0, found);
    if (!found.some(s => s.queue !== undefined)) return found;
    const groups = new Map<string, S[]>();
    const receivers: S[] = [];
    for (const subscription of found) {
      if (subscription.queue === undefined) {
        receivers.push(subscription);
        continue;
      }
      // The group is per subject and name, as NATS has it.
      const key = `${subscription.subject} ${subscription.queue}`;
      const members = groups.get(key);
      if (members) members.push(subscription);
      else groups.set(key, [subscription]);
    }
    for (const members of groups.values()) receivers.push(members[choose(members.length)]!);
    return receivers;
  }

  #place(subject: string): Set<S> {
    let at = this.#root;
    for (const token of subject.split('.')) {
      if (token === '>') return at.rest;
      let next = at.children.get(token);
      if (next === undefined) {
        next = node();
        at.children.set(token, next);
      }
      at = next;
    }
    return at.here;
  }

  /** Removes and cuts branches that became empty; true when `at` is one. */
  #prune(at: Node<S>, tokens: readonly string[], depth: number, subscription: S): boolean {
    const token = tokens[depth];
    if (token === undefined) at.here.delete(subscription);
    else if (token === '>') at.rest.delete(subscription);
    else {
      const child = at.children.get(token);
      if (child && this.#prune(child, tokens, depth + 1, subscription)) at.children.delete(token);
    }
    return at.children.size === 0 && at.here.size === 0 && at.rest.size === 0;
  }

  #collect(at: Node<S>, tokens: readonly string[], depth: number, found: S[]): void {
    const token = tokens[depth];
    if (token === undefined) {
      for (const subscription of at.here) found.push(subscription);
      return;
    }
    for (const subscription of at.rest) found.push(subscription);
    const literal = at.children.get(token);
    if (literal) this.#collect(literal, tokens, depth + 1, found);
    const star = at.children.get('*');
    if (star) this.#collect(star, tokens, depth + 1, found);
  }
}
