/** The autovacuum launcher's stream: how old the oldest ids in tables are. */
import type { RpcStream } from '@pgtroupe/actor/rpc';
import { type Ages, type AgesQuestion, BufferManagerDefinition } from '@pgtroupe/rpc/generated/buffer-manager';
import { streamMethod } from '@pgtroupe/rpc/method';
import type { SharedMemory } from './shared-memory.ts';

export const AUTOVACUUM = streamMethod(BufferManagerDefinition, 'autovacuum');

type Stream = RpcStream<Ages, AgesQuestion>;

export class AutovacuumServer {
  readonly #shared: SharedMemory;
  #stream: Stream | undefined;

  constructor(shared: SharedMemory) {
    this.#shared = shared;
  }

  accept(stream: Stream): void {
    this.#stream?.abort('another autovacuum launcher came');
    this.#stream = stream;
    this.#shared.auxiliaries.came('autovacuum launcher', () => 'Activity/AutoVacuumMain');
    stream.onMessage = () => stream.send(agesOf(this.#shared));
    stream.onEnd = () => {
      if (this.#stream !== stream) return;
      this.#stream = undefined;
      this.#shared.auxiliaries.left('autovacuum launcher');
    };
  }

  close(): void {
    this.#stream?.end();
    this.#stream = undefined;
  }
}

export function agesOf({ transactions, multixacts }: SharedMemory): Ages {
  const { nextMulti, oldestMulti, oldestMultiDB } = multixacts.state.counters;
  return {
    nextXid: transactions.procs.nextXid,
    oldestXid: transactions.oldestXid,
    oldestXidDb: transactions.oldestXidDB,
    nextMulti,
    oldestMulti,
    oldestMultiDb: oldestMultiDB,
  };
}

/** Past xidVacLimit or multiVacLimit (SetTransactionIdLimit). */
export function isWraparoundNear(ages: Ages, freezeMaxAge: number, multixactFreezeMaxAge: number): boolean {
  return (
    ages.nextXid - ages.oldestXid > freezeMaxAge || ((ages.nextMulti - ages.oldestMulti) | 0) > multixactFreezeMaxAge
  );
}
