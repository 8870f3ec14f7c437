/**
 * Types of statements.mjs, for tests.
 */
export interface Statement {
  readonly kind: string;
  readonly tree: unknown;
  readonly tables?: readonly string[];
}
export function statement(seed: number, n: number): Statement;
export function scriptOf(made: Statement): string[];
