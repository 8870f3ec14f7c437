/** Types of answers.mjs, for the tests. */
export function marks(answers: readonly object[]): string;
export function orderOf(sql: string): number[] | undefined;
