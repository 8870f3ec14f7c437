/**
 * The bundled broker: enough of NATS's client protocol on loopback for the real client library, so
 * that one machine needs no nats-server. One process, core NATS only, at most once.
 *
 * Rules: nobody gets anything before the token is right; a client that does not read is dropped
 * when PENDING_MAX bytes wait for it; a client that never authenticates or stops answering pings is
 * dropped too. A message is written to each receiver's socket in the turn in which it arrived.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import type { Random, Timer, Timers } from '../env.ts';
import { type ClientOp, ClientParser, ProtocolViolation } from './parser.ts';
import { isValidSubject, Sublist } from './sublist.ts';

export interface BrokerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly token: string;
  readonly timers: Timers;
  readonly random: Random;
  readonly maxPayload?: number;
  readonly pendingMax?: number;
}

const MAX_PAYLOAD = 1024 * 1024;
const PENDING_MAX = 8 * 1024 * 1024;
const AUTHENTICATION_MS = 2_000;
const PING_INTERVAL_MS = 20_000;
const PINGS_OUTSTANDING_MAX = 2;
const NO_RESPONDERS = Buffer.from('NATS/1.0 503\r\n\r\n');
const CRLF = Buffer.from('\r\n');

interface Subscription {
  readonly client: Client;
  readonly subject: string;
  readonly queue: string | undefined;
  readonly sid: string;
  delivered: number;
  /** Ends after so many messages; 0: never. */
  max: number;
}

export class Broker {
  readonly #options: BrokerOptions;
  readonly #server: Server;
  readonly #clients = new Set<Client>();
  readonly subscriptions = new Sublist<Subscription>();
  readonly #id = randomBytes(8).toString('hex');
  #nextClient = 1;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true }, socket => this.#accept(socket));
  }

  /** Resolves with the port. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, this.#options.host, resolve);
    });
    return (this.#server.address() as { port: number }).port;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.drop();
    await new Promise(resolve => this.#server.close(resolve));
  }

  #accept(socket: Socket): void {
    const id = this.#nextClient++;
    const client = new Client(this, socket, this.#options, () => this.#clients.delete(client));
    this.#clients.add(client);
    const info = {
      server_id: this.#id,
      server_name: 'pgtroupe',
      version: '2.9.0',
      proto: 1,
      host: this.#options.host,
      port: (this.#server.address() as { port: number }).port,
      headers: true,
      auth_required: true,
      max_payload: this.#options.maxPayload ?? MAX_PAYLOAD,
      client_id: id,
    };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
  }
}

class Client {
  readonly #broker: Broker;
  readonly #socket: Socket;
  readonly #options: BrokerOptions;
  readonly #subscriptions = new Map<string, Subscription>();
  #authenticated = false;
  #echo = true;
  #noResponders = false;
  #headers = false;
  #verbose = false;
  #pings = 0;
  #timer: Timer;
  #gone = false;

  constructor(broker: Broker, socket: Socket, options: BrokerOptions, onGone: () => void) {
    this.#broker = broker;
    this.#socket = socket;
    this.#options = options;
    const parser = new ClientParser(options.maxPayload ?? MAX_PAYLOAD);
    socket.on('data', chunk => {
      try {
        parser.feed(chunk, op => {
          if (!this.#gone) this.#receive(op);
        });
      } catch (error) {
        if (!(error instanceof ProtocolViolation)) throw error;
        this.#refuse(error.message);
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#gone = true;
      this.#timer.cancel();
      for (const subscription of this.#subscriptions.values()) broker.subscriptions.remove(subscription);
      this.#subscriptions.clear();
      onGone();
    });
    this.#timer = options.timers.after(AUTHENTICATION_MS, () => this.#refuse('Authentication Timeout'));
  }

  drop(): void {
    this.#gone = true;
    this.#socket.destroy();
  }

  deliver(subscription: Subscription, message: ClientOp & { op: 'PUB' }): void {
    if (this.#gone) return;
    const { subject, reply, payload } = message;
    // A client that cannot read headers gets the payload without them.
    const headerBytes = this.#headers ? message.headerBytes : 0;
    const body = this.#headers ? payload : payload.subarray(message.headerBytes);
    const target = `${subject} ${subscription.sid}${reply === undefined ? '' : ` ${reply}`}`;
    const line =
      headerBytes === 0 ? `MSG ${target} ${body.length}\r\n` : `HMSG ${target} ${headerBytes} ${body.length}\r\n`;
    this.#socket.cork();
    this.#socket.write(line);
    this.#socket.write(body);
    this.#socket.write(CRLF);
    process.nextTick(() => this.#socket.uncork());
    if (this.#socket.writableLength > (this.#options.pendingMax ?? PENDING_MAX)) this.#refuse('Slow Consumer');
    subscription.delivered++;
    if (subscription.max > 0 && subscription.delivered >= subscription.max) this.#unsubscribe(subscription);
  }

  #receive(op: ClientOp): void {
    if (!this.#authenticated && op.op !== 'CONNECT') return this.#refuse('Authorization Violation');
    switch (op.op) {
      case 'CONNECT':
        return this.#connect(op.options);
      case 'PING':
        return this.#say('PONG');
      case 'PONG':
        this.#pings = 0;
        return;
      case 'SUB':
        return this.#subscribe(op);
      case 'UNSUB': {
        const subscription = this.#subscriptions.get(op.sid);
        if (subscription !== undefined) {
          subscription.max = op.max;
          if (op.max === 0 || subscription.delivered >= op.max) this.#unsubscribe(subscription);
        }
        return this.#ok();
      }
      case 'PUB':
        return this.#publish(op);
    }
  }

  #connect(options: Readonly<Record<string, unknown>>): void {
    const given = Buffer.from(String(options['auth_token'] ?? ''));
    const wanted = Buffer.from(this.#options.token);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
      return this.#refuse('Authorization Violation');
    }
    this.#authenticated = true;
    this.#verbose = options['verbose'] === true;
    this.#echo = options['echo'] !== false;
    this.#headers = options['headers'] === true;
    this.#noResponders = this.#headers && options['no_responders'] === true;
    this.#timer.cancel();
    this.#timer = this.#options.timers.after(PING_INTERVAL_MS, () => this.#ping());
    this.#ok();
  }

  #ping(): void {
    if (++this.#pings > PINGS_OUTSTANDING_MAX) return this.#refuse('Stale Connection');
    this.#say('PING');
    this.#timer = this.#options.timers.after(PING_INTERVAL_MS, () => this.#ping());
  }

  #subscribe({ subject, queue, sid }: ClientOp & { op: 'SUB' }): void {
    if (!isValidSubject(subject, true)) return this.#say(`-ERR 'Invalid Subject'`);
    if (!this.#subscriptions.has(sid)) {
      const subscription: Subscription = { client: this, subject, queue, sid, delivered: 0, max: 0 };
      this.#subscriptions.set(sid, subscription);
      this.#broker.subscriptions.insert(subscription);
    }
    this.#ok();
  }

  #unsubscribe(subscription: Subscription): void {
    this.#subscriptions.delete(subscription.sid);
    this.#broker.subscriptions.remove(subscription);
  }

  #publish(message: ClientOp & { op: 'PUB' }): void {
    if (!isValidSubject(message.subject, false)) return this.#say(`-ERR 'Invalid Publish Subject'`);
    const choose = (n: number): number => Math.floor(this.#options.random.uniform() * n);
    const receivers = this.#broker.subscriptions.match(message.subject, choose);
    let reached = 0;
    for (const subscription of receivers) {
      if (subscription.client === this && !this.#echo) continue;
      subscription.client.deliver(subscription, message);
      reached++;
    }
    if (reached === 0 && message.reply !== undefined && this.#noResponders) this.#noResponder(message.reply);
    this.#ok();
  }

  /** The requester learns at once that nobody listens. */
  #noResponder(reply: string): void {
    const status = {
      op: 'PUB',
      subject: reply,
      reply: undefined,
      headerBytes: NO_RESPONDERS.length,
      payload: NO_RESPONDERS,
    } as const;
    for (const subscription of this.#broker.subscriptions.match(reply, () => 0)) {
      if (subscription.client === this) this.deliver(subscription, status);
    }
  }

  #ok(): void {
    if (this.#verbose) this.#say('+OK');
  }

  #say(line: string): void {
    if (!this.#gone) this.#socket.write(`${line}\r\n`);
  }

  #refuse(why: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#timer.cancel();
    // What waits for a slow consumer is thrown away with it.
    if (why === 'Slow Consumer') this.#socket.destroy();
    else this.#socket.end(`-ERR '${why}'\r\n`);
  }
}
