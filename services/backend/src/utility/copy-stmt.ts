import { notSupported } from '@pgtroupe/common/ereport';
export function copyStmt(..._: unknown[]): Promise<string> { throw notSupported('COPY'); }
