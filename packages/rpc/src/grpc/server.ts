/**
 * The serving end. A stream is let in only when its caller belongs to this cluster and is no zombie:
 * once a launch of a role has been seen here, an older launch of the same name is refused, and
 * streams the older one still holds are broken.
 */
import { lstat, unlink } from 'node:fs/promises';
import {
  type handleBidiStreamingCall,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
} from '@grpc/grpc-js';
import type { Handler, RpcListener, RpcStream, StreamEnd } from '@pgtroupe/actor/rpc';
import type { Tally, Traffic } from '@pgtroupe/actor/traffic';
import { asBuffer, CHANNEL_OPTIONS, CLUSTER_KEY, EPOCH_KEY, type Identity, NAME_KEY } from './options.ts';

type Call = ServerDuplexStream<unknown, unknown>;

export async function serve(
  identity: Identity,
  traffic: Traffic,
  endpoint: string,
  handlers: readonly Handler[],
): Promise<RpcListener> {
  const server = new Server(CHANNEL_OPTIONS);
  const fence = new Fence(identity.cluster);
  for (const handler of handlers) addHandler(server, fence, handler, traffic.ofMethod(handler.method.path));
  if (endpoint.startsWith('unix:')) await removeSocket(endpoint.slice('unix:'.length));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(endpoint, ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  return {
    endpoint: endpoint.startsWith('unix:') ? endpoint : endpoint.replace(/:0$/, `:${port}`),
    close: async () => server.forceShutdown(),
  };
}

/** A predecessor's socket is in the way of bind. It is dead: the postmaster saw to that. */
async function removeSocket(path: string): Promise<void> {
  try {
    if ((await lstat(path)).isSocket()) await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Highest launch seen of every caller, and the streams it holds. */
class Fence {
  readonly #cluster: string;
  readonly #callers = new Map<string, { epoch: number; readonly streams: Set<ServerStream> }>();

  constructor(cluster: string) {
    this.#cluster = cluster;
  }

  /** Why the caller is refused, or undefined. */
  refusal(cluster: string, name: string, epoch: number): string | undefined {
    if (cluster !== this.#cluster) {
      return `caller belongs to cluster ${cluster}, this is cluster ${this.#cluster}`;
    }
    if (!Number.isSafeInteger(epoch)) return 'caller names no epoch';
    const seen = this.#callers.get(name);
    if (seen !== undefined && epoch < seen.epoch) {
      return `${name} of epoch ${epoch} is fenced, epoch ${seen.epoch} was here`;
    }
    return undefined;
  }

  admit(name: string, epoch: number, stream: ServerStream): () => void {
    let caller = this.#callers.get(name);
    if (caller === undefined || caller.epoch < epoch) {
      const older = caller;
      caller = { epoch, streams: new Set() };
      this.#callers.set(name, caller);
      if (older) for (const old of older.streams) old.abort(`fenced by epoch ${epoch}`);
    }
    const { streams } = caller;
    streams.add(stream);
    return () => streams.delete(stream);
  }
}

function addHandler(server: Server, fence: Fence, { method, accept }: Handler, tally: Tally): void {
  const serveCall: handleBidiStreamingCall<unknown, unknown> = call => {
    const key = (k: string): string => String(call.metadata.get(k)[0] ?? '');
    const caller = key(NAME_KEY);
    const epochText = key(EPOCH_KEY);
    const epoch = epochText === '' ? Number.NaN : Number(epochText);
    const refusal = fence.refusal(key(CLUSTER_KEY), caller, epoch);
    if (refusal !== undefined) {
      call.on('error', () => {});
      call.emit('error', { code: status.FAILED_PRECONDITION, details: refusal });
      return;
    }
    const stream = new ServerStream(call, tally);
    stream.onOver = fence.admit(caller, epoch, stream);
    accept(stream);
  };
  const registered = server.register(
    method.path,
    serveCall,
    message => asBuffer(method.down.encode(message)),
    bytes => method.up.decode(bytes),
    'bidi',
  );
  if (!registered) throw new Error(`method ${method.path} is served twice`);
}

class ServerStream implements RpcStream<unknown, unknown> {
  onMessage: (message: unknown) => void = () => {};
  onEnd: (reason: StreamEnd) => void = () => {};
  onOver: () => void = () => {};
  readonly #call: Call;
  readonly #tally: Tally;
  #over = false;
  #ended = false;

  constructor(call: Call, tally: Tally) {
    this.#call = call;
    this.#tally = tally;
    call.on('data', (message: unknown) => {
      if (this.#over) return;
      tally.received++;
      this.onMessage(message);
    });
    call.on('end', () => {
      // HTTP/2 ends the readable side of a broken stream too, and says so only when it closes,
      // which a stream whose peer merely finished does not do before we finish as well.
      setImmediate(() => {
        if (call.cancelled) this.#finish({ kind: 'broken', why: 'the peer is gone' });
        if (!this.#over && !this.#ended) call.end();
        this.#finish({ kind: 'finished' });
      });
    });
    call.on('cancelled', () => this.#finish({ kind: 'broken', why: 'the peer is gone' }));
    call.on('error', (error: Error) => this.#finish({ kind: 'broken', why: error.message }));
  }

  send(message: unknown): void {
    if (this.#over || this.#ended) return;
    this.#tally.sent++;
    this.#call.write(message);
  }

  end(): void {
    if (this.#over || this.#ended) return;
    this.#ended = true;
    this.#call.end();
    this.#call.once('finish', () => this.#finish({ kind: 'finished' }));
  }

  abort(why: string): void {
    if (this.#over) return;
    this.#call.emit('error', { code: status.ABORTED, details: why, message: why });
    this.#finish({ kind: 'broken', why });
  }

  #finish(reason: StreamEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.onOver();
    this.onEnd(reason);
  }
}
