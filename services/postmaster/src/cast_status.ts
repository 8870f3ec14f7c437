/** What `pgtroupe status` and the console are shown of the cast. */
import type { CastStatus, RoleHeartbeat, RoleStatus } from '@pgtroupe/rpc/generated/postmaster';
import { isSwitchedOff } from './autovacuum-workers.ts';
import type { Member, Supervision } from './supervision.ts';

export interface CastFacts {
  readonly dataDirectory: string;
  readonly runDirectory: string;
  readonly cluster: string;
  readonly configVersion: number;
  readonly listening: readonly string[];
  readonly broker: string;
  pid(name: string): number;
  /** The last one of this launch. */
  heartbeat(name: string): RoleHeartbeat | undefined;
  /** Version of the configuration the role works with. */
  acknowledged(name: string): number;
  sessions(name: string): number;
  /** A moment of the monotonic clock, microseconds since 1970. */
  wallMicros(ms: number): number;
}

export function castStatus(supervision: Supervision, facts: CastFacts): CastStatus {
  return {
    pmState: supervision.pm.pmState,
    dataDirectory: facts.dataDirectory,
    runDirectory: facts.runDirectory,
    cluster: facts.cluster,
    postmasterPid: process.pid,
    configVersion: facts.configVersion,
    listening: [...facts.listening],
    roles: [...supervision.members.values()]
      .filter(member => !isSwitchedOff(supervision, member))
      .map(member => roleStatus(member, facts)),
    broker: facts.broker,
  };
}

function roleStatus({ name, role, instance, attends, life, launches }: Member, facts: CastFacts): RoleStatus {
  const launched = life.life === 'launched';
  const heartbeat = facts.heartbeat(name);
  return {
    name,
    role,
    instance,
    osPid: launched ? facts.pid(name) : 0,
    state: stateOf(attends, life),
    message: launched ? life.message : '',
    epoch: life.life === 'absent' ? 0 : life.epoch,
    adopted: launched && life.adopted,
    launches,
    rssBytes: heartbeat?.rssBytes ?? 0,
    configVersion: facts.acknowledged(name),
    sessions: facts.sessions(name),
    traffic: heartbeat?.traffic,
    held: heartbeat?.held ?? [],
    launchedMicros: launched ? facts.wallMicros(life.sinceMs) : 0,
  };
}

/** `launched`: a process is there and has said nothing yet. */
function stateOf(attends: boolean, life: Member['life']): string {
  if (life.life !== 'launched') return life.life;
  if (!attends) return 'ready';
  return life.attending || life.state !== 'starting' ? life.state : 'launched';
}
