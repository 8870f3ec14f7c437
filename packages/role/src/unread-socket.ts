/**
 * A client's socket on its way to another process. What the client sends meanwhile must stay in the kernel, for whoever
 * gets the socket: what this process reads once the handle is sent is thrown away by Node, and the client waits for the
 * answer for ever.
 */
import type { Socket } from 'node:net';

interface Inner {
  _handle?: { reading: boolean; readStart(): void; readStop(): void } | null;
  _read?: () => void;
}

/** Node has no public way: `pause` alone goes on reading until a buffer is full, and a stream that was read asks for
 *  more of itself a tick later. A socket may wait for long before it is sent. */
export function stopReading(socket: Socket): void {
  socket.pause();
  const inner = socket as unknown as Inner;
  inner._read = () => {};
  const handle = inner._handle;
  if (!handle) return;
  handle.reading = false;
  handle.readStop();
}

/** It stays here after all, and whoever resumes the stream reads it. Does nothing where reading never stopped. */
export function goOnReading(socket: Socket): void {
  const inner = socket as unknown as Inner;
  if (!Object.hasOwn(inner, '_read')) return;
  delete inner._read;
  const handle = inner._handle;
  if (!handle) return;
  handle.reading = true;
  handle.readStart();
}
