/**
 * The calling end of a stream. Every stream has a connection of its own, so that a large transfer
 * on one never delays another, and the death of the peer is seen by each.
 */
import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { RpcStream, StreamEnd, StreamMethod } from '@pgtroupe/actor/rpc';
import type { Tally, Traffic } from '@pgtroupe/actor/traffic';
import { asBuffer, CLIENT_OPTIONS, CLUSTER_KEY, EPOCH_KEY, type Identity, NAME_KEY } from './options.ts';

export function openStream<Up, Down>(
  identity: Identity,
  traffic: Traffic,
  endpoint: string,
  method: StreamMethod<Up, Down>,
): RpcStream<Up, Down> {
  const client = new Client(endpoint, credentials.createInsecure(), CLIENT_OPTIONS);
  const metadata = new Metadata();
  metadata.set(CLUSTER_KEY, identity.cluster);
  metadata.set(NAME_KEY, identity.name);
  metadata.set(EPOCH_KEY, String(identity.epoch));
  const call = client.makeBidiStreamRequest<Up, Down>(
    method.path,
    message => asBuffer(method.up.encode(message)),
    bytes => method.down.decode(bytes),
    metadata,
  );
  return new ClientStream(client, call, traffic.ofMethod(method.path));
}

class ClientStream<Up, Down> implements RpcStream<Up, Down> {
  onMessage: (message: Down) => void = () => {};
  onEnd: (reason: StreamEnd) => void = () => {};
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Up, Down>;
  readonly #tally: Tally;
  #over = false;
  #ended = false;

  constructor(client: Client, call: ClientDuplexStream<Up, Down>, tally: Tally) {
    this.#tally = tally;
    this.#client = client;
    this.#call = call;
    call.on('data', (message: Down) => {
      if (this.#over) return;
      tally.received++;
      this.onMessage(message);
    });
    call.on('end', () => this.#finish({ kind: 'finished' }));
    // An error is reported before 'end' by grpc-js, a clean finish only by 'end'.
    call.on('error', (error: ServiceError) => {
      this.#finish({ kind: 'broken', why: error.details === '' ? error.message : error.details });
    });
  }

  send(message: Up): void {
    if (this.#over || this.#ended) return;
    this.#tally.sent++;
    this.#call.write(message);
  }

  end(): void {
    if (this.#over || this.#ended) return;
    this.#ended = true;
    this.#call.end();
  }

  abort(why: string): void {
    if (this.#over) return;
    this.#call.cancel();
    this.#finish({ kind: 'broken', why });
  }

  #finish(reason: StreamEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#client.close();
    this.onEnd(reason);
  }
}
