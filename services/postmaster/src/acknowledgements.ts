/** Which version of the configuration each role works with, and who waits until all work with one. */
import type { Timers } from '@pgtroupe/actor/env';

export class Acknowledgements {
  readonly #timers: Timers;
  /** Roles that are there. */
  readonly #attending: () => readonly string[];
  readonly #versions = new Map<string, number>();
  readonly #waiting = new Set<{ readonly version: number; readonly done: () => void }>();

  constructor(timers: Timers, attending: () => readonly string[]) {
    this.#timers = timers;
    this.#attending = attending;
  }

  of(name: string): number {
    return this.#versions.get(name) ?? 0;
  }

  set(name: string, version: number): void {
    this.#versions.set(name, version);
    this.look();
  }

  /** Also when somebody left: who is not there need not answer. */
  look(): void {
    for (const waiter of this.#waiting) if (this.#reached(waiter.version)) waiter.done();
  }

  #reached(version: number): boolean {
    return this.#attending().every(name => this.of(name) >= version);
  }

  /** False: somebody has not answered in time. */
  async reached(version: number, patienceMs: number): Promise<boolean> {
    if (this.#reached(version)) return true;
    return new Promise(resolve => {
      const timer = this.#timers.after(patienceMs, () => finish(false));
      const waiter = { version, done: () => finish(true) };
      const finish = (all: boolean): void => {
        timer.cancel();
        this.#waiting.delete(waiter);
        resolve(all);
      };
      this.#waiting.add(waiter);
    });
  }
}
