/** What the walwriter counts for pg_stat_wal: writes and syncs. */
import { WalStats } from '@pgtroupe/rpc/generated/stats-collector';
import type { CountSource } from '@pgtroupe/rpc/report-counts';

export class WalCounts implements CountSource {
  #writes = 0;
  #syncs = 0;
  onChange: () => void = () => {};

  written(): void {
    if (this.#writes++ + this.#syncs === 0) this.onChange();
  }

  synced(): void {
    if (this.#writes + this.#syncs++ === 0) this.onChange();
  }

  take(): { readonly wal: WalStats } {
    const wal = { ...WalStats.decode(new Uint8Array(0)), walWrite: this.#writes, walSync: this.#syncs };
    this.#writes = 0;
    this.#syncs = 0;
    return { wal };
  }
}
