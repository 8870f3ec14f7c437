import { notSupported } from '@pgtroupe/common/ereport';
import { textColumns } from './text-rows.ts';
export function explainStmt(..._: unknown[]): Promise<string> { throw notSupported('EXPLAIN'); }
export const explainColumns = () => textColumns(['QUERY PLAN']);
