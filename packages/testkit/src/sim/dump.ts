/** A platter as a real folder, for PostgreSQL's own programs to judge. */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MemoryDisk } from './memory-disk.ts';

export async function dumpPlatter(platter: MemoryDisk): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'pgtroupe-sim-'));
  for (const path of platter.folders()) mkdirSync(join(folder, path), { recursive: true });
  for await (const { path, data } of platter.entries()) writeFileSync(join(folder, path), data);
  chmodSync(folder, 0o700);
  return folder;
}
