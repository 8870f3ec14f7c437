/**
 * BEGIN, COMMIT, ROLLBACK and savepoints, with PostgreSQL's warnings.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { notSupported } from '@pgtroupe/common/ereport';
import type { RawNode } from '@pgtroupe/sql/nodes/rawnodes';
import type { Session } from '../session.ts';
import type { IsolationLevel } from '../transaction-block.ts';

/** Statements that a failed transaction block still takes. */
export function endsFailedBlock(raw: RawNode): boolean {
  if (raw.type !== 'TransactionStmt') return false;
  return ['TRANS_STMT_COMMIT', 'TRANS_STMT_ROLLBACK', 'TRANS_STMT_ROLLBACK_TO', 'TRANS_STMT_PREPARE'].includes(
    raw['kind'],
  );
}

/** Returns the command tag. */
export async function transactionStmt(session: Session, raw: RawNode): Promise<string> {
  const { block, settings } = session;
  switch (raw['kind']) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START': {
      if (!block.begin({})) {
        session.notice('WARNING', ERRCODE.ACTIVE_SQL_TRANSACTION, 'there is already a transaction in progress');
      }
      for (const option of raw['options'] ?? []) transactionOption(session, option);
      return raw['kind'] === 'TRANS_STMT_START' ? 'START TRANSACTION' : 'BEGIN';
    }
    case 'TRANS_STMT_COMMIT': {
      if (raw['chain']) throw notSupported('COMMIT AND CHAIN');
      const outcome = await block.commit();
      if (outcome === 'no block') {
        session.notice('WARNING', ERRCODE.NO_ACTIVE_SQL_TRANSACTION, 'there is no transaction in progress');
      }
      return outcome === 'ROLLBACK' ? 'ROLLBACK' : 'COMMIT';
    }
    case 'TRANS_STMT_ROLLBACK':
      if (raw['chain']) throw notSupported('ROLLBACK AND CHAIN');
      if (!block.rollback()) {
        session.notice('WARNING', ERRCODE.NO_ACTIVE_SQL_TRANSACTION, 'there is no transaction in progress');
      }
      return 'ROLLBACK';
    case 'TRANS_STMT_SAVEPOINT':
      block.defineSavepoint(raw['savepoint_name']);
      return 'SAVEPOINT';
    case 'TRANS_STMT_RELEASE':
      block.releaseSavepoint(raw['savepoint_name']);
      settings.released(block.tx.depth);
      return 'RELEASE';
    case 'TRANS_STMT_ROLLBACK_TO':
      block.rollbackToSavepoint(raw['savepoint_name']);
      settings.rolledBackTo(block.tx.depth);
      session.runner.analysis.savepointRolledBack();
      return 'ROLLBACK';
    default:
      throw notSupported('two-phase commit');
  }
}

/** One mode of BEGIN or SET TRANSACTION. */
export function transactionOption(session: Session, option: RawNode): void {
  const value = option['arg'];
  switch (option['defname']) {
    case 'transaction_isolation': {
      const level = value.sval.sval as IsolationLevel;
      if (level === 'serializable') throw notSupported('isolation level SERIALIZABLE');
      session.block.setIsolation(level);
      return;
    }
    case 'transaction_read_only':
      session.block.setReadOnly(value.ival?.ival === 1);
      return;
    default:
      // DEFERRABLE means something only together with SERIALIZABLE.
      return;
  }
}
