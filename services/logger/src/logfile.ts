/**
 * One log file and its successors (syslogger.c). Lines are gathered and written one write at a time; what cannot be held
 * (QUEUE_MAX) or written is dropped and counted.
 */
import type { DiskError, DiskFile, Env } from '@pgtroupe/actor/env';
import { strftime } from './strftime.ts';

export interface LogFileOptions {
  readonly folder: string;
  /** log_filename, with strftime escapes. */
  readonly pattern: string;
  readonly suffix: string;
  /** 0: never. */
  readonly rotationAgeMs: number;
  /** 0: never. */
  readonly rotationSizeBytes: number;
  readonly truncate: boolean;
  readonly mode: number;
}

const QUEUE_MAX = 10_000;
const MICROS_PER_MS = 1000;

interface OpenFile {
  readonly path: string;
  readonly file: DiskFile;
  sizeBytes: number;
}

type Rotation = 'age' | 'size' | 'asked';

export class LogFile {
  readonly #env: Env;
  readonly #onPath: () => void;
  #options: LogFileOptions;
  #queue: string[] = [];
  #dropped = 0;
  #open: OpenFile | undefined;
  /** Which span of log_rotation_age the file is of. */
  #period = 0;
  #asked = false;
  #busy: Promise<void> | undefined;
  #closed = false;

  /** `onPath`: it has another path from now on. */
  constructor(env: Env, options: LogFileOptions, onPath: () => void) {
    this.#env = env;
    this.#options = options;
    this.#onPath = onPath;
    this.#wake();
  }

  /** Where it writes now; undefined: nowhere. */
  get path(): string | undefined {
    return this.#open?.path;
  }

  append(line: string): void {
    if (this.#closed || this.#queue.length >= QUEUE_MAX) {
      this.#dropped++;
      return;
    }
    this.#queue.push(line);
    this.#wake();
  }

  /** Resolves when everything appended so far is written, or dropped. */
  async written(): Promise<void> {
    while (this.#busy !== undefined) await this.#busy;
  }

  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  /** Goes on in another place if the options say so. */
  configure(options: LogFileOptions): void {
    const moved = options.folder !== this.#options.folder || options.pattern !== this.#options.pattern;
    this.#options = options;
    if (moved) this.rotate();
  }

  /** Goes on in the file that its name stands for now. */
  rotate(): void {
    this.#asked = true;
    this.#wake();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.written();
    await this.#open?.file.close().catch(() => {});
  }

  #wake(): void {
    this.#busy ??= this.#drain().finally(() => {
      this.#busy = undefined;
      if (this.#queue.length > 0) this.#wake();
    });
  }

  async #drain(): Promise<void> {
    // One turn's lines go out together.
    await Promise.resolve();
    do {
      const lines = this.#queue;
      this.#queue = [];
      try {
        const open = await this.#current();
        const bytes = new TextEncoder().encode(lines.join(''));
        if (bytes.length > 0) await open.file.write(bytes, open.sizeBytes);
        open.sizeBytes += bytes.length;
      } catch {
        this.#dropped += lines.length;
      }
    } while (this.#queue.length > 0);
  }

  /** The file to write to now, changed when its time or size is up. One that cannot be changed is kept. */
  async #current(): Promise<OpenFile> {
    const { rotationAgeMs, rotationSizeBytes } = this.#options;
    const nowMs = this.#env.clock.wallMicros() / MICROS_PER_MS;
    const period = rotationAgeMs > 0 ? Math.floor(nowMs / rotationAgeMs) : 0;
    const open = this.#open;
    if (open === undefined) {
      this.#period = period;
      return this.#openAt(nowMs, 'asked');
    }
    const aged = rotationAgeMs > 0 && period !== this.#period;
    const full = rotationSizeBytes > 0 && open.sizeBytes >= rotationSizeBytes;
    if (!aged && !full && !this.#asked) return open;
    this.#period = period;
    try {
      return await this.#openAt(nowMs, aged ? 'age' : full ? 'size' : 'asked');
    } catch {
      return open;
    }
  }

  async #openAt(nowMs: number, why: Rotation): Promise<OpenFile> {
    const { truncate, folder, pattern, suffix, mode } = this.#options;
    const before = this.#open;
    const path = `${folder}/${strftime(pattern, nowMs).replace(/\.log$/, '')}${suffix}`;
    const { disk } = this.#env;
    if (path === before?.path && (await disk.stat(path)) !== undefined) {
      this.#asked = false;
      return before;
    }
    await disk.mkdir(folder).catch((error: DiskError) => {
      if (error.code !== 'EEXIST') throw error;
    });
    const found = await disk.stat(path);
    if (found === undefined) await disk.writeFile(path, new Uint8Array(0), { mode });
    const file = await disk.open(path, 'write');
    // Only a file of an earlier round, never what was written a moment ago.
    const anew = why === 'age' && truncate && found !== undefined && before !== undefined && path !== before.path;
    try {
      if (anew) await file.truncate(0);
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
    this.#open = { path, file, sizeBytes: anew ? 0 : (found?.sizeBytes ?? 0) };
    this.#asked = false;
    await before?.file.close().catch(() => {});
    this.#onPath();
    return this.#open;
  }
}
