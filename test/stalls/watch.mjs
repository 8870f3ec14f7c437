/**
 * Watches one statement from the side: what the longest wait of a neighbour was, a session of the same instance that asks `select 1` every
 * 10 ms, and how soon the statement ends when it is cancelled.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { cancel, Client } from './client.mjs';

const EVERY_MS = 10;

/** What a process's main thread has computed: unlike time it doesn't grow with what else the machine does. */
function cpuMs(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return 0;
  }
}

class Neighbour {
  #client;
  #stopped = false;
  #server;
  /** The longest wait, and the most that the instance's main thread computed during one. */
  gapMs = 0;
  busyMs = 0;
  lost = 0;
  #asking = false;
  #askedAt = 0;
  #cpuAt = 0;

  constructor(server) {
    this.#server = server;
    this.done = this.#loop();
  }

  /** Forgets what was; a question on its way counts from now. */
  reset() {
    this.gapMs = 0;
    this.busyMs = 0;
    this.#ask();
  }

  /** A question that is still unanswered counts. */
  look() {
    if (!this.#asking) return;
    this.gapMs = Math.max(this.gapMs, performance.now() - this.#askedAt);
    this.busyMs = Math.max(this.busyMs, cpuMs(this.#server.osPid) - this.#cpuAt);
  }

  #ask() {
    this.#askedAt = performance.now();
    this.#cpuAt = cpuMs(this.#server.osPid);
  }

  async #loop() {
    this.#client = await Client.open(this.#server);
    while (!this.#stopped) {
      if (this.#client.closed) {
        this.lost++;
        await sleep(100);
        this.#client = await Client.open(this.#server);
      }
      this.#ask();
      this.#asking = true;
      await this.#client.query('select 1');
      this.look();
      this.#asking = false;
      await sleep(EVERY_MS);
    }
    this.#client.close();
  }

  stop() {
    this.#stopped = true;
    return this.done;
  }
}

/** `server.osPid`: the process both sessions live in, if its memory is to be told. */
export class Watch {
  #server;
  #worker;
  #neighbour;

  constructor(server) {
    this.#server = server;
  }

  async start() {
    this.#neighbour = new Neighbour(this.#server);
    this.#worker = new Worker(new URL('statement.mjs', import.meta.url), {
      workerData: { server: { host: this.#server.host, port: this.#server.port, database: this.#server.database } },
      execArgv: [],
    });
    this.#worker.on('error', error => {
      throw error;
    });
    await this.#answer(message => message.ready);
    return this;
  }

  async stop() {
    await this.#worker.terminate();
    await this.#neighbour.stop();
  }

  #answer(what) {
    return new Promise(resolve => {
      const take = message => {
        if (!what(message)) return;
        this.#worker.off('message', take);
        resolve(message);
      };
      this.#worker.on('message', take);
    });
  }

  async ask(sql) {
    const answered = this.#answer(message => message.answer !== undefined);
    this.#worker.postMessage({ sql });
    return (await answered).answer;
  }

  /** The case, with nobody in its way. */
  run(name) {
    return this.#watched(name);
  }

  /** The case, cancelled after a while: how long it went on. */
  async cancelled(name, afterMs) {
    const { answer, ms } = await this.#watched(name, async (key, settled) => {
      await Promise.race([sleep(afterMs), settled]);
      cancel(this.#server, key);
    });
    await this.ask('rollback');
    return { answer, lateMs: ms - afterMs };
  }

  async timedOut(name, afterMs) {
    await this.ask(`set statement_timeout = ${Math.round(afterMs)}`);
    const { answer, ms } = await this.#watched(name);
    await this.ask('rollback');
    await this.ask('reset statement_timeout');
    return { answer, lateMs: ms - afterMs };
  }

  async #watched(name, meanwhile) {
    const neighbour = this.#neighbour;
    const begins = this.#answer(message => message.begins);
    const answered = this.#answer(message => message.answer !== undefined);
    const lost = neighbour.lost;
    this.#worker.postMessage({ name });
    const { begins: key } = await begins;
    neighbour.reset();
    this.#memory('reset');
    await meanwhile?.(key, answered);
    const { answer, ms } = await answered;
    neighbour.look();
    const { gapMs, busyMs } = neighbour;
    return { answer, ms, gapMs, busyMs, memoryMb: this.#memory('peak'), lost: neighbour.lost - lost };
  }

  /** The peak of the instance's memory since the last reset. */
  #memory(what) {
    const pid = this.#server.osPid;
    if (pid === undefined) return undefined;
    try {
      if (what === 'reset') return void writeFileSync(`/proc/${pid}/clear_refs`, '5');
      return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024);
    } catch {
      return undefined;
    }
  }

  /** What a neighbour waits when nothing goes on. */
  async noise(ms) {
    this.#neighbour.reset();
    await sleep(ms);
    return { gapMs: this.#neighbour.gapMs, busyMs: this.#neighbour.busyMs };
  }
}
