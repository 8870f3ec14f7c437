/**
 * One server that is asked: statements in the simple protocol, prepared with parameters, or read through a portal a few
 * rows at a time. An answer is {types, rows} or {error: {code, message}}; rows without an order are sorted.
 */
import pg from 'pg';

const SCHEMA = `differential_${process.pid}`;

export class Server {
  #client;
  #where;
  #options;
  #gaveUp = false;

  static async connect(where, options) {
    const server = new Server();
    server.#where = where;
    server.#options = options;
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

  async prepare(setup) {
    await this.#client.query(`create schema ${SCHEMA}`);
    await this.#settle();
    for (const sql of setup) await this.#client.query(sql);
  }

  async #settle() {
    for (const sql of [
      `set search_path = ${SCHEMA}`,
      `set timezone = 'UTC'`,
      `set statement_timeout = ${this.#options.slow}`,
    ])
      await this.#client.query(sql);
  }

  /** Settings of a mode; those of the last one are forgotten. */
  async use(mode) {
    await this.#client.query('reset all');
    await this.#settle();
    for (const sql of mode.settings) await this.#client.query(sql);
  }

  /** Runs a script; the answers of all its statements, one error ends it. What takes far too long ends with its session. */
  async answer(script, mode) {
    this.#gaveUp = false;
    const giveUp = setTimeout(
      () => {
        this.#gaveUp = true;
        this.#client.connection.stream.destroy();
      },
      2 * this.#options.slow + 5000,
    );
    try {
      return await this.#answer(script, mode);
    } finally {
      clearTimeout(giveUp);
    }
  }

  async #answer(script, mode) {
    const types = [];
    const rows = [];
    try {
      for (const sql of script) {
        const result = await this.#run(sql, mode);
        types.push(result.fields.map(f => `${f.name} ${f.dataTypeID} ${f.dataTypeModifier}`));
        const lines = result.rows.map(row => JSON.stringify(row));
        rows.push(
          /ORDER BY [^()]*$/.test(sql) ? lines : lines.sort(),
          result.command ? `${result.command} ${result.rowCount}` : '',
        );
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
    return { types, rows };
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
      // A SELECT's tag counts what the last Execute sent.
      if (result.command === 'SELECT' && result.rowCount === result.rows.length % rows)
        result.rowCount = result.rows.length;
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
        await this.#settle();
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
      await this.#client.query(`drop schema ${SCHEMA} cascade`);
      await this.#client.end();
    } catch {
      // It ended first.
    }
  }
}

/** Literals that say their type become parameters. */
function withParameters(sql) {
  const values = [];
  const text = sql.replace(
    /(?<![\w.])(\d+)::(bigint)(?!\w)|date '([^']*)'|interval '([^']*)'|timestamp '([^']*)'|'([^'{}]*)'::(text)\b/g,
    (all, whole, bigint, date, interval, timestamp) => {
      const [value, type] =
        bigint !== undefined
          ? [whole, 'bigint']
          : date !== undefined
            ? [date, 'date']
            : interval !== undefined
              ? [interval, 'interval']
              : timestamp !== undefined
                ? [timestamp, 'timestamp']
                : [undefined, ''];
      if (value === undefined) return all;
      values.push(value);
      return `$${values.length}::${type}`;
    },
  );
  return { text, values };
}
