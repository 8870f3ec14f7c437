/**
 * One server that is asked: statements in the simple protocol, prepared with parameters, or read through a portal a few
 * rows at a time. What an answer is says answers.mjs.
 */
import pg from 'pg';
import { orderOf } from './answers.mjs';

export class Server {
  #client;
  #where;
  #schema;
  #slow;
  #settings = [];
  #gaveUp = false;

  /** @param options schema: whose tables are asked; slow: milliseconds after which an answer is not waited for */
  static async connect(where, { schema, slow }) {
    const server = new Server();
    server.#where = where;
    server.#schema = schema;
    server.#slow = slow;
    for (let tries = 0; ; tries++) {
      try {
        await server.#open();
        return server;
      } catch (error) {
        // cannot_connect_now: it is starting.
        if (error.code !== '57P03' || tries > 300) throw error;
        await new Promise(resolve => setTimeout(resolve, 500));
      }
    }
  }

  async #open() {
    const [host, port] = this.#where.split(':');
    this.#client = new pg.Client({
      host,
      port: Number(port),
      user: 'postgres',
      database: 'postgres',
      types: { getTypeParser: () => text => text },
    });
    this.#client.on('error', () => {});
    await this.#client.connect();
  }

  /** Makes the schema. `elsewhere`: tables (and their columns) whose rows shall lie in another order, the one of `by`. */
  async prepare(setup, elsewhere = [], by) {
    await this.#client.query(`create schema ${this.#schema}`);
    await this.use(['set statement_timeout = 0']);
    for (const sql of setup) await this.#client.query(sql);
    for (const [table, columns] of elsewhere)
      await this.#client.query(
        `begin; create table old as select ${columns} from ${table} order by ${by(table)}; truncate ${table};
         insert into ${table} (${columns}) select * from old; drop table old; commit`,
      );
    await this.use();
  }

  /** Settings; those of the last time are forgotten. */
  async use(settings = []) {
    this.#settings = settings;
    const all = [
      'reset all',
      `set search_path = ${this.#schema}`,
      `set timezone = 'UTC'`,
      `set statement_timeout = ${this.#slow}`,
      ...settings,
    ];
    for (;;) {
      try {
        await this.#client.query(all.join('; '));
        return;
      } catch (error) {
        // On a busy machine the time limit so far may strike these too.
        if (error.code !== '57014') throw error;
      }
    }
  }

  /** Runs a script; the answers of all its statements, one error ends it. What takes far too long ends with its session. */
  async answer(script, mode) {
    this.#gaveUp = false;
    const giveUp = setTimeout(
      () => {
        this.#gaveUp = true;
        this.#client.connection.stream.destroy();
      },
      2 * this.#slow + 5000,
    );
    try {
      return await this.#answer(script, mode);
    } finally {
      clearTimeout(giveUp);
    }
  }

  async #answer(script, mode) {
    const parts = [];
    try {
      for (const sql of script) {
        const result = await this.#run(sql, mode);
        parts.push({
          columns: result.fields.map(f => ({ name: f.name, oid: common(f.dataTypeID), typmod: f.dataTypeModifier })),
          rows: result.rows,
          tag: result.command ? `${result.command} ${result.rowCount}` : '',
          order: orderOf(sql),
        });
      }
    } catch (error) {
      if (script.length > 1) await this.#rollback();
      if (error.code === '57014' || (error.message === 'Connection terminated unexpectedly' && this.#gaveUp)) {
        if (this.#gaveUp) await this.#again();
        return { slow: true };
      }
      if (error.code === undefined || !/^[0-9A-Z]{5}$/.test(error.code)) {
        await this.#again();
        return { error: { code: 'LOST', message: `connection lost: ${error.message}` } };
      }
      if (error.severity === 'FATAL') await this.#again();
      const { code, message } = error;
      return { error: { code, message } };
    }
    return { parts };
  }

  async #run(sql, mode) {
    if (mode?.rows !== undefined) return this.#fewRows(sql, mode.rows);
    if (mode?.prepared !== true || !/^\s*(?:SELECT|WITH|INSERT|UPDATE|DELETE|\()/.test(sql))
      return this.#client.query({ text: sql, rowMode: 'array' });
    const { text, values } = withParameters(sql);
    return this.#client.query({ text, values, rowMode: 'array', queryMode: 'extended' });
  }

  async #fewRows(sql, rows) {
    try {
      const result = await this.#client.query({ text: sql, rowMode: 'array', rows });
      // The tag of what returns rows counts those that the last Execute sent.
      const returned = result.rows.length;
      if (result.fields.length > 0 && result.rowCount === returned % rows) result.rowCount = returned;
      return result;
    } catch (error) {
      // node-postgres leaves the Sync to whoever reads a portal in parts.
      this.#client.connection.sync();
      throw error;
    }
  }

  async #rollback() {
    try {
      await this.#client.query('rollback');
    } catch {
      await this.#again();
    }
  }

  /** The server ended the session: another one in the same schema. */
  async #again() {
    for (let tries = 0; ; tries++) {
      try {
        this.#client.connection.stream.destroy();
        await this.#open();
        await this.use(this.#settings);
        return;
      } catch (error) {
        if (tries > 20) throw error;
        await new Promise(resolve => setTimeout(resolve, 500));
      }
    }
  }

  async end() {
    try {
      await this.#client.query('reset all');
      await this.#client.query(`drop schema ${this.#schema} cascade`);
      await this.#client.end();
    } catch {
      // It ended first.
    }
  }
}

/** Types that the schema makes have other OIDs on every server. */
const common = oid => (oid >= 16384 ? 'own' : oid);

/** Literals that become parameters: those of which the text says the type, texts of the generator's, truth values. */
const TYPED = new RegExp(
  [
    String.raw`(?<![\w.])(?<whole>\d+)::(?<wholeType>bigint|smallint|real|char\(\d\))(?!\w)`,
    String.raw`(?<timeType>date|interval|timestamp|timestamptz|time) '(?<time>[^']*)'`,
    String.raw`'(?<quoted>[^'{}]*)'::(?<quotedType>text|numeric|float8|char\(\d\))(?!\w)`,
    String.raw`'(?<braced>[^']*)'::(?<bracedType>jsonb|int\[\]|text\[\])(?![\w\[])`,
    String.raw`NULL::(?<nullType>char\(\d\))`,
    String.raw`(?<![\w"'])(?<bool>true|false)(?![\w"'])`,
    String.raw`(?<![\w'])'(?<text>a|b|cc|d|x|row 3|Ab|é|a b)'(?!::|['\w])`,
  ].join('|'),
  'g',
);

function withParameters(sql) {
  const values = [];
  const text = sql.replace(TYPED, (...match) => {
    const { whole, wholeType, timeType, time, quoted, quotedType, braced, bracedType, nullType, bool, text } =
      match.at(-1);
    values.push(whole ?? time ?? quoted ?? braced ?? bool ?? text ?? null);
    const given = `$${values.length}`;
    // A number is cut to a character's width as a number.
    if (wholeType?.startsWith('char')) return `${given}::int::${wholeType}`;
    // What says no type has that of where it stands, as the literal has.
    if (text !== undefined) return given;
    // A column of it has no name, as one of the literal.
    if (bool !== undefined) return `(${given}::bool IS TRUE)`;
    return `${given}::${wholeType ?? timeType ?? quotedType ?? bracedType ?? nullType}`;
  });
  return { text, values };
}
