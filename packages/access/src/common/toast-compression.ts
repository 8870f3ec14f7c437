/**
 * Compressing a varlena value in place (toast_compress_datum), with pglz.
 */
import { TOAST_PGLZ_COMPRESSION } from './detoast.ts';
import { pglzCompress } from './pg-lzcompress.ts';
import { VarlenaImage } from './tupmacs.ts';

/** The value's compressed image, or undefined when that would save nothing. */
export function toastCompressDatum(plain: Uint8Array): VarlenaImage | undefined {
  const packed = pglzCompress(plain);
  if (packed === undefined || packed.length + 8 >= plain.length - 2) return undefined;
  const image = new Uint8Array(packed.length + 8);
  const view = new DataView(image.buffer);
  view.setUint32(0, (image.length << 2) | 2, true);
  view.setUint32(4, plain.length | (TOAST_PGLZ_COMPRESSION << 30), true);
  image.set(packed, 8);
  return new VarlenaImage(image);
}
