/**
 * The logger: the only process that writes log lines. It hears them on the bus (`logger.log`), so
 * nobody ever waits for it: while it is stopped or dead, lines are lost, and lost lines are all
 * that its death costs.
 *
 * log_destination: stderr (the console, or a file with logging_collector on), csvlog, jsonlog.
 * Files live in log_directory under log_filename, and change when log_rotation_age or
 * log_rotation_size say so. A full disk drops lines and counts them; it never stops the logger.
 */
import {
  formatLogLine,
  formatLogTime,
  LOG_SUBJECT,
  LOGGER_GONE_SUBJECT,
  LOGGER_WHO_SUBJECT,
  type LogRecord,
} from '@pgtroupe/actor/node/log';
import type { Env, LogLevel, Timer } from '@pgtroupe/actor/env';
import type { Settings } from '@pgtroupe/common/settings';
import { formatCsv, formatJson } from './formats.ts';
import { LogFile } from './logfile.ts';

type Destination = 'stderr' | 'csvlog' | 'jsonlog';
const SUFFIXES: Readonly<Record<Destination, string>> = { stderr: '.log', csvlog: '.csv', jsonlog: '.json' };
const REPORT_DROPPED_MS = 10_000;
const LAST_WORDS_MS = 50;
/** What log_min_messages compares by, in rising order. */
const LEVELS: readonly LogLevel[] = ['DEBUG', 'WARNING', 'ERROR', 'LOG', 'FATAL', 'PANIC'];

export class Logger {
  readonly #env: Env;
  readonly #settings: Settings;
  readonly #console: (text: string) => void;
  readonly #files = new Map<Destination, LogFile>();
  readonly #line = new Map<number, number>();
  #timer: Timer | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(env: Env, settings: Settings, console: (text: string) => void) {
    this.#env = env;
    this.#settings = settings;
    this.#console = console;
  }

  start(): void {
    this.#configure();
    this.#settings.onChange(() => this.#configure());
    this.#unsubscribe = this.#env.bus.subscribe(LOG_SUBJECT, payload => {
      let record: LogRecord;
      try {
        record = JSON.parse(new TextDecoder().decode(payload)) as LogRecord;
      } catch {
        return;
      }
      this.write(record);
    });
    // Whoever starts asks whether there is somebody to log to.
    this.#env.bus.subscribe(LOGGER_WHO_SUBJECT, (_payload, _subject, reply) => {
      if (reply !== undefined) this.#env.bus.respond(reply, new Uint8Array(0));
    });
    this.#reportDropped();
  }

  /** Hears out what was sent before the order to stop. */
  async stop(): Promise<void> {
    this.#env.bus.publish(LOGGER_GONE_SUBJECT, new Uint8Array(0));
    await new Promise<void>(resolve => this.#env.timers.after(LAST_WORDS_MS, resolve));
    this.#unsubscribe?.();
    this.#timer?.cancel();
    for (const file of this.#files.values()) await file.close();
  }

  write(record: LogRecord): void {
    if (!this.#isWanted(record.level)) return;
    const destinations = this.#destinations();
    const collecting = this.#settings.bool('logging_collector');
    if (destinations.includes('stderr') || !collecting) {
      const line = `${formatLogLine(record)}\n`;
      if (collecting) this.#files.get('stderr')?.append(line);
      else this.#console(line);
    }
    if (!collecting) return;
    const number = (this.#line.get(record.pid) ?? 0) + 1;
    this.#line.set(record.pid, number);
    if (destinations.includes('csvlog')) this.#files.get('csvlog')?.append(formatCsv(record, number));
    if (destinations.includes('jsonlog')) this.#files.get('jsonlog')?.append(formatJson(record, number));
  }

  #isWanted(level: LogLevel): boolean {
    const least = this.#settings.string('log_min_messages').toUpperCase();
    const floor = least.startsWith('DEBUG') || least === 'INFO' || least === 'NOTICE' ? 'DEBUG' : least;
    return LEVELS.indexOf(level) >= LEVELS.indexOf(floor as LogLevel);
  }

  #destinations(): Destination[] {
    return this.#settings
      .string('log_destination')
      .split(',')
      .map(word => word.trim().toLowerCase())
      .filter((word): word is Destination => word in SUFFIXES);
  }

  #configure(): void {
    const wanted = this.#settings.bool('logging_collector') ? this.#destinations() : [];
    for (const [destination, file] of this.#files) {
      this.#files.delete(destination);
      void file.close();
    }
    for (const destination of wanted) {
      this.#files.set(
        destination,
        new LogFile(this.#env, {
          folder: this.#settings.string('log_directory'),
          pattern: this.#settings.string('log_filename'),
          suffix: SUFFIXES[destination],
          rotationAgeMs: this.#settings.number('log_rotation_age') * 60_000,
          rotationSizeBytes: this.#settings.number('log_rotation_size') * 1024,
          truncate: this.#settings.bool('log_truncate_on_rotation'),
          mode: this.#settings.number('log_file_mode'),
        }),
      );
    }
  }

  #reportDropped(): void {
    for (const file of this.#files.values()) {
      const dropped = file.takeDropped();
      if (dropped > 0) {
        this.#console(
          `${formatLogTime(this.#env.clock.wallMicros())} WARNING:  ${dropped} log lines could not be written\n`,
        );
      }
    }
    this.#timer = this.#env.timers.after(REPORT_DROPPED_MS, () => this.#reportDropped(), { background: true });
  }
}
