/**
 * Bugs to plant into a running cast, one at a time: proof that the torture would find them. `torture.mjs --plant NAME`
 * has every role import this file before its program; the product knows nothing of it.
 */
const plants = {
  /** Checkpoints write no transaction's outcome: what they cut the WAL off before is forgotten with the next kill. */
  async 'commit-forgotten'() {
    const { ClogBuffers } = await import('@pgtroupe/buffer-manager/clog-buffers');
    ClogBuffers.prototype.write = async () => {};
  },
  /** Locks and tokens of a dead instance stay. */
  async 'dead-hold-on'() {
    const { LockTable } = await import('@pgtroupe/buffer-manager/lock-table');
    LockTable.prototype.instanceDied = () => {};
  },
};

export const PLANTS = Object.keys(plants);

if (/services\/buffer-manager\/dist\/main\.js$/.test(process.argv[1] ?? '')) await plants[process.env.TORTURE_PLANT]();
