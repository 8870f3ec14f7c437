/**
 * One ArrayBuffer per instance: the page slab in front, an arena for copied tuples behind, so that
 * a row anywhere is one integer. Pages of the operating system that were never touched cost nothing.
 * Byte offsets must stay below 2^31.
 */
import { assert } from '@pgtroupe/common/assert';
import type { Memory } from './buffer/pages.ts';

export function createMemory(bytes: number): Memory {
  assert(bytes > 0 && bytes % 8192 === 0 && bytes < 2 ** 31, `memory of ${bytes} bytes`);
  const memory = new ArrayBuffer(bytes);
  return {
    u8: new Uint8Array(memory),
    u16: new Uint16Array(memory),
    i32: new Int32Array(memory),
    u32: new Uint32Array(memory),
    view: new DataView(memory),
    buffer: Buffer.from(memory),
  };
}
