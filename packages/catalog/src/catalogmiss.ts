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
