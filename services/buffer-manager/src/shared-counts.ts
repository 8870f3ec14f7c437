/** What the buffer-manager counts for pg_stat_bgwriter and pg_stat_wal: plain numbers. */
import { BgWriterStats, WalStats } from '@pgtroupe/rpc/generated/stats-collector';
import type { CountSource } from '@pgtroupe/rpc/report-counts';

const NOTHING = new Uint8Array(0);

export class SharedCounts implements CountSource {
  bgwriter = BgWriterStats.decode(NOTHING);
  wal = WalStats.decode(NOTHING);
  #changed = false;
  onChange: () => void = () => {};

  /** A WAL record with so many images of pages. */
  record(bytes: number, images: number): void {
    this.wal.walRecords++;
    this.wal.walBytes += bytes;
    this.wal.walFpi += images;
    this.#counted();
  }

  checkpoint(timed: boolean): void {
    if (timed) this.bgwriter.timedCheckpoints++;
    else this.bgwriter.requestedCheckpoints++;
    this.#counted();
  }

  add(counts: Partial<BgWriterStats>): void {
    for (const [field, value] of Object.entries(counts)) this.bgwriter[field as keyof BgWriterStats] += value;
    this.#counted();
  }

  #counted(): void {
    if (this.#changed) return;
    this.#changed = true;
    this.onChange();
  }

  take(): { readonly bgwriter: BgWriterStats; readonly wal: WalStats } {
    const { bgwriter, wal } = this;
    this.bgwriter = BgWriterStats.decode(NOTHING);
    this.wal = WalStats.decode(NOTHING);
    this.#changed = false;
    return { bgwriter, wal };
  }
}
