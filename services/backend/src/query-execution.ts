import { notSupported } from '@pgtroupe/common/ereport';
export interface RunningPortal { run(maxRows: number): 'done' | 'suspended' | Promise<'done' | 'suspended'>; readonly tag: string; close(): void }
export class QueryExecution { constructor(..._: unknown[]) {} start(..._: unknown[]): RunningPortal { throw notSupported('queries'); } wake(): void {} }
