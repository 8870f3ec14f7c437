/**
 * Thrown by a synchronous catalog lookup whose answer is not in memory. Analysis and planning are
 * pure: the session driver awaits `load` and runs them again from the start.
 */
export class CatalogMiss extends Error {
  override readonly name = 'CatalogMiss';
  readonly load: () => Promise<void>;

  constructor(load: () => Promise<void>) {
    // It is control flow, not a failure: nobody reads its stack.
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super('catalog entry is not loaded');
    Error.stackTraceLimit = limit;
    this.load = load;
  }
}

/** Runs pure work over the catalogs, again after each entry it lacked was read. */
export async function withCatalog<T>(work: () => T): Promise<T> {
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof CatalogMiss)) throw error;
      await error.load();
    }
  }
}
