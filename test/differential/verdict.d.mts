/** Types of verdict.mjs, for the tests. */
export function verdict(got: object, wanted: string, expected: object | undefined): object | undefined;
