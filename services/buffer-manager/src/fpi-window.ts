/**
 * How a checkpoint gets its redo point (invariant 11). Pure.
 *
 *   closed --begin--> open: every instance is told to put full-page images into every record
 *   open --last ack, or death of who did not answer--> closed: redo = insert position, broadcast
 *
 * Records that an instance sent before its ack may lack images but lie before redo; those after it
 * have them; those after the broadcast go by the new redo point.
 */
export interface FpiWindowEffects<I> {
  forceFpi(instance: I, n: number): void;
  /** All have acked: fix redo at the insert position and tell everybody. */
  close(n: number): void;
}

export class FpiWindow<I> {
  readonly #effects: FpiWindowEffects<I>;
  /** Number of the last checkpoint whose redo point is or is being chosen. */
  number: number;
  #waiting: Set<I> | undefined;
  readonly #closeEarly: boolean;

  constructor(effects: FpiWindowEffects<I>, number: number, bugs: { readonly closeEarly?: boolean } = {}) {
    this.#effects = effects;
    this.number = number;
    this.#closeEarly = bugs.closeEarly ?? false;
  }

  get open(): boolean {
    return this.#waiting !== undefined;
  }

  begin(instances: Iterable<I>): void {
    this.number++;
    const waiting = new Set(instances);
    this.#waiting = waiting;
    for (const instance of waiting) this.#effects.forceFpi(instance, this.number);
    this.#tryClose();
  }

  acked(instance: I, n: number): void {
    if (n !== this.number || this.#waiting === undefined) return;
    this.#waiting.delete(instance);
    this.#tryClose();
  }

  died(instance: I): void {
    if (this.#waiting?.delete(instance) === true) this.#tryClose();
  }

  #tryClose(): void {
    if (this.#waiting === undefined || (this.#waiting.size > 0 && !this.#closeEarly)) return;
    this.#waiting = undefined;
    this.#effects.close(this.number);
  }
}
