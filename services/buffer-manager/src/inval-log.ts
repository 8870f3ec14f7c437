/**
 * Invalidation messages of committed transactions, kept until every instance was told. They travel inside snapshots
 * and so arrive before anything that depends on them (invariant 20): to the instance that committed as well, where
 * other sessions are let in by the locks that the commit frees before its own session has heard of its end. Pure.
 */
interface Entry {
  readonly csn: number;
  readonly messages: Uint8Array;
}

const NONE = new Uint8Array(0);

export class InvalLog {
  #entries: Entry[] = [];
  /** Of all messages. */
  lengthBytes = 0;

  add(csn: number, messages: Uint8Array): void {
    if (messages.length === 0) return;
    this.#entries.push({ csn, messages: Uint8Array.from(messages) });
    this.lengthBytes += messages.length;
  }

  /** Messages after `csn`. */
  since(csn: number): Uint8Array {
    const last = this.#entries[this.#entries.length - 1];
    if (last === undefined || last.csn <= csn) return NONE;
    const news = this.#entries.filter(entry => entry.csn > csn).map(entry => entry.messages);
    return news.length === 0 ? NONE : news.length === 1 ? news[0]! : Buffer.concat(news);
  }

  /** Everybody was told up to `csn`. */
  forget(csn: number): void {
    if (this.#entries.length > 0 && this.#entries[0]!.csn <= csn) {
      this.#entries = this.#entries.filter(entry => entry.csn > csn);
      this.lengthBytes = this.#entries.reduce((sum, entry) => sum + entry.messages.length, 0);
    }
  }
}
