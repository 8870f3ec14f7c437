/** Messages in words, for a verbose trace. */
import { downReader, upReader } from '@pgtroupe/rpc/attach/codec';
import { ATTACH } from '@pgtroupe/rpc/attach/method';

export function describe(path: string, direction: 'up' | 'down', message: unknown): string {
  if (path !== ATTACH.path) return inShort(message);
  const ops: string[] = [];
  const reader = direction === 'up' ? upReader() : downReader();
  (reader as { read(batch: Uint8Array, receive: (op: unknown) => void): void }).read(message as Uint8Array, op =>
    ops.push(inShort(op)),
  );
  return ops.join(' ');
}

function inShort(message: unknown): string {
  const text = JSON.stringify(message, (_key, value: unknown) => {
    const { type, data } = (value ?? {}) as { type?: string; data?: number[] };
    if (type === 'Buffer' && data !== undefined) return `${data.length} bytes`;
    return typeof value === 'bigint' ? String(value) : value;
  });
  return text.replaceAll('"', '').slice(0, 240);
}
