/** A whole query, by the kind of statement it is. */
import { notSupported } from '@pgtroupe/common/ereport';
import { CMD_DELETE, CMD_INSERT, CMD_NOTHING, CMD_SELECT, CMD_UPDATE } from '@pgtroupe/nodes/nodes';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import { DeparseContext, type QueryScope, type ResultNames, type TextBuffer } from './context.ts';
import { appendDelete, appendInsert, appendUpdate } from './dml.ts';
import { queryNamespace } from './namespace.ts';
import { appendSelect } from './select.ts';

export function writeQuery(
  query: Query,
  buffer: TextBuffer,
  scope: QueryScope,
  names: ResultNames,
  colNamesVisible: boolean,
): void {
  const { env, namespaces: parents } = scope;
  const dpns = queryNamespace(env, query, parents);
  const varprefix = parents.length > 0 || query.rtable.length !== 1;
  const context = new DeparseContext(env, [dpns, ...parents], varprefix, scope.layout, buffer);
  switch (query.commandType) {
    case CMD_SELECT:
      appendSelect(query, context, names, colNamesVisible);
      break;
    case CMD_UPDATE:
      appendUpdate(query, context, colNamesVisible);
      break;
    case CMD_INSERT:
      appendInsert(query, context, colNamesVisible);
      break;
    case CMD_DELETE:
      appendDelete(query, context, colNamesVisible);
      break;
    case CMD_NOTHING:
      context.append('NOTHING');
      break;
    default:
      throw notSupported('deparsing of this kind of statement');
  }
}
