/** What becomes of a temporary file's handle. */
import { DiskError } from '@pgtroupe/actor/env';
import { expect, it } from 'vitest';
import type { Session } from './session.ts';
import { SessionTempFiles } from './temp-files.ts';

it('a file that cannot lose its name is closed: nobody else would', async () => {
  let open = 0;
  const disk = {
    open: async () => {
      open++;
      return { close: async () => void open-- };
    },
    unlink: (path: string) => Promise.reject(new DiskError('EIO', path, 'EIO: i/o error, unlink')),
  };
  const settings = { number: () => -1 };
  const session = { pid: 7, instance: { env: { disk } }, settings, block: { stat: { counts: {} } } };
  const files = new SessionTempFiles(session as never as Session);
  const file = files.create();
  await expect(file.write(new Uint8Array(8), 0)).rejects.toMatchObject({ sqlstate: '58030' });
  file.close();
  expect({ open, left: files.open }).toEqual({ open: 0, left: 0 });
});
