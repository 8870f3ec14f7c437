/** Errors of the disk, one at every call in turn, and a power failure after the next checkpoint that succeeds. */
import { type Disk, DiskError } from '@pgtroupe/actor/env';
import { FaultDisk } from '@pgtroupe/actor/fault-disk';
import { syncOrEnd } from '@pgtroupe/actor/sync-or-end';
import type { Oid, RelFileNode, TransactionId } from '@pgtroupe/common/ids';
import { TRANSACTION_STATUS_COMMITTED } from '@pgtroupe/transam/clog';
import { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import { type DiskCall, troubledDisk } from '@pgtroupe/testkit/sim/troubled-disk';
import { describe, expect, it } from 'vitest';
import { ClogBuffers } from './clog-buffers.ts';
import { StorageManager } from './smgr.ts';

const rel = (relNode: number): RelFileNode => ({ spcNode: 1663 as Oid, dbNode: 5 as Oid, relNode: relNode as Oid });
const image = (fill: number): Uint8Array => new Uint8Array(8192).fill(fill);

async function newMachine(): Promise<{ readonly platter: MemoryDisk; readonly machine: FaultDisk }> {
  const platter = new MemoryDisk();
  for (const folder of ['base', 'base/5', 'pg_xact']) await platter.mkdir(folder);
  return { platter, machine: new FaultDisk(platter) };
}

/** A class's methods do not come along when an object is spread. */
function methodsOf(disk: FaultDisk): Disk {
  return troubledDisk(disk, () => undefined);
}

/** Fails the n-th call of `attempt` for every n there is, tries again without errors, cuts the power. */
async function everyCall(
  codes: readonly string[],
  stage: (machine: FaultDisk) => Promise<{
    attempt(disk: Disk): Promise<void>;
    verify(platter: MemoryDisk): Promise<void>;
  }>,
): Promise<number> {
  for (let n = 0; ; n++) {
    for (const code of codes) {
      const { platter, machine } = await newMachine();
      const { attempt, verify } = await stage(machine);
      let calls = 0;
      let armed = true;
      let met: DiskCall | undefined;
      const disk = troubledDisk(machine, call => {
        // What a failed sync does is another matter: the process ends.
        if (call === 'sync' || !armed || calls++ !== n) return undefined;
        met = call;
        return code;
      });
      let failed = false;
      await attempt(disk).catch((error: unknown) => {
        expect(error).toBeInstanceOf(DiskError);
        failed = true;
      });
      if (met === undefined && !failed) return n;
      armed = false;
      if (failed) await attempt(disk);
      machine.loseAll();
      await verify(platter);
    }
  }
}

describe('a checkpoint that meets an error', () => {
  it('forgets no page of pg_xact', async () => {
    const xids = [5, 40_000, 1_100_000] as TransactionId[];
    const calls = await everyCall(['ENOSPC', 'EIO', 'EMFILE', 'ENOENT'], async () => {
      const clog = new ClogBuffers();
      for (const page of [0, 1, 33]) clog.zero(page);
      for (const xid of xids) clog.setStatus(xid, TRANSACTION_STATUS_COMMITTED, 0);
      return {
        attempt: disk => clog.write(disk, async () => {}),
        verify: async platter => {
          const again = new ClogBuffers();
          await again.load(platter, 0, 33);
          expect(xids.map(xid => again.status(xid))).toEqual(xids.map(() => TRANSACTION_STATUS_COMMITTED));
        },
      };
    });
    expect(calls).toBeGreaterThan(5);
  });

  it('syncs with the next one what it wrote and did not sync', async () => {
    const calls = await everyCall(['EIO', 'EMFILE', 'ENOENT'], async machine => {
      const smgrs: StorageManager[] = [];
      for (const n of [1, 2, 3]) await new StorageManager(machine).create(rel(n), 0);
      await machine.syncDir('base/5');
      for (const n of [1, 2, 3]) await new StorageManager(machine).write(rel(n), 0, 0, image(n));
      return {
        attempt: async disk => {
          if (smgrs.length === 0) {
            const smgr = new StorageManager(disk);
            // Who wrote them has no handle of them any more: each is opened again.
            for (const n of [1, 2, 3]) smgr.suspect(rel(n), 0, 0);
            smgrs.push(smgr);
          }
          await smgrs[0]!.syncAll(() => 0);
        },
        verify: async platter => {
          for (const n of [1, 2, 3]) expect((await platter.readFile(`base/5/${n}`))[0]).toBe(n);
        },
      };
    });
    expect(calls).toBeGreaterThan(2);
  });

  it.each(['before', 'behind'])('is not stopped by a file whose drop begins just %s it', async when => {
    const { machine } = await newMachine();
    const smgr = new StorageManager(machine);
    for (const n of [1, 2]) {
      await smgr.create(rel(n), 0);
      await smgr.write(rel(n), 0, 0, image(n));
    }
    await smgr.close();
    for (const n of [1, 2]) smgr.suspect(rel(n), 0, 0);
    const drop = (): Promise<void> => smgr.unlink(rel(1), 0, false);
    await Promise.all(when === 'before' ? [drop(), smgr.syncAll(() => 0)] : [smgr.syncAll(() => 0), drop()]);
    expect((await smgr.syncAll(() => 0)).files).toBe(0);
    expect(await machine.readdir('base/5')).toEqual(['2']);
  });

  it('fails for a file that is gone and was not dropped', async () => {
    const { machine } = await newMachine();
    const smgr = new StorageManager(machine);
    await smgr.create(rel(1), 0);
    smgr.suspect(rel(1), 0, 0);
    await machine.rename('base/5/1', 'base/5/aside');
    await expect(smgr.syncAll(() => 0)).rejects.toThrow('base/5/1');
    await machine.rename('base/5/aside', 'base/5/1');
    expect((await smgr.syncAll(() => 0)).files).toBe(1);
  });

  it('does not wait for ever for what could not be opened', async () => {
    const { machine } = await newMachine();
    const smgr = new StorageManager(machine);
    await expect(smgr.write(rel(1), 0, 0, image(1))).rejects.toThrow('base/5/1');
    expect((await smgr.syncAll(() => 0)).files).toBe(0);
  });
});

describe('StorageManager', () => {
  it('gives handles back when there are none left', async () => {
    const { machine } = await newMachine();
    let open = 0;
    const few: Disk = {
      ...methodsOf(machine),
      open: async (path, mode) => {
        if (open >= 3) throw new DiskError('EMFILE', path, 'too many open files');
        open++;
        const file = await machine.open(path, mode);
        return {
          ...file,
          close: async () => {
            open--;
            await file.close();
          },
        };
      },
    };
    const smgr = new StorageManager(few);
    for (let n = 1; n <= 10; n++) {
      await smgr.create(rel(n), 0).catch(() => smgr.close().then(() => smgr.create(rel(n), 0)));
      await smgr.write(rel(n), 0, 0, image(n));
    }
    const got = new Uint8Array(8192);
    await smgr.read(rel(1), 0, 0, got);
    expect(got[0]).toBe(1);
  });

  it('closes no file that somebody is using', async () => {
    const { machine } = await newMachine();
    const closed = new Set<string>();
    const strict: Disk = {
      ...methodsOf(machine),
      open: async (path, mode) => {
        const file = await machine.open(path, mode);
        const id = `${path} ${closed.size} ${Math.random()}`;
        const use = <T>(run: () => Promise<T>): Promise<T> =>
          closed.has(id) ? Promise.reject(new DiskError('EBADF', path, 'file closed')) : run();
        return {
          ...file,
          truncate: size => use(() => file.truncate(size)),
          datasync: () => use(() => file.datasync()),
          close: async () => {
            closed.add(id);
          },
        };
      },
    };
    const smgr = new StorageManager(strict);
    const files = Array.from({ length: 900 }, (_, n) => rel(n + 1));
    for (const file of files) await smgr.create(file, 0);
    // As DROP SCHEMA does it, beside a checkpoint.
    const outcomes = await Promise.allSettled([
      ...files.map(file => smgr.unlink(file, 0, true)),
      smgr.syncAll(() => 0),
    ]);
    expect(outcomes.filter(o => o.status === 'rejected')).toEqual([]);
  });

  it('ends the process when a sync fails, and does not try again', async () => {
    const { machine } = await newMachine();
    let tries = 0;
    const disk = syncOrEnd(
      troubledDisk(machine, call => (call === 'sync' && ++tries > 0 ? 'EIO' : undefined)),
      path => {
        throw new Error(`PANIC: ${path}`);
      },
    );
    const smgr = new StorageManager(disk);
    await smgr.create(rel(1), 0);
    await expect(smgr.syncAll(() => 0)).rejects.toThrow('PANIC: base/5/1');
    expect(tries).toBe(1);
  });
});
