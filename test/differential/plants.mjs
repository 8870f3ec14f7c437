/**
 * Bugs to plant into a running server: proof that the comparison would find them. `differential.mjs --plant NAME` and the test have every
 * role import this file before its program; the product knows nothing of it. A bug is there while the file that
 * DIFFERENTIAL_PLANT_FILE names holds its name.
 */
import { readFileSync } from 'node:fs';

let active = '';

const plants = {
  /** The last condition of a scan is forgotten. */
  async 'lost-qual'() {
    const { ScanState } = await import('@pgtroupe/executor/execScan');
    const { compile } = ScanState.prototype;
    ScanState.prototype.compile = function () {
      const { plan } = this;
      if (active === 'lost-qual') this.plan = { ...plan, qual: plan.qual.slice(0, -1) };
      compile.call(this);
      this.plan = plan;
    };
  },
  /** Sorts deliver what they have backwards. */
  async 'wrong-order'() {
    const { TupleSort } = await import('@pgtroupe/executor/tuplesort');
    const { at } = TupleSort.prototype;
    TupleSort.prototype.at = function (i) {
      return at.call(this, active === 'wrong-order' ? this.count - 1 - i : i);
    };
  },
  async 'wrong-sqlstate'() {
    const { ERRCODE } = await import('@pgtroupe/common/errcodes');
    const right = ERRCODE.UNDEFINED_FUNCTION;
    Object.defineProperty(ERRCODE, 'UNDEFINED_FUNCTION', {
      get: () => (active === 'wrong-sqlstate' ? ERRCODE.DATATYPE_MISMATCH : right),
    });
  },
  /** bigint is told as integer. */
  async 'wrong-type'() {
    const { StatementRunner } = await import('@pgtroupe/session/statement-runner');
    const { rowDescription } = StatementRunner.prototype;
    StatementRunner.prototype.rowDescription = function (columns, formats) {
      const told = columns.map(c => (active === 'wrong-type' && c.typid === 20 ? { ...c, typid: 23 } : c));
      rowDescription.call(this, told, formats);
    };
  },
  /** What an expression remembers for a row it takes for all that follow. */
  async 'stale-value'() {
    const { QueryState } = await import('@pgtroupe/executor/execMain');
    const { start } = QueryState.prototype;
    const freeze = state => {
      for (const context of state.contexts) {
        let { serial } = context;
        Object.defineProperty(context, 'serial', {
          configurable: true,
          // Whatever row is added to it, it stays what it is.
          get: () => (active === 'stale-value' ? -Infinity : serial),
          set(next) {
            serial = next;
          },
        });
      }
      state.children.forEach(freeze);
    };
    const frozen = new WeakSet();
    QueryState.prototype.start = function (...rest) {
      if (!frozen.has(this)) [this.root, ...this.est.subplans].forEach(freeze);
      frozen.add(this);
      start.apply(this, rest);
    };
  },
};

export const PLANTS = Object.keys(plants);

if (/services\/backend\/dist\/main\.js$/.test(process.argv[1] ?? '')) {
  for (const plant of Object.values(plants)) await plant();
  const look = () => (active = readFileSync(process.env.DIFFERENTIAL_PLANT_FILE, 'utf8'));
  look();
  setInterval(look, 20).unref();
}
