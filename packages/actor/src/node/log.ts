/**
 * Log of a real process: lines go over the bus to the logger, which alone writes to the console and
 * to files, so that a blocked terminal or a full disk stops nobody else.
 *
 * FATAL and PANIC of a role are also written to this process's own stderr at once, because the
 * process is about to end. Without a bus (`undefined`) everything goes to stderr.
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

export interface NodeLogOptions {
  readonly clock: Clock;
  readonly bus: Bus | undefined;
  readonly from: string;
  /** DEBUG lines are dropped here unless wanted. */
  readonly debug: boolean;
}

export function nodeLog({ clock, bus, from, debug }: NodeLogOptions): Log {
  const encoder = new TextEncoder();
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
      bus?.publish(LOG_SUBJECT, encoder.encode(JSON.stringify(record)));
      const last = level === 'PANIC' || (level === 'FATAL' && fields?.['session'] === undefined);
      if (bus === undefined || last) writeStderr(`${formatLogLine(record)}\n`);
    },
  };
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
