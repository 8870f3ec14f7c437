/**
 * Assertions say "this is a bug": they stay on in production and end the process that fails one
 * (PANIC), because a server that continues past a broken invariant writes damage.
 * What a user or a disk can cause is never an assertion; that is `ereport`.
 */
export class AssertionFailure extends Error {
  override readonly name = 'AssertionFailure';
}

export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionFailure(what);
}

/** Closes a switch over a union: reaching it does not compile, and panics if data lied. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable: ${JSON.stringify(value)}`);
}
