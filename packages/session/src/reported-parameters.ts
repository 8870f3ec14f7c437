/** ParameterStatus: what a client believes of the parameters that it is kept informed of (guc.c, ReportChangedGUCOptions). */
import type { OutBuffer } from '@pgtroupe/libpq/pqformat';
import { BACKEND } from '@pgtroupe/libpq/protocol';
import type { SessionSettings } from './settings.ts';

export class ReportedParameters {
  readonly #out: OutBuffer;
  readonly #settings: SessionSettings;
  /** Set since the last ReadyForQuery. */
  readonly #changed = new Set<string>();
  readonly #told = new Map<string, string>();

  constructor(out: OutBuffer, settings: SessionSettings) {
    this.#out = out;
    this.#settings = settings;
  }

  /** All of them, when the session begins; from then on those that change. */
  begin(): void {
    for (const name of this.#settings.reportedNames()) this.#tell(name);
    this.#settings.onReported = name => this.#changed.add(name);
  }

  /** Once before ReadyForQuery: what changed and changed back is not told. */
  tellChanged(): void {
    if (this.#changed.size === 0) return;
    for (const name of this.#settings.reportedNames()) if (this.#changed.has(name)) this.#tell(name);
    this.#changed.clear();
  }

  #tell(name: string): void {
    const value = this.#settings.show(name);
    if (this.#told.get(name) === value) return;
    this.#told.set(name, value);
    this.#out.begin(BACKEND.ParameterStatus);
    this.#out.cstring(name);
    this.#out.cstring(value);
    this.#out.end();
  }
}
