/**
 * Bus over core NATS, with the ordinary client library, whatever broker answers at the url.
 *
 * Subjects go out as `pgtroupe.<cluster>.<subject>`, every message carries `Pgtroupe-From: <name>/<epoch>`.
 * Nothing here blocks or throws: while there is no broker a bounded number of messages waits and the
 * rest is dropped and counted; the client tries again for ever.
 */
import { readFileSync } from 'node:fs';
import {
  connect,
  headers,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  tokenAuthenticator,
} from '@nats-io/transport-node';
import type { Bus } from '../env.ts';
import type { Tally } from '../traffic.ts';

const FROM_HEADER = 'Pgtroupe-From';
const RECONNECT_MS = 200;
/** Waiting messages while the broker is away. */
const BACKLOG_MAX = 2_000;

export interface NatsOptions {
  readonly url: string;
  /** File with the token the broker demands; read at every connect, as it may have been replaced. */
  readonly tokenFile: string;
  readonly cluster: string;
  readonly name: string;
  readonly epoch: number;
}

interface Subscription {
  readonly subject: string;
  readonly handler: (payload: Uint8Array, subject: string, reply: string | undefined) => void;
  live: { unsubscribe(): void } | undefined;
}

export class NatsBus implements Bus {
  /** Messages given up because the broker was away. */
  dropped = 0;
  readonly #prefix: string;
  readonly #tally: Tally;
  readonly #from: MsgHdrs;
  readonly #backlog: { readonly subject: string; readonly payload: Uint8Array }[] = [];
  readonly #subscriptions = new Set<Subscription>();
  #connection: NatsConnection | undefined;
  #connected = false;
  #closed = false;

  constructor(options: NatsOptions, tally: Tally = { sent: 0, received: 0 }) {
    this.#tally = tally;
    this.#prefix = `pgtroupe.${options.cluster}.`;
    this.#from = headers();
    this.#from.set(FROM_HEADER, `${options.name}/${options.epoch}`);
    void this.#connect(options);
  }

  get connected(): boolean {
    return this.#connected;
  }

  publish(subject: string, payload: Uint8Array): void {
    if (this.#connected) {
      this.#tally.sent++;
      this.#connection!.publish(this.#prefix + subject, payload, { headers: this.#from });
    } else if (this.#backlog.length < BACKLOG_MAX) {
      this.#backlog.push({ subject, payload });
    } else {
      this.dropped++;
    }
  }

  subscribe(
    subject: string,
    handler: (payload: Uint8Array, subject: string, reply: string | undefined) => void,
  ): () => void {
    const subscription: Subscription = { subject, handler, live: undefined };
    this.#subscriptions.add(subscription);
    if (this.#connection) this.#attach(this.#connection, subscription);
    return () => {
      this.#subscriptions.delete(subscription);
      subscription.live?.unsubscribe();
    };
  }

  async request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array | undefined> {
    if (!this.#connected) return undefined;
    try {
      const options = { timeout: timeoutMs, headers: this.#from };
      this.#tally.sent++;
      const { data } = await this.#connection!.request(this.#prefix + subject, payload, options);
      this.#tally.received++;
      return data;
    } catch {
      return undefined;
    }
  }

  /** Answers a request: `reply` is what the handler was given. */
  respond(reply: string, payload: Uint8Array): void {
    if (!this.#connected) return;
    this.#tally.sent++;
    this.#connection!.publish(reply, payload, { headers: this.#from });
  }

  /** Sends what waits, then disconnects. */
  async close(): Promise<void> {
    this.#closed = true;
    const connection = this.#connection;
    if (connection === undefined || connection.isClosed()) return;
    if (this.#connected) await connection.flush().catch(() => {});
    await connection.close();
  }

  async #connect(options: NatsOptions): Promise<void> {
    while (!this.#closed) {
      try {
        const connection = await connect({
          servers: options.url,
          name: options.name,
          authenticator: tokenAuthenticator(() => readFileSync(options.tokenFile, 'utf8').trim()),
          maxReconnectAttempts: -1,
          reconnectTimeWait: RECONNECT_MS,
          ignoreAuthErrorAbort: true,
          ignoreClusterUpdates: true,
          timeout: 2_000,
          pingInterval: 5_000,
        });
        if (this.#closed) return await connection.close();
        this.#connection = connection;
        for (const subscription of this.#subscriptions) this.#attach(connection, subscription);
        this.#up();
        for await (const status of connection.status()) {
          if (status.type === 'disconnect') this.#connected = false;
          else if (status.type === 'reconnect') this.#up();
        }
      } catch {
        // The broker is away or refuses; it is tried again below.
      }
      this.#connected = false;
      this.#connection = undefined;
      if (!this.#closed) await new Promise(resolve => setTimeout(resolve, RECONNECT_MS).unref());
    }
  }

  #up(): void {
    this.#connected = true;
    for (const { subject, payload } of this.#backlog.splice(0)) this.publish(subject, payload);
  }

  #attach(connection: NatsConnection, subscription: Subscription): void {
    const prefix = this.#prefix.length;
    subscription.live = connection.subscribe(this.#prefix + subscription.subject, {
      callback: (error: Error | null, message: Msg) => {
        if (error) return;
        this.#tally.received++;
        subscription.handler(
          message.data,
          message.subject.slice(prefix),
          message.reply === '' ? undefined : message.reply,
        );
      },
    });
  }
}
