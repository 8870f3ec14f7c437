/**
 * BEGIN, COMMIT, ROLLBACK and savepoints, with PostgreSQL's warnings.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { findGuc, parseGuc } from '@pgtroupe/common/guc';
import { unsupportedValue } from '@pgtroupe/common/guc_unsupported';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { Session } from '../session.ts';
import type { IsolationLevel } from '../transaction-block.ts';

/** Statements that a failed transaction block still takes. */
export function endsFailedBlock(raw: RawNode): boolean {
  if (raw.type !== 'TransactionStmt') return false;
  return ['TRANS_STMT_COMMIT', 'TRANS_STMT_ROLLBACK', 'TRANS_STMT_ROLLBACK_TO', 'TRANS_STMT_PREPARE'].includes(
    raw['kind'],
  );
}

/** COMMIT and ROLLBACK: they end a block even when they fail. */
export function endsBlock(raw: RawNode): boolean {
  return (
    raw.type === 'TransactionStmt' && (raw['kind'] === 'TRANS_STMT_COMMIT' || raw['kind'] === 'TRANS_STMT_ROLLBACK')
  );
}

/** Returns the command tag. */
export async function transactionStmt(session: Session, raw: RawNode): Promise<string> {
  const { block, settings } = session;
  switch (raw['kind']) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START': {
      const { inBlock } = block;
      if (inBlock) {
        session.notice('WARNING', ERRCODE.ACTIVE_SQL_TRANSACTION, 'there is already a transaction in progress');
      }
      for (const option of raw['options'] ?? []) transactionOption(session, option);
      if (!inBlock) block.begin();
      return raw['kind'] === 'TRANS_STMT_START' ? 'START TRANSACTION' : 'BEGIN';
    }
    case 'TRANS_STMT_COMMIT': {
      const outcome = await block.commit(raw['chain'] === true);
      if (outcome === 'no block') noTransaction(session);
      return outcome === 'ROLLBACK' ? 'ROLLBACK' : 'COMMIT';
    }
    case 'TRANS_STMT_ROLLBACK':
      if (!block.rollback(raw['chain'] === true)) noTransaction(session);
      return 'ROLLBACK';
    case 'TRANS_STMT_PREPARE':
      return prepareTransaction(session);
    case 'TRANS_STMT_COMMIT_PREPARED':
    case 'TRANS_STMT_ROLLBACK_PREPARED':
      throw noPreparedTransaction(session, raw);
    case 'TRANS_STMT_SAVEPOINT':
      block.defineSavepoint(raw['savepoint_name']);
      return 'SAVEPOINT';
    case 'TRANS_STMT_RELEASE':
      block.releaseSavepoint(raw['savepoint_name']);
      settings.released(block.tx.depth);
      session.runner.levelsJoined(block.tx.depth);
      return 'RELEASE';
    case 'TRANS_STMT_ROLLBACK_TO':
      block.rollbackToSavepoint(raw['savepoint_name']);
      settings.rolledBackTo(block.tx.depth);
      session.runner.levelsUndone(block.tx.depth);
      session.runner.analysis.savepointRolledBack();
      return 'ROLLBACK';
    default:
      throw notSupported(`transaction command ${raw['kind']}`);
  }
}

function noTransaction(session: Session): void {
  session.notice('WARNING', ERRCODE.NO_ACTIVE_SQL_TRANSACTION, 'there is no transaction in progress');
}

/** max_prepared_transactions is 0: it fails as a COMMIT does, so the block is over. */
function prepareTransaction(session: Session): string {
  const { block } = session;
  if (block.failed) {
    block.rollback();
    return 'ROLLBACK';
  }
  const { lasts } = block;
  if (!block.rollback()) {
    noTransaction(session);
    if (!lasts) return 'ROLLBACK';
  }
  throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, 'prepared transactions are disabled', {
    hint: 'Set max_prepared_transactions to a nonzero value.',
  });
}

function noPreparedTransaction(session: Session, raw: RawNode): Error {
  const command = raw['kind'] === 'TRANS_STMT_COMMIT_PREPARED' ? 'COMMIT PREPARED' : 'ROLLBACK PREPARED';
  session.block.prevent(command);
  return ereport(ERRCODE.UNDEFINED_OBJECT, `prepared transaction with identifier "${raw['gid']}" does not exist`);
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
      session.block.setDeferrable();
  }
}

/**
 * SET and set_config of what belongs to the running transaction, not to the session's settings.
 * false: it is no such parameter.
 */
export function setOfTransaction(session: Session, name: string, text: string): boolean {
  const facts = findGuc(name);
  if (facts?.name !== 'transaction_isolation' && facts?.name !== 'transaction_read_only') return false;
  const value = parseGuc(facts, text);
  const unsupported = unsupportedValue(facts, value);
  if (unsupported !== undefined) throw unsupported;
  if (typeof value === 'boolean') session.block.setReadOnly(value);
  else session.block.setIsolation(value as IsolationLevel);
  return true;
}

/** What SHOW and current_setting answer for these; undefined: it is no such parameter. */
export function shownOfTransaction({ block }: Session, name: string): string | undefined {
  switch (name.toLowerCase()) {
    case 'transaction_isolation':
      return block.isolation;
    case 'transaction_read_only':
      return block.readOnly ? 'on' : 'off';
    default:
      return undefined;
  }
}
