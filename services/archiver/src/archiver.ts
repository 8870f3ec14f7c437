/**
 * The archiver: copies WAL that is complete to where archive_command puts it.
 *
 * Purpose    runs archive_command for every finished WAL segment, history files first, then the oldest.
 * Promise    none by itself: what is ready and what is done the walwriter keeps, and removes nothing that is not done.
 *            A command that succeeded may be run again for the same file, when somebody died before that was noted:
 *            as with PostgreSQL, it must take the same content for the same name.
 * Started by the postmaster, when archive_mode is on.
 * Stops      on `stop`, smart or fast, when what is ready is archived or could not be (after the shutdown checkpoint,
 *            the walwriter being the next to stop); immediate: at once, and the command with it; FATAL when the shell
 *            did not find the command, or a signal ended it.
 * Its death  concerns nobody: its successor asks for the oldest file that is ready. Not sooner than 10 s after the last
 *            launch, so that a wrong command does not keep the machine busy.
 *
 * It has no access to pg_wal: the walwriter sends the bytes, and the command gets a copy in this role's scratch folder,
 * which is also the command's working directory.
 */
import { type Commands, DiskError, type Env, isMissing, type Timer } from '@pgtroupe/actor/env';
import { EXIT_FATAL } from '@pgtroupe/actor/lifecycle';
import type { Failpoint } from '@pgtroupe/actor/failpoint';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import { type ArchiveOrder, type ArchiveReport, WalWriterDefinition } from '@pgtroupe/rpc/generated/walwriter';
import { streamMethod } from '@pgtroupe/rpc/method';
import { archiveCommand, archiveFailure } from './shell-archive.ts';

const ARCHIVE = streamMethod(WalWriterDefinition, 'archive');

/** Where copies are, and what the command is told. */
const FOLDER = 'pg_wal';
const NUM_ARCHIVE_RETRIES = 3;
const RETRY_MS = 1000;
/** PGARCH_AUTOWAKE_INTERVAL: it looks by itself so often. */
const AUTOWAKE_MS = 60_000;
const REOPEN_MS = 100;
/** A walwriter that is not there by then does not come any more when all are stopping. */
const STOP_PATIENCE_MS = 5000;

type Report = NonNullable<ArchiveReport['report']>;
type Answer = Exclude<Report, { $case: 'ready' }>;
type Stream = RpcStream<ArchiveOrder, ArchiveReport>;

class Lost extends Error {
  override readonly name = 'Lost';
}

export interface ArchiverOptions {
  readonly walwriter: string;
  readonly archiveCommand: () => string;
  readonly failpoint: Failpoint;
}

export class Archiver {
  readonly #env: Env;
  readonly #commands: Commands;
  readonly #options: ArchiverOptions;
  #stream: Stream | undefined;
  #answer: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;
  /** Somebody said that there is more to do since it was looked for. */
  #woken = true;
  #wake: (() => void) | undefined;
  #stopping = false;
  #running: Promise<void> | undefined;

  constructor(env: Env, commands: Commands, options: ArchiverOptions) {
    this.#env = env;
    this.#commands = commands;
    this.#options = options;
  }

  /** Resolves when there is a folder for copies; the rest goes on by itself. */
  async start(): Promise<void> {
    const { disk } = this.#env;
    // What a predecessor left.
    const left = await disk.readdir(FOLDER).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
      return undefined;
    });
    if (left === undefined) await disk.mkdir(FOLDER);
    for (const name of left ?? []) await disk.unlink(`${FOLDER}/${name}`);
    this.#connect();
    this.#running = this.#run();
  }

  /** Archives what is ready. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.wake();
    await this.#running;
    this.#stream?.end();
  }

  /** There may be something to do, or another way to do it. */
  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  #connect(): void {
    const stream = this.#env.rpc.open(this.#options.walwriter, ARCHIVE);
    this.#stream = stream;
    stream.onMessage = ({ report }) => {
      if (report?.$case === 'ready') return this.wake();
      if (report !== undefined) this.#answer?.resolve(report);
      this.#answer = undefined;
    };
    stream.onEnd = () => {
      this.#stream = undefined;
      this.#answer?.reject(new Lost('the walwriter is gone'));
      this.#answer = undefined;
      this.#env.timers.after(REOPEN_MS, () => this.#connect(), { background: true });
    };
  }

  /** pgarch_MainLoop. One more cycle begins after `stop`. */
  async #run(): Promise<void> {
    for (;;) {
      const last = this.#stopping;
      this.#woken = false;
      const done = await this.#cycle();
      if (done && last) return;
      if (!done) {
        if (last && !(await this.#found())) return;
        await this.#sleep(REOPEN_MS);
      } else if (!this.#woken) await this.#rest();
    }
  }

  /** Is there a walwriter, or does one come? */
  async #found(): Promise<boolean> {
    const { clock } = this.#env;
    const untilMs = clock.nowMs() + STOP_PATIENCE_MS;
    while (clock.nowMs() < untilMs) {
      await this.#sleep(REOPEN_MS);
      try {
        await this.#ask({ $case: 'next', value: {} }, 'file', 'nothing');
        return true;
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
      }
    }
    return false;
  }

  /** pgarch_ArchiverCopyLoop: everything that is ready, until a file cannot be archived. False: the walwriter went. */
  async #cycle(): Promise<boolean> {
    try {
      for (;;) {
        const next = await this.#ask({ $case: 'next', value: {} }, 'file', 'nothing');
        if (next.$case === 'nothing' || !(await this.#archiveWithRetries(next.value.name))) return true;
      }
    } catch (error) {
      if (error instanceof Lost) return false;
      throw error;
    }
  }

  /** False: not now. */
  async #archiveWithRetries(name: string): Promise<boolean> {
    let copied = false;
    try {
      for (let failures = 0; ; ) {
        const template = this.#options.archiveCommand();
        if (template === '') {
          this.#env.log.write('WARNING', 'archive_mode enabled, yet archiving is not configured');
          return false;
        }
        copied ||= await this.#copy(name);
        if (copied && (await this.#archive(template, name))) break;
        this.#stream?.send({ order: { $case: 'failed', value: { name } } });
        if (++failures >= NUM_ARCHIVE_RETRIES) {
          this.#env.log.write(
            'WARNING',
            `archiving write-ahead log file "${name}" failed too many times, will try again later`,
          );
          return false;
        }
        await this.#sleep(RETRY_MS);
      }
      await this.#options.failpoint('archiver-before-done');
      await this.#ask({ $case: 'done', value: { name } }, 'kept');
      this.#env.log.write('DEBUG', `archived write-ahead log file "${name}"`);
      return true;
    } finally {
      await this.#removeCopy(name);
    }
  }

  /** shell_archive_file. */
  async #archive(template: string, name: string): Promise<boolean> {
    const command = archiveCommand(template, `${FOLDER}/${name}`, name);
    await this.#options.failpoint('archiver-before-command');
    const failure = archiveFailure(await this.#commands.run(command));
    if (failure === undefined) return true;
    const detail = `The failed archive command was: ${command}`;
    this.#env.log.write(failure.ends ? 'FATAL' : 'LOG', failure.message, { detail });
    if (failure.ends) this.#env.exit(EXIT_FATAL);
    return false;
  }

  /** Brings the file here. False: the scratch folder has no room for it, or worse. */
  async #copy(name: string): Promise<boolean> {
    const path = `${FOLDER}/${name}`;
    try {
      const file = await this.#env.disk.open(path, 'create');
      try {
        for (let offset = 0; ; ) {
          const { value } = await this.#ask({ $case: 'read', value: { name, offset } }, 'chunk');
          if (value.data.length === 0) return true;
          await file.write(value.data, offset);
          offset += value.data.length;
        }
      } finally {
        await file.close();
      }
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#env.log.write('LOG', `could not copy write-ahead log file "${name}" for archiving: ${error.message}`);
      return false;
    }
  }

  async #removeCopy(name: string): Promise<void> {
    try {
      await this.#env.disk.unlink(`${FOLDER}/${name}`);
    } catch (error) {
      // It is in nobody's way.
      if (!(error instanceof DiskError)) throw error;
    }
  }

  /** Gives an order and awaits one of the answers it may have. */
  async #ask<K extends Answer['$case']>(
    order: NonNullable<ArchiveOrder['order']>,
    ...expected: readonly K[]
  ): Promise<Extract<Answer, { $case: K }>> {
    const stream = this.#stream;
    if (stream === undefined) throw new Lost('the walwriter is not there');
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#answer = { resolve, reject };
      stream.send({ order });
    });
    if (!(expected as readonly string[]).includes(answer.$case)) throw new Lost(`unexpected answer ${answer.$case}`);
    return answer as Extract<Answer, { $case: K }>;
  }

  async #rest(): Promise<void> {
    let timer: Timer | undefined;
    await new Promise<void>(resolve => {
      this.#wake = resolve;
      timer = this.#env.timers.after(AUTOWAKE_MS, resolve, { background: true });
    });
    this.#wake = undefined;
    timer?.cancel();
  }

  #sleep(ms: number): Promise<void> {
    return new Promise(resolve => this.#env.timers.after(ms, resolve));
  }
}
