/**
 * The logger: the only process that writes log lines. It hears them on the bus (`logger.log`), so nobody ever waits for
 * it. It says what it has written (`logger.heard`); until then those who sent it keep it, a bounded number of lines, and
 * send it again to the logger that takes this one's place. What there is no room for is counted, and all that its
 * death or a full disk costs.
 *
 * log_destination: stderr (the console, or a file with logging_collector on), csvlog, jsonlog. Files live in
 * log_directory under log_filename, and change when log_rotation_age, log_rotation_size or pg_rotate_logfile() say so;
 * which they are stands in `current_logfiles`.
 *
 * Started by the postmaster, first of all roles. Stops: by order, having written what it was sent before; killed.
 */
import { formatLogLine, formatLogTime } from '@pgtroupe/actor/log-line';
import {
  LOG_SUBJECT,
  LOGGER_FILES_SUBJECT,
  LOGGER_GONE_SUBJECT,
  LOGGER_HEARD_SUBJECT,
  LOGGER_ROTATE_SUBJECT,
  LOGGER_WHO_SUBJECT,
  type LogHeard,
  type LogRecord,
  logLevelWanted,
  logSender,
} from '@pgtroupe/actor/log-record';
import { LogReception, parseLogMessage } from '@pgtroupe/actor/log-window';
import type { Env, Timer } from '@pgtroupe/actor/env';
import type { Settings } from '@pgtroupe/common/settings';
import { formatCsv, formatJson } from './formats.ts';
import { LogFile, type LogFileOptions } from './logfile.ts';

const DESTINATIONS = ['stderr', 'csvlog', 'jsonlog'] as const;
type Destination = (typeof DESTINATIONS)[number];
const SUFFIXES: Readonly<Record<Destination, string>> = { stderr: '.log', csvlog: '.csv', jsonlog: '.json' };
const REPORT_DROPPED_MS = 10_000;
const LAST_WORDS_MS = 50;
/** How long lines may be written without their senders knowing. */
const HEARD_MS = 100;
/** Processes whose lines are counted; those that were silent the longest are forgotten. */
const SENDERS_MAX = 1_000;
const CURRENT_LOGFILES = 'current_logfiles';

export class Logger {
  readonly #env: Env;
  readonly #settings: Settings;
  readonly #console: (text: string) => void;
  /** Tells this logger from the one before. */
  readonly #incarnation: string;
  readonly #files = new Map<Destination, LogFile>();
  readonly #senders = new Map<string, LogReception>();
  /** Who sent something since it was last said what was heard. */
  #toTell = new Set<string>();
  #telling: Timer | undefined;
  #dropped: Timer | undefined;
  #toldLost = 0;
  #listing: Promise<void> = Promise.resolve();
  readonly #unsubscribe: (() => void)[] = [];

  constructor(env: Env, settings: Settings, console: (text: string) => void) {
    this.#env = env;
    this.#settings = settings;
    this.#console = console;
    this.#incarnation = String(env.clock.wallMicros());
  }

  start(): void {
    this.#configure();
    if (this.#settings.bool('logging_collector')) {
      const hint = `Future log output will appear in directory "${this.#settings.string('log_directory')}".`;
      this.#console(this.#own('LOG', 'redirecting log output to logging collector process', hint));
    }
    this.#settings.onChange(() => this.#configure());
    const { bus } = this.#env;
    this.#unsubscribe.push(
      bus.subscribe(LOG_SUBJECT, payload => this.#received(payload)),
      // Whoever starts asks whether there is somebody to log to.
      bus.subscribe(LOGGER_WHO_SUBJECT, (_payload, _subject, reply) => {
        if (reply !== undefined) bus.respond(reply, new TextEncoder().encode(this.#incarnation));
      }),
      bus.subscribe(LOGGER_FILES_SUBJECT, (_payload, _subject, reply) => {
        if (reply !== undefined) bus.respond(reply, new TextEncoder().encode(JSON.stringify(this.#current())));
      }),
      bus.subscribe(LOGGER_ROTATE_SUBJECT, (_payload, _subject, reply) => {
        for (const file of this.#files.values()) file.rotate();
        if (reply !== undefined) bus.respond(reply, new TextEncoder().encode(JSON.stringify(this.#files.size > 0)));
      }),
    );
    // Who sent something to the logger of before sends it again.
    this.#publish({ logger: this.#incarnation, heard: {} });
  }

  /** Hears out what was sent before the order to stop. */
  async stop(): Promise<void> {
    this.#env.bus.publish(LOGGER_GONE_SUBJECT, new Uint8Array(0));
    await new Promise<void>(resolve => this.#env.timers.after(LAST_WORDS_MS, resolve));
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#telling?.cancel();
    this.#dropped?.cancel();
    for (const file of this.#files.values()) await file.close();
    this.#reportDropped();
    await this.#listing;
  }

  #received(payload: Uint8Array): void {
    const message = parseLogMessage(new TextDecoder().decode(payload));
    if (message === undefined) return;
    let record: LogRecord;
    try {
      record = JSON.parse(message.json) as LogRecord;
    } catch {
      return;
    }
    const sender = logSender(record);
    let reception = this.#senders.get(sender);
    if (reception === undefined) {
      reception = new LogReception();
      if (this.#senders.size >= SENDERS_MAX) this.#senders.delete(this.#senders.keys().next().value!);
      this.#senders.set(sender, reception);
    }
    const got = reception.take(message);
    if (got.kind === 'next') {
      if (got.lost > 0) this.#lost(got.lost, record.from);
      this.#write(record);
    }
    this.#toTell.add(sender);
    this.#telling ??= this.#env.timers.after(HEARD_MS, () => void this.#tell(), { background: true });
  }

  /** Says what was heard, once it is written. */
  async #tell(): Promise<void> {
    const senders = this.#toTell;
    this.#toTell = new Set();
    const heard: Record<string, number> = {};
    for (const sender of senders) {
      const reception = this.#senders.get(sender);
      if (reception === undefined) continue;
      heard[sender] = reception.last;
      // The last to speak are the last to be forgotten.
      this.#senders.delete(sender);
      this.#senders.set(sender, reception);
    }
    await Promise.all([...this.#files.values()].map(file => file.written()));
    this.#telling = undefined;
    this.#publish({ logger: this.#incarnation, heard });
    if (this.#toTell.size > 0) {
      this.#telling = this.#env.timers.after(HEARD_MS, () => void this.#tell(), { background: true });
    }
  }

  #publish(heard: LogHeard): void {
    this.#env.bus.publish(LOGGER_HEARD_SUBJECT, new TextEncoder().encode(JSON.stringify(heard)));
  }

  #write(record: LogRecord): void {
    // A session has looked at its own log_min_messages.
    const { fields } = record;
    if (fields?.session === undefined && !logLevelWanted(record.level, this.#settings.string('log_min_messages')))
      return;
    if (this.#files.size === 0) {
      this.#console(formatLogLine(record, this.#settings.string('log_line_prefix')));
      return;
    }
    const prefix = this.#settings.string('log_line_prefix');
    this.#files.get('stderr')?.append(formatLogLine(record, prefix));
    this.#files.get('csvlog')?.append(formatCsv(record));
    this.#files.get('jsonlog')?.append(formatJson(record));
    this.#dropped ??= this.#env.timers.after(REPORT_DROPPED_MS, () => this.#reportDropped(), { background: true });
  }

  #lost(lines: number, from: string): void {
    this.#toldLost += lines;
    this.#console(this.#own('WARNING', `${lines} log lines of ${from} were lost (${this.#toldLost} in all)`));
  }

  #own(level: 'LOG' | 'WARNING', message: string, hint?: string): string {
    const prefix = `${formatLogTime(this.#env.clock.wallMicros())} `;
    return `${prefix}${level}:  ${message}\n${hint === undefined ? '' : `${prefix}HINT:  ${hint}\n`}`;
  }

  #destinations(): Destination[] {
    const words = this.#settings
      .string('log_destination')
      .toLowerCase()
      .split(/[\s,]+/);
    const found = DESTINATIONS.filter(destination => words.includes(destination));
    return found.length > 0 ? found : ['stderr'];
  }

  #configure(): void {
    const wanted = this.#settings.bool('logging_collector') ? this.#destinations() : [];
    for (const [destination, file] of this.#files) {
      if (wanted.includes(destination)) file.configure(this.#fileOptions(destination));
      else {
        this.#files.delete(destination);
        void file.close();
      }
    }
    for (const destination of wanted) {
      if (this.#files.has(destination)) continue;
      const file = new LogFile(this.#env, this.#fileOptions(destination), () => this.#listFiles());
      this.#files.set(destination, file);
    }
    this.#listFiles();
  }

  #fileOptions(destination: Destination): LogFileOptions {
    return {
      folder: this.#settings.string('log_directory'),
      pattern: this.#settings.string('log_filename'),
      suffix: SUFFIXES[destination],
      rotationAgeMs: this.#settings.number('log_rotation_age') * 60_000,
      rotationSizeBytes: this.#settings.number('log_rotation_size') * 1024,
      truncate: this.#settings.bool('log_truncate_on_rotation'),
      mode: this.#settings.number('log_file_mode'),
    };
  }

  /** The files written to now. */
  #current(): [Destination, string][] {
    return [...this.#files].flatMap(([destination, { path }]) => (path === undefined ? [] : [[destination, path]]));
  }

  /** `current_logfiles`, for programs that follow the log. */
  #listFiles(): void {
    const { disk } = this.#env;
    this.#listing = this.#listing
      .then(async () => {
        const text = this.#current()
          .map(([destination, path]) => `${destination} ${path}\n`)
          .join('');
        if (text === '') {
          if ((await disk.stat(CURRENT_LOGFILES)) !== undefined) await disk.unlink(CURRENT_LOGFILES);
          return;
        }
        const temporary = `${CURRENT_LOGFILES}.tmp`;
        await disk.writeFile(temporary, new TextEncoder().encode(text), {
          mode: this.#settings.number('log_file_mode'),
        });
        await disk.rename(temporary, CURRENT_LOGFILES);
      })
      .catch((error: Error) => {
        this.#console(this.#own('LOG', `could not write file "${CURRENT_LOGFILES}": ${error.message}`));
      });
  }

  #reportDropped(): void {
    this.#dropped = undefined;
    for (const file of this.#files.values()) {
      const dropped = file.takeDropped();
      if (dropped > 0) this.#console(this.#own('WARNING', `${dropped} log lines could not be written`));
    }
  }
}
