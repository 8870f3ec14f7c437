/** pg_xact gives back the segments that no id from the oldest to the next one lies in, also across the end of the ids. */
import { type TransactionId } from '@pgtroupe/common/ids';
import { TRANSACTION_STATUS_COMMITTED } from '@pgtroupe/transam/clog';
import { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import { expect, it } from 'vitest';
import { ClogBuffers } from './clog-buffers.ts';

async function withPages(...pages: number[]): Promise<{ readonly clog: ClogBuffers; readonly disk: MemoryDisk }> {
  const disk = new MemoryDisk();
  await disk.mkdir('pg_xact');
  const clog = new ClogBuffers();
  for (const page of pages) {
    clog.zero(page);
    clog.setStatus((page * 32768 + 5) as TransactionId, TRANSACTION_STATUS_COMMITTED, 0);
  }
  await clog.write(disk, async () => {});
  return { clog, disk };
}

it('whole segments before the oldest id go, the rest stays', async () => {
  const { clog, disk } = await withPages(0, 31, 32, 63, 64, 70);
  await clog.truncate(disk, 40, 70);
  expect(await disk.readdir('pg_xact')).toEqual(['0001', '0002']);
  expect([0, 31, 32, 63, 64, 70].filter(page => clog.has(page))).toEqual([32, 63, 64, 70]);
  // What one try left behind the next one finds.
  await (await disk.open('pg_xact/0000', 'create')).close();
  await clog.truncate(disk, 64, 70);
  expect(await disk.readdir('pg_xact')).toEqual(['0002']);
});

it('the circle of ids closes: low pages are younger than high ones', async () => {
  const { clog, disk } = await withPages(0, 33, 100, 131_000, 131_071);
  await clog.truncate(disk, 131_000, 33);
  expect(await disk.readdir('pg_xact')).toEqual(['0000', '0001', '0FFD', '0FFF']);
  expect(clog.has(100)).toBe(false);
});
