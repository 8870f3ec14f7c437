/**
 * Functions that must wait for somebody else's answer. The question is asked outside of the expression, as everywhere:
 * CatalogMiss with the work inside, and the call is evaluated again.
 */
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { FunctionCall } from './fmgr.ts';

interface Answer<T> {
  /** Of which statement: what one that was cut short left behind is no other's answer. */
  readonly statement: number;
  readonly value: T;
}

/** What the question brought, for this call alone. Throws CatalogMiss until there is an answer. */
export function ask<T>(fc: FunctionCall, question: () => Promise<T>): T {
  const { statementTimestamp: statement } = fc.settings;
  const answer = fc.extra as Answer<T> | undefined;
  fc.extra = undefined;
  if (answer?.statement === statement) return answer.value;
  throw new CatalogMiss(async () => {
    fc.extra = { statement, value: await question() } satisfies Answer<T>;
  });
}
