/**
 * Bodies of SQL-language functions, analyzed for inlining. The arguments are PARAM_EXTERN parameters of the
 * types they have at the call.
 */
import { type Oid } from '@pgtroupe/common/ids';
import { PROCOID } from '@pgtroupe/catalog/syscache';
import type { CatCache } from '@pgtroupe/catalog/catcache';
import { PgError } from '@pgtroupe/common/ereport';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import { type AnalyzeInput, analyze } from '@pgtroupe/parser/analyze';
import { rawParse } from '@pgtroupe/parser/parser';
import { rewriteQuery } from '@pgtroupe/parser/rewrite/rewriteHandler';

/** The function's only statement, or null when it is not a single SELECT that can be analyzed so. */
export function sqlFunctionBody(
  input: Pick<AnalyzeInput, 'catalog' | 'fc'>,
  rows: CatCache,
  oid: Oid,
  argTypes: readonly Oid[],
): Query | null {
  const proc = rows.search(PROCOID, oid);
  if (proc === null) return null;
  try {
    const statements = rawParse(proc.prosrc);
    if (statements.length !== 1) return null;
    const { query } = analyze({
      ...input,
      sourceText: proc.prosrc,
      stmt: statements[0]!,
      params: { kind: 'fixed', types: argTypes },
    });
    return rewriteQuery(input, query);
  } catch (error) {
    if (error instanceof PgError) return null;
    throw error;
  }
}
