/**
 * What instances ask about multixacts, and what the answers cost WAL.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { PgError } from '@pgtroupe/common/ereport';
import { FIRST_NORMAL_TRANSACTION_ID, type Oid, type TransactionId } from '@pgtroupe/common/ids';
import type { UpOp } from '@pgtroupe/rpc/attach/ops';
import {
  isUpdateStatus,
  multiXactIdPrecedes,
  type MultiXactMember,
  type MultiXactStatus,
  MULTI_XACT_STATUS_UPDATE,
} from '@pgtroupe/transam/multixact';
import { RM_MULTIXACT_ID } from '@pgtroupe/transam/rmgr';
import type { Instance } from './instance.ts';
import type { LogMultiXact, MultiXacts } from './multixacts.ts';
import type { SharedMemory } from './shared-memory.ts';
import { ProtocolViolation } from './wal-insert.ts';

type Up<K extends UpOp['op']> = Extract<UpOp, { op: K }>;

const MAX_MEMBERS = 100_000;

export class MultiXactServer {
  readonly state: MultiXacts;
  readonly #shared: SharedMemory;
  readonly #log: LogMultiXact;

  constructor(state: MultiXacts, shared: SharedMemory) {
    this.state = state;
    this.#shared = shared;
    this.#log = (info, mainData) => shared.insert.own(RM_MULTIXACT_ID, info, 0 as TransactionId, mainData);
  }

  create(instance: Instance, { reqId, members }: Up<'createMultiXact'>): void {
    const list = decodeMembers(members);
    try {
      const multi = this.state.create(list, this.#shared.transactions.procs.nextXid, this.#log);
      instance.put({ op: 'multiXactCreated', reqId, multi });
    } catch (error) {
      refuse(instance, reqId, error);
    }
  }

  getMembers(instance: Instance, { reqId, multi }: Up<'getMultiXactMembers'>): void {
    this.#answer(
      instance,
      reqId,
      this.state.membersOf(multi).then(list => {
        const members = list.flatMap(({ xid, status }) => [xid as number, status]);
        instance.put({ op: 'multiXactMembers', reqId, members });
      }),
    );
  }

  getHorizon(instance: Instance, { reqId }: Up<'getMultiXactHorizon'>): void {
    const oldest = this.state.oldestRunning(this.#shared.transactions.procs.oldestRunning);
    instance.put({ op: 'multiXactHorizon', reqId, next: this.state.counters.nextMulti, oldest });
  }

  truncate(instance: Instance, { reqId, oldest, db }: Up<'truncateMultiXact'>): void {
    const { transactions, wal } = this.#shared;
    const running = this.state.oldestRunning(transactions.procs.oldestRunning);
    if (multiXactIdPrecedes(running, oldest)) return instance.reply(reqId);
    const truncated = this.state.truncate(oldest, db as Oid, this.#log, lsn => wal.flush(lsn));
    this.#answer(
      instance,
      reqId,
      truncated.then(() => instance.reply(reqId)),
    );
  }

  #answer(instance: Instance, reqId: number, answered: Promise<void>): void {
    void answered.catch((error: unknown) => refuse(instance, reqId, error)).then(() => this.#shared.planTurn());
  }
}

function refuse(instance: Instance, reqId: number, error: unknown): void {
  if (error instanceof PgError) return instance.reply(reqId, error.sqlstate, error.message);
  instance.reply(reqId, ERRCODE.IO_ERROR, `could not access pg_multixact: ${(error as Error).message}`);
}

function decodeMembers(pairs: readonly number[]): readonly MultiXactMember[] {
  if (pairs.length < 2 || pairs.length % 2 !== 0 || pairs.length > 2 * MAX_MEMBERS)
    throw new ProtocolViolation(`a multixact of ${pairs.length / 2} members`);
  const members: MultiXactMember[] = [];
  let updates = 0;
  for (let n = 0; n < pairs.length; n += 2) {
    const xid = pairs[n] as TransactionId;
    const status = pairs[n + 1] as MultiXactStatus;
    if (xid < FIRST_NORMAL_TRANSACTION_ID || status > MULTI_XACT_STATUS_UPDATE)
      throw new ProtocolViolation(`member ${xid} of status ${status}`);
    if (isUpdateStatus(status)) updates++;
    members.push({ xid, status });
  }
  if (updates > 1) throw new ProtocolViolation('a multixact with more than one updating member');
  return members;
}
