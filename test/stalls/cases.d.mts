/** Types of cases.mjs, for tests. */
export interface Case {
  readonly name: string;
  readonly cheap?: boolean;
  sql(): string;
}
export const CASES: readonly Case[];
export const SMALL_SETUP: readonly string[];
