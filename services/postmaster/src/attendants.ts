/**
 * The roles' streams (`Attend`) and the watchers' (`Observe`), server side. Who attends is checked
 * against what was launched: a process of an older launch is told that it is not wanted.
 */
import { handle, type Handler, type RpcStream } from '@pgtroupe/actor/rpc';
import type { RoleState } from '@pgtroupe/actor/lifecycle';
import {
  type CastStatus,
  type ObserveRequest,
  PostmasterDefinition,
  type PostmasterOrder,
  type RoleReport,
} from '@pgtroupe/rpc/generated/postmaster';
import { streamMethod } from '@pgtroupe/rpc/method';
import { configureHandler, type ConfigureHandlers } from './configure_server.ts';
import { pulseHandler } from '@pgtroupe/role/pulse';

export const OBSERVE = streamMethod(PostmasterDefinition, 'observe');
const ATTEND = streamMethod(PostmasterDefinition, 'attend');

export interface AttendantHandlers {
  /** The launch this name has now; undefined when none. */
  epochOf(name: string): number | undefined;
  attended(name: string, state: RoleState): void;
  report(name: string, report: NonNullable<RoleReport['report']>): void;
  /** Its main loop is held up by work. */
  busy(name: string): void;
  left(name: string): void;
  status(): CastStatus;
  readonly configure: ConfigureHandlers;
}

export class Attendants {
  readonly #handlers: AttendantHandlers;
  readonly #streams = new Map<string, RpcStream<PostmasterOrder, RoleReport>>();
  readonly #watchers = new Set<RpcStream<CastStatus, ObserveRequest>>();

  constructor(handlers: AttendantHandlers) {
    this.#handlers = handlers;
  }

  handlers(): Handler[] {
    return [
      handle(ATTEND, stream => this.#attend(stream)),
      pulseHandler(({ name, epoch }) => {
        if (this.#handlers.epochOf(name) === epoch) this.#handlers.busy(name);
      }),
      configureHandler(this.#handlers.configure),
      handle(OBSERVE, stream => {
        this.#watchers.add(stream);
        stream.onEnd = () => this.#watchers.delete(stream);
        stream.send(this.#handlers.status());
      }),
    ];
  }

  order(name: string, order: NonNullable<PostmasterOrder['order']>): boolean {
    const stream = this.#streams.get(name);
    stream?.send({ order });
    return stream !== undefined;
  }

  names(): string[] {
    return [...this.#streams.keys()].sort();
  }

  /** Tells the watchers. */
  changed(): void {
    if (this.#watchers.size === 0) return;
    const status = this.#handlers.status();
    for (const watcher of this.#watchers) watcher.send(status);
  }

  #attend(stream: RpcStream<PostmasterOrder, RoleReport>): void {
    let name: string | undefined;
    stream.onMessage = ({ report }) => {
      if (report?.$case === 'hello') {
        const hello = report.value;
        if (this.#handlers.epochOf(hello.name) !== hello.epoch) {
          stream.send({ order: { $case: 'refused', value: { why: 'it was replaced' } } });
          stream.end();
          return;
        }
        name = hello.name;
        this.#streams.get(name)?.abort('attends again');
        this.#streams.set(name, stream);
        this.#handlers.attended(name, hello.state as RoleState);
      } else if (name !== undefined && report !== undefined) {
        this.#handlers.report(name, report);
      }
    };
    stream.onEnd = () => {
      if (name === undefined || this.#streams.get(name) !== stream) return;
      this.#streams.delete(name);
      this.#handlers.left(name);
    };
  }
}
