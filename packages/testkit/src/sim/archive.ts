/**
 * Where the simulated archive_command puts WAL: another machine, which no fault touches.
 *
 * The command takes a while, fails now and then (sometimes after its work is done), and goes on when the archiver that
 * started it is killed. It does as PostgreSQL's documentation wants: the same content under the same name is no error,
 * other content is. The archive must have no gap, and hold nothing twice: what speaks against it is a violation.
 */
import type { CommandEnd, Commands } from '@pgtroupe/actor/env';
import type { TimeLineID, XLogRecPtr } from '@pgtroupe/common/ids';
import { parseXLogFileName, XLOG_SEG_SIZE, xlogFileName } from '@pgtroupe/transam/xlogpage';
import { WalEnd, XLogReader } from '@pgtroupe/transam/xlogreader';
import type { SimProcess } from './process.ts';
import type { World } from './world.ts';

/** For SimCluster's settings. */
export const ARCHIVE_SETTINGS = { archive_mode: 'on', archive_command: 'archive %p %f', archive_timeout: '1' };

const FAILS = 0.06;
const FAILS_AFTERWARDS = 0.06;
const READ_BYTES = 1024 * 1024;

export class SimArchive {
  readonly #world: World;
  /** Without the zeros at their end. */
  readonly #files = new Map<string, Buffer>();
  readonly violations: string[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  has(file: string): boolean {
    return this.#files.has(file);
  }

  get size(): number {
    return this.#files.size;
  }

  /** For one archiver. */
  commands(process: () => SimProcess): Commands {
    const world = this.#world;
    return {
      run: async command => {
        const [, path, file] = /^archive (\S+) (\S+)$/.exec(command)!;
        const bytes = await process().env.disk.readFile(path!);
        return new Promise<CommandEnd>(resolve => {
          world.schedule(world.between(0.5, 30), () => {
            const code = this.#take(file!, bytes);
            process().deliver(world.between(0, 5), () => resolve({ kind: 'exited', code }));
          });
        });
      },
    };
  }

  #take(file: string, bytes: Uint8Array): number {
    const chance = this.#world.random.uniform();
    if (chance < FAILS) return 1;
    if (bytes.length !== XLOG_SEG_SIZE) return this.#wrong(`${file} has ${bytes.length} bytes`);
    let length = bytes.length;
    while (length > 0 && bytes[length - 1] === 0) length--;
    const content = Buffer.from(bytes.subarray(0, length));
    const known = this.#files.get(file);
    if (known !== undefined && !known.equals(content)) return this.#wrong(`${file} comes again with other content`);
    if (known === undefined) {
      const segno = parseXLogFileName(file)?.segno ?? -1;
      if (segno !== this.#files.size + 1) return this.#wrong(`${file} comes behind ${this.#files.size} others`);
      this.#files.set(file, content);
    }
    return chance < FAILS + FAILS_AFTERWARDS ? 1 : 0;
  }

  #wrong(what: string): number {
    this.violations.push(`archive: ${what}`);
    return 1;
  }

  /** Its records can be read from the first to the end of the last segment. Throws when not. */
  readToEnd(): void {
    const first = this.#files.get(xlogFileName(1, 1))!;
    const systemIdentifier = first.readBigUInt64LE(24);
    const reader = new XLogReader({ systemIdentifier, tli: 1 as TimeLineID }, (XLOG_SEG_SIZE + 40) as XLogRecPtr);
    const end = (this.#files.size + 1) * XLOG_SEG_SIZE;
    for (;;) {
      const got = reader.next();
      if (got instanceof WalEnd) throw new Error(`the archive ends at ${got.lsn}, not at ${end}: ${got.why}`);
      if (got !== undefined) continue;
      const at = reader.wants;
      // The last record may go on in the next segment.
      if (at >= end) return;
      const offset = at % XLOG_SEG_SIZE;
      const piece = Buffer.alloc(Math.min(READ_BYTES, XLOG_SEG_SIZE - offset));
      const file = this.#files.get(xlogFileName(1, Math.floor(at / XLOG_SEG_SIZE)))!;
      file.subarray(offset, offset + piece.length).copy(piece);
      reader.feed(piece);
    }
  }
}
