/**
 * Invalidation messages of committed transactions, kept until every other instance was told. They
 * travel inside snapshots and so arrive before anything that depends on them (invariant 20). Pure.
 */
interface Entry<I> {
  readonly csn: number;
  readonly from: I | undefined;
  readonly messages: Uint8Array;
}

const NONE = new Uint8Array(0);

export class InvalLog<I> {
  #entries: Entry<I>[] = [];

  add(csn: number, from: I | undefined, messages: Uint8Array): void {
    if (messages.length > 0) this.#entries.push({ csn, from, messages: Uint8Array.from(messages) });
  }

  /** Messages of others after `csn`. */
  since(csn: number, reader: I): Uint8Array {
    const last = this.#entries[this.#entries.length - 1];
    if (last === undefined || last.csn <= csn) return NONE;
    const news = this.#entries.filter(entry => entry.csn > csn && entry.from !== reader).map(entry => entry.messages);
    return news.length === 0 ? NONE : news.length === 1 ? news[0]! : Buffer.concat(news);
  }

  /** Everybody was told up to `csn`. */
  forget(csn: number): void {
    if (this.#entries.length > 0 && this.#entries[0]!.csn <= csn) {
      this.#entries = this.#entries.filter(entry => entry.csn > csn);
    }
  }
}
