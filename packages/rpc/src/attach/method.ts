/**
 * `/pgtroupe.BufferManager/Attach` as a StreamMethod. The message is
 * `message AttachFrame { bytes ops = 1; }` (proto/buffer-manager.proto); it is put together and taken
 * apart by hand because it crosses on every transaction and the generated codec copies twice.
 */
import type { Codec, StreamMethod } from '@pgtroupe/actor/rpc';
import { FrameError } from './codec.ts';

const TAG_OPS = 0x0a;

const frame: Codec<Uint8Array> = {
  encode(ops) {
    let header = 2;
    for (let n = ops.length; n > 0x7f; n = Math.floor(n / 128)) header++;
    const out = Buffer.allocUnsafe(header + ops.length);
    out[0] = TAG_OPS;
    let at = 1;
    let rest = ops.length;
    while (rest > 0x7f) {
      out[at++] = (rest & 0x7f) | 0x80;
      rest = Math.floor(rest / 128);
    }
    out[at] = rest;
    out.set(ops, header);
    return out;
  },
  decode(bytes) {
    if (bytes.length === 0) return bytes;
    if (bytes[0] !== TAG_OPS) throw new FrameError('not an AttachFrame');
    let at = 1;
    let length = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined || scale > 2 ** 35) throw new FrameError('truncated AttachFrame');
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
    }
    if (at + length !== bytes.length) throw new FrameError('AttachFrame of the wrong length');
    return bytes.subarray(at);
  },
};

export const ATTACH: StreamMethod<Uint8Array, Uint8Array> = {
  path: '/pgtroupe.BufferManager/Attach',
  up: frame,
  down: frame,
};
