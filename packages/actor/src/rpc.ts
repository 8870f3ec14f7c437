/**
 * Conversations between roles, as an actor sees them: bidirectional streams of messages.
 * Implemented over gRPC by packages/rpc and over simulated links by testkit; both carry the
 * encoded bytes of the same protobuf messages.
 *
 * End of stream is final. There is no resume and no reconnect with state: whoever sees `onEnd`
 * treats the other side's state as gone.
 */

/** One streaming method of a proto service; made from the generated codecs. */
export interface StreamMethod<Up, Down> {
  /** Fully qualified, `/pgtroupe.BufferManager/Attach`. */
  readonly path: string;
  /** Client to server. */
  readonly up: Codec<Up>;
  /** Server to client. */
  readonly down: Codec<Down>;
}

export interface Codec<T> {
  encode(message: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** One end of a stream. Messages arrive in order, none is lost before the end. */
export interface RpcStream<Send, Receive> {
  /** Queues a message. Ignored after the end. Flow control is the conversation's own (credits). */
  send(message: Send): void;
  /** Set right after the stream is obtained, before yielding to the event loop. */
  onMessage: (message: Receive) => void;
  /** Called once, whatever the reason: peer finished, peer died, network error, `end` here. */
  onEnd: (reason: StreamEnd) => void;
  /** Half-closes gracefully after queued messages are out. */
  end(): void;
  /** Breaks the stream at once. */
  abort(why: string): void;
}

export type StreamEnd = { readonly kind: 'finished' } | { readonly kind: 'broken'; readonly why: string };

export interface Rpc {
  /**
   * Serves streaming methods at an endpoint: `unix:/path` or `host:port`.
   * A new peer's stream is given to the method's handler.
   */
  serve(endpoint: string, handlers: readonly Handler[]): Promise<RpcListener>;
  /** Opens a stream; failure to connect arrives as `onEnd`. */
  open<Up, Down>(endpoint: string, method: StreamMethod<Up, Down>): RpcStream<Up, Down>;
}

/** Pairs a method with its handler; made by `handle` so that the types agree. */
export interface Handler {
  readonly method: StreamMethod<unknown, unknown>;
  readonly accept: (stream: RpcStream<unknown, unknown>) => void;
}

export function handle<Up, Down>(
  method: StreamMethod<Up, Down>,
  accept: (stream: RpcStream<Down, Up>) => void,
): Handler {
  return { method, accept } as unknown as Handler;
}

export interface RpcListener {
  readonly endpoint: string;
  close(): Promise<void>;
}
