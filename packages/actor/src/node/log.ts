/**
 * Log of a real process: lines go over the bus to the logger, which alone writes to the console and
 * to files, so that a blocked terminal or a full disk stops nobody else.
 *
 * Until the logger answers, lines wait (a bounded number); if it does not within PATIENCE_MS, and
 * at the end of the process, they go to this process's own stderr. So do FATAL and PANIC of a role at
 * once, because the process is about to end. Without a bus (`undefined`) everything goes to stderr.
 */
import { writeSync } from 'node:fs';
import type { Bus, Clock, Log, LogLevel } from '../env.ts';

export const LOG_SUBJECT = 'logger.log';

/** One log line as it travels; JSON, because the logger must read what any version sends. */
export interface LogRecord {
  /** Wall clock, microseconds since 1970. */
  readonly at: number;
  readonly pid: number;
  /** `walwriter`, `backend-3`. */
  readonly from: string;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** The logger answers requests on this subject while it listens. */
export const LOGGER_WHO_SUBJECT = 'logger.who';
/** The logger says so when it stops by order. */
export const LOGGER_GONE_SUBJECT = 'logger.gone';

const ASK_MS = 200;
const PATIENCE_MS = 3_000;
const WAITING_MAX = 2_000;

export interface NodeLogOptions {
  readonly clock: Clock;
  readonly bus: Bus | undefined;
  readonly from: string;
  /** DEBUG lines are dropped here unless wanted. */
  readonly debug: boolean;
}

export function nodeLog({ clock, bus, from, debug }: NodeLogOptions): Log {
  const sink = bus === undefined ? undefined : new LoggerSink(bus);
  return {
    write(level, message, fields) {
      if (level === 'DEBUG' && !debug) return;
      const record: LogRecord = {
        at: clock.wallMicros(),
        pid: process.pid,
        from,
        level,
        message,
        ...(fields === undefined ? {} : { fields }),
      };
      const last = level === 'PANIC' || (level === 'FATAL' && fields?.['session'] === undefined);
      if (sink === undefined || last) writeStderr(`${formatLogLine(record)}\n`);
      else sink.send(record);
    },
  };
}

/** Lines on their way to the logger. */
class LoggerSink {
  readonly #bus: Bus;
  readonly #encoder = new TextEncoder();
  #waiting: LogRecord[] = [];
  /** 'away' too long: straight to stderr, until it answers. */
  #logger: 'unknown' | 'there' | 'away' = 'unknown';

  constructor(bus: Bus) {
    this.#bus = bus;
    bus.subscribe(LOGGER_GONE_SUBJECT, () => {
      this.#logger = 'unknown';
      void this.#ask();
    });
    process.on('exit', () => this.#giveUp());
    void this.#ask();
  }

  send(record: LogRecord): void {
    if (this.#logger === 'there') {
      this.#bus.publish(LOG_SUBJECT, this.#encoder.encode(JSON.stringify(record)));
    } else if (this.#logger === 'away' || this.#waiting.length >= WAITING_MAX) {
      writeStderr(`${formatLogLine(record)}\n`);
    } else {
      this.#waiting.push(record);
    }
  }

  async #ask(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while ((await this.#bus.request(LOGGER_WHO_SUBJECT, new Uint8Array(0), ASK_MS)) === undefined) {
      if (this.#logger === 'unknown' && performance.now() > deadline) this.#giveUp();
      await new Promise(resolve => setTimeout(resolve, ASK_MS).unref());
    }
    this.#logger = 'there';
    for (const record of this.#waiting.splice(0)) this.send(record);
  }

  #giveUp(): void {
    this.#logger = 'away';
    for (const record of this.#waiting.splice(0)) this.send(record);
  }
}

/** A console that is gone or full loses the line, nothing else. */
export function writeStderr(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Nobody is left to be told.
  }
}

/** `2026-11-22 18:55:47.123 UTC [4711] LOG:  text`, PostgreSQL's default prefix `%m [%p] `. */
export function formatLogLine(record: LogRecord): string {
  const prefix = `${formatLogTime(record.at)} [${record.pid}] `;
  const lines = [`${prefix}${record.level}:  ${record.message}`];
  for (const key of ['detail', 'hint', 'statement'] as const) {
    const value = record.fields?.[key];
    if (typeof value === 'string') lines.push(`${prefix}${key.toUpperCase()}:  ${value}`);
  }
  return lines.join('\n');
}

export function formatLogTime(micros: number): string {
  return `${new Date(micros / 1000).toISOString().replace('T', ' ').slice(0, 23)} UTC`;
}
