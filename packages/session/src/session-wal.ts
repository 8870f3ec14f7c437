/** WAL and its archive, as built-in functions may ask about them. */
import type { ArchiverCounts } from '@pgtroupe/adt/pgstat_archiver';
import type { WalFacts } from '@pgtroupe/adt/xlogfuncs';
import type { Transaction } from '@pgtroupe/instance/xact';
import type { Session } from './session.ts';

export function sessionWal(session: Session): WalFacts {
  const { kernel } = session.instance;
  /** What was read first in a transaction stays (stats_fetch_consistency = cache). */
  let read: { readonly tx: Transaction; readonly counts: ArchiverCounts } | undefined;
  return {
    switchSegment: () => kernel.switchWal(),
    location: () => kernel.walLocation(),
    get timeline() {
      return kernel.timeline;
    },
    get archiver() {
      return read?.tx === session.block.tx ? read.counts : undefined;
    },
    readArchiver: async () => {
      const { tx } = session.block;
      read = { tx, counts: await kernel.archiverCounts() };
    },
    resetArchiver: () => kernel.resetArchiver(),
  };
}
