/**
 * Reading and changing sequences' pages, for one session: each a synchronous attempt, repeated until
 * nothing is lacking.
 */
import {
  type Drawn,
  seqInit,
  seqNextval,
  seqRead,
  seqSet,
  type SequenceContext,
  type SequenceRow,
  type SequenceRules,
} from '@pgtroupe/access/sequence/sequence';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { MISS } from '@pgtroupe/storage/buffer/pages';

export interface SequenceIo {
  init(rel: RelationDesc, row: SequenceRow): Promise<void>;
  set(rel: RelationDesc, row: SequenceRow): Promise<void>;
  read(rel: RelationDesc): Promise<SequenceRow>;
  draw(rel: RelationDesc, rules: SequenceRules): Promise<Drawn>;
}

/** `attempt` repeats what it is given until it does not answer MISS, as InstanceKernel.attempt does;
 *  `context` is the current transaction's. */
export function sequenceIo(
  attempt: (work: () => number) => Promise<number>,
  context: () => SequenceContext,
): SequenceIo {
  return {
    async init(rel, row) {
      await attempt(() => seqInit(context(), rel.smgr, row));
    },
    async set(rel, row) {
      await attempt(() => seqSet(context(), rel.smgr, row));
    },
    async read(rel) {
      let row: SequenceRow | undefined;
      await attempt(() => {
        const found = seqRead(context().pages, rel.smgr);
        if (found === MISS) return MISS;
        row = found;
        return 0;
      });
      return row!;
    },
    async draw(rel, rules) {
      let drawn: Drawn | undefined;
      await attempt(() => {
        const found = seqNextval(context(), rel.smgr, rules);
        if (found === MISS) return MISS;
        drawn = found;
        return 0;
      });
      return drawn!;
    },
  };
}
