/**
 * The life of a role: what the postmaster tells a process when it launches it, and what the
 * process says about itself. Carried by one environment variable (so that a container or a Pod is
 * launched the same way) and by the stream `/pgtroupe.Postmaster/Attend` (proto/postmaster.proto).
 *
 *   launched → starting → [recovering →] ready → stopping → exit 0
 *                    any state → FATAL or PANIC → exit 1 or 2, relaunched with back-off
 *                    any state → the cluster cannot run at all → exit 78, the postmaster stops too
 */
import type { WorkerRegistration } from './background-worker.ts';

export const ROLE_NAMES = [
  'postmaster',
  'broker',
  'logger',
  'walwriter',
  'buffer-manager',
  'checkpointer',
  'bgwriter',
  'archiver',
  'stats-collector',
  'autovacuum',
  'autovacuum-worker',
  'backend',
  'bgworker',
] as const;
export type RoleName = (typeof ROLE_NAMES)[number];

/** JSON of this is the environment variable PGTROUPE_ROLE. */
export interface RoleStart {
  readonly role: RoleName;
  /** 0 for roles of which there is one; backends and workers count from 1. */
  readonly instance: number;
  /** `walwriter`, `backend-3`: role and, unless 0, instance. */
  readonly name: string;
  /** Grows with every launch of any role of this cluster. Receivers refuse a lower epoch of the
   *  same name once they have seen a higher one. */
  readonly epoch: number;
  /** Unique to this launch. */
  readonly incarnation: string;
  /** System identifier, decimal: the `<cluster>` of bus subjects, checked on every gRPC stream. */
  readonly cluster: string;
  readonly dataDirectory: string;
  /** Short, private (0700): sockets, tokens, registry of running roles. */
  readonly runDirectory: string;
  /** gRPC endpoints that are not at their usual place `unix:<runDirectory>/<name>.sock`. */
  readonly endpoints: Readonly<Record<string, string>>;
  readonly nats: { readonly url: string; readonly tokenFile: string };
  /** Effective settings that differ from the built-in defaults, as text in base units. */
  readonly settings: Readonly<Record<string, string>>;
  /** Of a background worker: what it is to run. */
  readonly worker?: WorkerRegistration | undefined;
  /** Of an autovacuum worker: what it is to vacuum. */
  readonly database?: number | undefined;
}

export const ROLE_START_VARIABLE = 'PGTROUPE_ROLE';

export type RoleState = 'starting' | 'recovering' | 'ready' | 'stopping';
export type ShutdownMode = 'smart' | 'fast' | 'immediate';

/** Exit codes a role gives to the postmaster. Anything else, or a signal, counts as a crash. */
export const EXIT_STOPPED = 0;
export const EXIT_FATAL = 1;
export const EXIT_PANIC = 2;
/** Starting again cannot help (not a cluster, wrong version, bad setting): the cluster stops. */
export const EXIT_HOPELESS = 78;

export function roleName(role: RoleName | 'postmaster', instance: number): string {
  return instance === 0 ? role : `${role}-${instance}`;
}
