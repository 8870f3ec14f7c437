/**
 * Log of a real process: lines go over the bus to the logger, which alone writes to the console and to files, so that a
 * blocked terminal or a full disk stops nobody else.
 *
 * A line is kept (a bounded number of them) until the logger says that it has it, and sent again to a logger that took
 * another's place. While no logger answers, lines wait; after PATIENCE_MS, and at the end of the process, they go to this
 * process's own stderr. So do FATAL and PANIC of a role at once, because the process is about to end. Without a bus
 * (`undefined`) everything goes to stderr. What there is no room for is counted and told.
 */
import type { Bus, Clock, Log } from '../env.ts';
import { formatLogLine } from '../log-line.ts';
import { LogWindow } from '../log-window.ts';
import {
  LOG_SUBJECT,
  LogCounter,
  LOGGER_GONE_SUBJECT,
  LOGGER_HEARD_SUBJECT,
  LOGGER_WHO_SUBJECT,
  type LogFields,
  type LogHeard,
  type LogLevel,
  type LogRecord,
  logSender,
} from '../log-record.ts';
import { stderrQueue, writeStderr } from './stderr.ts';

const ASK_MS = 200;
const PATIENCE_MS = 3_000;
/** So long a process that ends waits to hear who its logger is. */
const END_MS = 1_000;
const KEPT_MAX = 5_000;
const KEPT_MAX_BYTES = 16 << 20;
/** A message of the bus holds no more than a megabyte. */
const TEXT_MAX = 100_000;
const LINE_MAX_BYTES = 900_000;

export interface NodeLogOptions {
  readonly clock: Clock;
  readonly bus: Bus | undefined;
  readonly from: string;
  /** DEBUG lines are dropped here unless wanted. */
  readonly debug: boolean;
}

export interface NodeLog extends Log {
  /** Before the bus is closed: everything was sent when it resolves, or waits for this process's stderr. */
  end(): Promise<void>;
}

export function nodeLog({ clock, bus, from, debug }: NodeLogOptions): NodeLog {
  const since = clock.wallMicros();
  const counter = new LogCounter();
  const record = (level: LogLevel, message: string, fields?: LogFields): LogRecord => {
    return {
      at: clock.wallMicros(),
      pid: process.pid,
      from,
      since,
      count: counter.next(fields),
      level,
      message,
      fields,
    };
  };
  const sink =
    bus === undefined
      ? undefined
      : new LoggerSink(bus, logSender({ since, pid: process.pid }), lost =>
          record('WARNING', `${lost} log lines were lost while there was no logger`),
        );
  return {
    write(level, message, fields) {
      if (level === 'DEBUG' && !debug) return;
      const line = record(level, message, fields);
      const last = level === 'PANIC' || (level === 'FATAL' && fields?.session === undefined);
      if (sink === undefined || last) writeStderr(formatLogLine(line));
      else sink.send(line);
    },
    end: async () => sink?.end(),
  };
}

/** Lines on their way to the logger. */
class LoggerSink {
  readonly #bus: Bus;
  readonly #sender: string;
  readonly #lostLine: (lost: number) => LogRecord;
  readonly #encoder = new TextEncoder();
  readonly #window = new LogWindow(KEPT_MAX, KEPT_MAX_BYTES);
  #lost = 0;
  /** 'away' too long: straight to stderr, until it answers. */
  #logger: 'unknown' | 'there' | 'away' = 'unknown';
  #which = '';
  #asking: Promise<void> | undefined;
  /** The bus closes: what comes now goes to stderr. */
  #ended = false;
  /** Runs while something that was sent was not heard of. */
  #doubt: NodeJS.Timeout | undefined;

  constructor(bus: Bus, sender: string, lostLine: (lost: number) => LogRecord) {
    this.#bus = bus;
    this.#sender = sender;
    this.#lostLine = lostLine;
    bus.subscribe(LOGGER_GONE_SUBJECT, () => this.#doubted());
    bus.subscribe(LOGGER_HEARD_SUBJECT, payload => this.#heard(JSON.parse(new TextDecoder().decode(payload))));
    process.on('exit', () => this.#lastWords());
    this.#ask();
  }

  async end(): Promise<void> {
    if (this.#window.size > 0) {
      await Promise.race([this.#asking, new Promise(resolve => setTimeout(resolve, END_MS))]);
    }
    this.#ended = true;
  }

  send(record: LogRecord): void {
    if (this.#logger === 'away' || this.#ended) {
      stderrQueue.append(formatLogLine(record));
      return;
    }
    const line = this.#encode(record);
    if (!this.#window.hasRoom(line)) {
      if (this.#logger === 'unknown') {
        this.#lost++;
        return;
      }
      this.#window.giveUpOldest();
    }
    const message = this.#window.add(line);
    if (this.#logger === 'there') this.#publish(message);
  }

  #encode(record: LogRecord): Uint8Array {
    let line = this.#encoder.encode(JSON.stringify(record));
    for (let most = TEXT_MAX; line.length > LINE_MAX_BYTES; most = Math.floor(most / 2)) {
      line = this.#encoder.encode(JSON.stringify(shortened(record, most)));
    }
    return line;
  }

  #publish(message: Uint8Array): void {
    this.#bus.publish(LOG_SUBJECT, message);
    this.#doubt ??= setTimeout(() => this.#doubted(), PATIENCE_MS).unref();
  }

  #publishAgain(): void {
    for (const message of this.#window.messages()) this.#publish(message);
  }

  #settled(): void {
    clearTimeout(this.#doubt);
    this.#doubt = undefined;
  }

  #heard({ logger, heard }: LogHeard): void {
    if (this.#logger !== 'there') return;
    if (logger !== this.#which) {
      // Another one than that which answered: what the last one was sent may be lost.
      this.#which = logger;
      this.#settled();
      this.#publishAgain();
      return;
    }
    const upTo = heard[this.#sender];
    if (upTo === undefined || !this.#window.heard(upTo)) return;
    this.#settled();
    if (this.#window.size > 0) this.#doubt = setTimeout(() => this.#doubted(), PATIENCE_MS).unref();
  }

  /** Is there a logger? Lines wait until one says so. */
  #doubted(): void {
    this.#settled();
    if (this.#logger === 'there') this.#logger = 'unknown';
    this.#ask();
  }

  #ask(): void {
    this.#asking ??= this.#awaitAnswer().finally(() => {
      this.#asking = undefined;
    });
  }

  async #awaitAnswer(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    let answer: Uint8Array | undefined;
    for (;;) {
      answer = await this.#bus.request(LOGGER_WHO_SUBJECT, new Uint8Array(0), ASK_MS);
      if (answer !== undefined) break;
      if (this.#logger === 'unknown' && performance.now() > deadline) this.#giveUp();
      await new Promise(resolve => setTimeout(resolve, ASK_MS).unref());
    }
    if (this.#ended) return;
    this.#which = new TextDecoder().decode(answer);
    this.#logger = 'there';
    this.#publishAgain();
    if (this.#lost > 0) {
      const lost = this.#lost;
      this.#lost = 0;
      this.send(this.#lostLine(lost));
    }
  }

  #giveUp(): void {
    this.#logger = 'away';
    for (const record of this.#takeKept()) stderrQueue.append(formatLogLine(record));
  }

  #takeKept(): LogRecord[] {
    return this.#window.takeAll().map(line => JSON.parse(new TextDecoder().decode(line)) as LogRecord);
  }

  /** The process ends. What a logger was sent it has. */
  #lastWords(): void {
    if (this.#logger !== 'there') for (const record of this.#takeKept()) stderrQueue.append(formatLogLine(record));
    stderrQueue.flush();
  }
}

/** No text longer than `most` characters; what is left out is said. */
function shortened(record: LogRecord, most: number): LogRecord {
  const cut = (text: string): string =>
    text.length <= most ? text : `${text.slice(0, most)}… (${text.length - most} characters more)`;
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(record.fields ?? {})) {
    fields[name] = typeof value === 'string' ? cut(value) : value;
  }
  return { ...record, message: cut(record.message), fields: fields as LogFields };
}
