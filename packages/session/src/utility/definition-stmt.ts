/**
 * Data definition: CREATE, ALTER, DROP, TRUNCATE, over the catalogs of the transaction.
 */
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { definitionCommandTag, isDefinitionCommand, runDefinitionCommand } from '@pgtroupe/commands/utility';
import { preventIfReadOnly } from '@pgtroupe/commands/read-only';
import type { StatementRunner } from '../statement-runner.ts';

export function isDefinition(raw: RawNode): boolean {
  return isDefinitionCommand(raw);
}

export async function definitionStmt(runner: StatementRunner, raw: RawNode, text: string): Promise<string> {
  const tag = definitionCommandTag(raw);
  preventIfReadOnly(runner.session.block, tag);
  await runner.analysis.changeCatalogs(text, context => runDefinitionCommand(context, raw));
  return tag;
}
