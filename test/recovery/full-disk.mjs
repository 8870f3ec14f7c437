/**
 * A disk that gets full: a small tmpfs which holds the data directory, or its pg_wal alone, and a file that takes
 * what is left of it. Needs root.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** SQLSTATEs that say what is the matter, or that the transaction may be tried again. */
const CLEAN = /^(53[0-9A-Z]{3}|40001|57P0[123])$/;
const CHUNK = Buffer.alloc(1 << 20);

export function canMount() {
  return process.getuid() === 0 && process.platform === 'linux';
}

export class SmallDisk {
  constructor(megabytes) {
    this.path = mkdtempSync(join(tmpdir(), 'pgtroupe-small-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'none', this.path]);
  }

  /** A folder of the data directory moves here: pg_wal, or base. */
  take(data, folder) {
    const here = join(this.path, folder);
    cpSync(join(data, folder), here, { recursive: true });
    renameSync(join(data, folder), join(data, '..', `${folder}.moved`));
    symlinkSync(here, join(data, folder));
  }

  fill() {
    const file = openSync(join(this.path, 'filler'), 'a');
    try {
      for (let chunk = CHUNK; chunk.length > 0; ) {
        try {
          if (writeSync(file, chunk) < chunk.length) chunk = chunk.subarray(chunk.length >> 1);
        } catch (error) {
          if (error.code !== 'ENOSPC') throw error;
          chunk = chunk.subarray(0, chunk.length >> 1);
        }
      }
    } finally {
      closeSync(file);
    }
  }

  empty() {
    try {
      unlinkSync(join(this.path, 'filler'));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }

  remove() {
    execFileSync('umount', [this.path]);
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** What clients were told that says neither what is the matter nor to try again. */
export function uncleanErrors(before, after) {
  return [...after]
    .filter(([code, count]) => count > (before.get(code) ?? 0) && !CLEAN.test(code))
    .map(([code]) => code);
}
