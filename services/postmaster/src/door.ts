/**
 * The listening sockets, and who accepts on them: the postmaster, or an instance it lent them to.
 *
 *   home -> lent       copies of the handles go out; when their copies are back, ours are closed
 *   lent -> returning  we listen again on the copies, at once; the instance is told to stop
 *   returning -> home  the instance has said that it did, or is dead
 *
 * While returning, the count of the instance's sessions lags behind what it accepts: nobody is judged.
 * See packages/role/src/door-messages.ts.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { ListeningHandle, ToInstance } from '@pgtroupe/role/door-messages';
import type { GreeterLimits } from '@pgtroupe/role/greeter';

export const BACKLOG = 511;

/** What listens: `server` accepts here; without it `copy` is held and accepts nothing. */
interface Listener {
  server: Server | undefined;
  copy: ListeningHandle | undefined;
}

export type Keeper =
  | { readonly door: 'home' }
  | { readonly door: 'lent'; readonly name: string; readonly grant: number; readonly quota: number }
  | { readonly door: 'returning'; readonly name: string; readonly grant: number };

const HOME: Keeper = { door: 'home' };

export interface DoorOptions {
  accept(socket: Socket): void;
  /** To an instance; false when it cannot hear. */
  send(name: string, message: ToInstance, handle?: ListeningHandle): boolean;
  readonly limits: GreeterLimits;
  log(message: string): void;
}

export class Door {
  readonly #o: DoorOptions;
  readonly #listeners: Listener[] = [];
  #keeper: Keeper = HOME;
  #grants = 0;

  constructor(options: DoorOptions) {
    this.#o = options;
  }

  get keeper(): Keeper {
    return this.#keeper;
  }

  async listen(where: object): Promise<void> {
    const server = createServer(socket => this.#o.accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ ...where, backlog: BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#watch(server);
    this.#listeners.push({ server, copy: undefined });
  }

  close(): void {
    for (const { server, copy } of this.#listeners.splice(0)) {
      server?.close();
      copy?.close();
    }
  }

  // ---- lending -----------------------------------------------------------------------------------------

  lend(name: string, quota: number): void {
    const grant = ++this.#grants;
    const handles = this.#listeners.map(({ server }) => server && handleOf(server));
    for (const [index, handle] of handles.entries()) {
      if (handle && !this.#o.send(name, { kind: 'doorHandle', grant, index }, handle)) return;
    }
    this.#keeper = { door: 'lent', name, grant, quota };
    this.#o.send(name, { kind: 'grant', grant, quota, limits: this.#o.limits });
  }

  /** A copy of a handle that was lent. */
  copied(grant: number, index: number, copy: ListeningHandle): void {
    const listener = this.#listeners[index];
    if (
      listener === undefined ||
      listener.copy !== undefined ||
      this.#keeper.door !== 'lent' ||
      this.#keeper.grant !== grant
    ) {
      return copy.close();
    }
    listener.copy = copy;
    if (this.#listeners.some(l => l.copy === undefined)) return;
    for (const l of this.#listeners) {
      l.server?.close();
      l.server = undefined;
    }
  }

  takeBack(): void {
    if (this.#keeper.door !== 'lent') return;
    const { name } = this.#keeper;
    this.#listenHere();
    const grant = ++this.#grants;
    this.#keeper = { door: 'returning', name, grant };
    this.#o.send(name, { kind: 'grant', grant, quota: 0, limits: this.#o.limits });
  }

  /** An instance says which grant is in force there. */
  obeyed(name: string, grant: number): void {
    if (this.#keeper.door === 'returning' && this.#keeper.name === name && this.#keeper.grant === grant)
      this.#keeper = HOME;
  }

  /** An instance is dead. */
  died(name: string): void {
    if (this.#keeper.door === 'home' || this.#keeper.name !== name) return;
    this.#listenHere();
    this.#keeper = HOME;
  }

  #listenHere(): void {
    for (const listener of this.#listeners) {
      const { copy } = listener;
      listener.copy = undefined;
      if (listener.server !== undefined || copy === undefined) {
        copy?.close();
        continue;
      }
      listener.server = createServer(socket => this.#o.accept(socket));
      this.#watch(listener.server);
      listener.server.listen(copy);
    }
  }

  #watch(server: Server): void {
    server.on('error', error => this.#o.log(`could not accept new connection: ${error.message}`));
  }
}

function handleOf(server: Server): ListeningHandle | null {
  return (server as unknown as { readonly _handle: ListeningHandle | null })._handle;
}
