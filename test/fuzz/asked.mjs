/** One server that is asked: the differential's, with a schema for what the statements make. */
import pg from 'pg';
import { Server } from '../differential/server.mjs';
import { readCatalogs } from './functions.mjs';

/** Milliseconds that a statement may take. */
const SLOW = 4000;

export class Asked {
  #where;
  #server;

  static async connect(where) {
    const asked = new Asked();
    asked.#where = where;
    await asked.schema('calls');
    return asked;
  }

  /** An empty schema, and a session in it. */
  async schema(name) {
    await this.#server?.end();
    this.#server = await Server.connect(this.#where, { schema: `fuzz_${process.pid}_${name}`, slow: SLOW });
    await this.#server.prepare([]);
  }

  answer(script) {
    return this.#server.answer(script);
  }

  async catalogs() {
    const [host, port] = this.#where.split(':');
    const client = new pg.Client({ host, port: Number(port), user: 'postgres', database: 'postgres' });
    await client.connect();
    try {
      return await readCatalogs(client);
    } finally {
      await client.end();
    }
  }

  async end() {
    await this.#server.end();
  }
}
