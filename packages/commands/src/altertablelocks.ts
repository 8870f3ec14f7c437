/**
 * How strongly ALTER TABLE locks its table (AlterTableGetLockLevel): what neither changes what others read nor what they
 * have to do when they write lets them go on.
 */
import { ACCESS_EXCLUSIVE_LOCK, SHARE_UPDATE_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';

/** Options that are the concern of those who plan, write and vacuum from now on. */
const WEAK_OPTIONS =
  /^(autovacuum_|fillfactor$|toast_tuple_target$|vacuum_index_cleanup$|vacuum_truncate$|parallel_workers$|deduplicate_items$|log_autovacuum_min_duration$)/;

function lockLevel(command: RawNode): number {
  switch (command.subtype) {
    case 'AT_SetStatistics':
      return SHARE_UPDATE_EXCLUSIVE_LOCK;
    case 'AT_SetRelOptions':
    case 'AT_ResetRelOptions': {
      const options = (command.def?.items ?? []) as RawNode[];
      const weak = options.length > 0 && options.every(option => WEAK_OPTIONS.test(option.defname));
      return weak ? SHARE_UPDATE_EXCLUSIVE_LOCK : ACCESS_EXCLUSIVE_LOCK;
    }
    default:
      return ACCESS_EXCLUSIVE_LOCK;
  }
}

export function alterTableLockLevel(commands: readonly RawNode[]): number {
  return Math.max(SHARE_UPDATE_EXCLUSIVE_LOCK, ...commands.map(lockLevel));
}
