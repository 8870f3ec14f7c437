/**
 * One lane of the comparison: a session with the server that is judged, one with PostgreSQL, and two that ask it under other
 * plans and over rows that lie in another order. Each lane has tables of its own: no lane waits for another's locks.
 */
import { marks } from './answers.mjs';
import { MODES, OTHER_PLANS } from './modes.mjs';
import { reduce } from './reduce.mjs';
import { SETUP, TABLES } from './schema.mjs';
import { Server } from './server.mjs';
import { scriptOf } from './statements.mjs';
import { verdict } from './verdict.mjs';

/** As many statements as one way of planning gets in a row. */
export const BLOCK = 25;
export const modeOf = n => MODES[Math.floor(n / BLOCK) % MODES.length];

export class Comparison {
  #target;
  #judge;
  #others = [];
  spent = { judge: 0, target: 0 };

  /** @param addresses target, oracle: host:port, or undefined for nobody; slow, patience: ms to wait for PostgreSQL, for pgtroupe */
  static async open({ target, oracle, slow, patience = 30_000 }, lane) {
    const comparison = new Comparison();
    const schema = `differential_${process.pid}_${lane}`;
    const connect = async (where, options, ...elsewhere) => {
      if (where === undefined) return undefined;
      const server = await Server.connect(where, options);
      await server.prepare(SETUP, ...elsewhere);
      return server;
    };
    comparison.#target = await connect(target, { schema, slow: patience });
    comparison.#judge = await connect(oracle, { schema, slow });
    const tables = TABLES.filter(table => !table.view).map(({ name, columns }) => [
      name,
      Object.keys(columns).join(', '),
    ]);
    // Which of equal rows comes first is up to where they lie: each pair lies both ways somewhere.
    const elsewhere = { mixed: table => `md5(${table}::text)`, backwards: () => 'ctid desc' };
    for (const [name, by] of Object.entries(elsewhere)) {
      // What is recorded is asked in every way, not only where somebody answered otherwise: neither long nor often.
      if (target === undefined && name === 'backwards') continue;
      const limit = target === undefined ? Math.min(slow, 100) : slow;
      const other = await connect(oracle, { schema: `${schema}_${name}`, slow: limit }, tables, by);
      if (other !== undefined) comparison.#others.push(other);
    }
    return comparison;
  }

  /** The marks of all of PostgreSQL's answers, for a file. */
  async record(made, mode) {
    const script = scriptOf(made);
    return this.#allMarks(script, await this.#expected(script, mode));
  }

  async use(mode) {
    await this.#target.use(mode.settings);
  }

  /** {slow} or {} for equal answers, or a verdict with both answers. `wanted`: recorded marks. */
  async compare(made, mode, wanted) {
    const script = scriptOf(made);
    if (wanted === 'slow') return { slow: true };
    const expected = wanted === undefined ? await this.#expected(script, mode) : undefined;
    if (expected?.slow) return { slow: true };
    const asked = performance.now();
    const got = await this.#target.answer(script, mode);
    this.spent.target += performance.now() - asked;
    const judged = verdict(got, wanted ?? marks([expected]), expected);
    if (judged?.fault === undefined || expected === undefined) return { ...judged, got, expected };
    return { ...verdict(got, await this.#allMarks(script, expected), expected), got, expected };
  }

  /** The smallest tree that is at fault in the same way. */
  async reduce(made, mode, fault) {
    const tree = await reduce(made, fault, async cut => (await this.compare({ ...made, tree: cut }, mode)).fault);
    return { ...made, tree };
  }

  /** In its own way, but with parameters where they are sent. */
  async #expected(script, { prepared }) {
    const begun = performance.now();
    const answer = await this.#judge.answer(script, { prepared });
    this.spent.judge += performance.now() - begun;
    return answer;
  }

  async #allMarks(script, own) {
    if (own.slow) return marks([own]);
    const answers = [own];
    // What is recorded has been asked over rows in one other order.
    const asked = this.#target === undefined ? this.#others : [this.#judge, ...this.#others];
    for (const other of asked) {
      for (const mode of OTHER_PLANS) {
        await other.use(mode.settings);
        answers.push(await other.answer(script, mode));
      }
    }
    if (this.#target !== undefined) await this.#judge.use();
    return marks(answers);
  }

  async close() {
    for (const server of [this.#target, this.#judge, ...this.#others]) await server?.end();
  }
}
