import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { EXIT_HOPELESS, type RoleName } from '@pgtroupe/actor/lifecycle';
import { adopt, type Effect, type Event, newSupervision, step, type Supervision } from './supervision.ts';

const ROLES = [
  'walwriter',
  'buffer-manager',
  'backend-1',
  'broker',
  'logger',
  'checkpointer',
  'bgwriter',
  'stats-collector',
];

/** A cast on paper: processes that do what they are told, at the time the test says. */
class Stage {
  nowMs = 0;
  readonly s: Supervision;
  readonly trace: string[] = [];
  readonly alive = new Map<string, number>();
  finished: number | undefined;
  /** Processes seen dead but still alive: must never happen. */
  doubles = 0;

  constructor(adopted: [RoleName, number, number][] = [], archiving = false) {
    this.s = newSupervision({ nowMs: 0, broker: 'role', firstEpoch: 10, roleTimeoutMs: 10_000, archiving });
    for (const [role, instance, epoch] of adopted) {
      adopt(this.s, { role, instance, epoch }, 0);
      this.alive.set(instance === 0 ? role : `${role}-${instance}`, epoch);
    }
  }

  send(event: Event): Effect[] {
    const effects = step(this.s, event, this.nowMs);
    for (const effect of effects) {
      switch (effect.effect) {
        case 'launch':
          if (this.alive.has(effect.member.name)) this.doubles++;
          this.alive.set(effect.member.name, effect.epoch);
          this.trace.push(`launch ${effect.member.name}`);
          break;
        case 'stop':
          this.trace.push(`stop ${effect.name} ${effect.mode}`);
          break;
        case 'kill':
          this.trace.push(`kill ${effect.name}`);
          break;
        case 'state':
          this.trace.push(effect.pm.pmState);
          break;
        case 'finished':
          this.finished = effect.code;
          break;
        case 'log':
          break;
      }
    }
    return effects;
  }

  tick(ms = 100): void {
    this.nowMs += ms;
    this.send({ kind: 'tick' });
  }

  ready(...names: string[]): void {
    for (const name of names) this.send({ kind: 'attended', name, state: 'ready' });
  }

  dies(name: string, code?: number): void {
    const epoch = this.alive.get(name)!;
    this.alive.delete(name);
    this.send({ kind: 'exited', name, epoch, how: 'was terminated by signal 9: Killed', code });
  }

  take(): string[] {
    return this.trace.splice(0);
  }

  running(): Stage {
    this.tick();
    this.ready(...ROLES);
    this.ready(...ROLES);
    this.take();
    return this;
  }
}

describe('supervision', () => {
  it('launches in order and runs when writer, buffer-manager and an instance are ready', () => {
    const stage = new Stage();
    stage.tick();
    expect(stage.take()).toEqual(ROLES.slice(0, 3).map(name => `launch ${name}`));
    stage.ready('walwriter', 'buffer-manager');
    expect(stage.take()).toEqual([]);
    stage.ready('backend-1');
    expect(stage.take()).toEqual([...ROLES.slice(3).map(name => `launch ${name}`), 'PM_RUN']);
  });

  it('launches the others during a long recovery', () => {
    const stage = new Stage();
    stage.tick();
    stage.take();
    stage.tick(2_000);
    expect(stage.take()).toEqual(ROLES.slice(3).map(name => `launch ${name}`));
  });

  it.each(ROLES)('launches only %s again when it dies', name => {
    const stage = new Stage().running();
    stage.dies(name);
    expect(stage.trace.filter(t => !t.startsWith('PM_'))).toEqual([`launch ${name}`]);
    stage.ready(name);
    expect(stage.s.pm.pmState).toBe('PM_RUN');
  });

  it('goes back to PM_STARTUP while the buffer-manager recovers, and leaves sessions alone', () => {
    const stage = new Stage().running();
    stage.dies('buffer-manager');
    expect(stage.take()).toEqual(['launch buffer-manager', 'PM_STARTUP']);
    stage.send({ kind: 'reported', name: 'buffer-manager', state: 'recovering', message: 'redo' });
    expect(stage.s.pm).toEqual({ pmState: 'PM_STARTUP', crashed: true });
    stage.ready('buffer-manager');
    expect(stage.take()).toEqual(['PM_RUN']);
  });

  it('pauses longer and longer before launching who keeps dying', () => {
    const stage = new Stage().running();
    const pauses: number[] = [];
    for (let i = 0; i < 8; i++) {
      stage.dies('bgwriter');
      const diedMs = stage.nowMs;
      while (!stage.take().includes('launch bgwriter')) stage.tick(50);
      pauses.push(stage.nowMs - diedMs);
    }
    // The first time it was ready.
    expect(pauses).toEqual([0, 100, 200, 400, 800, 1600, 3200, 5000]);
  });

  it('launches at once who was ready, however often it is killed', () => {
    const stage = new Stage().running();
    for (let i = 0; i < 8; i++) {
      stage.take();
      stage.dies('walwriter');
      expect(stage.take()).toContain('launch walwriter');
      stage.ready('walwriter');
    }
  });

  it('gives time to who is still loading and works at it, and not to who hangs or never gets there', () => {
    const stage = new Stage();
    stage.tick();
    stage.take();
    // On a machine that others keep busy: no word in a minute, but the processor was used.
    while (stage.nowMs < 60_000) {
      stage.send({ kind: 'working', name: 'backend-1' });
      stage.tick();
    }
    expect(stage.trace).toContain('kill walwriter');
    expect(stage.trace).not.toContain('kill backend-1');
    while (stage.nowMs < 140_000) {
      stage.send({ kind: 'working', name: 'backend-1' });
      stage.tick();
    }
    expect(stage.trace).toContain('kill backend-1');
  });

  it('work on the processor is no sign of life of who has reported already', () => {
    const stage = new Stage().running();
    for (let n = 0; n < 200; n++) {
      stage.send({ kind: 'working', name: 'checkpointer' });
      for (const name of ROLES) if (name !== 'checkpointer') stage.send({ kind: 'heartbeat', name });
      stage.tick();
    }
    expect(stage.take().filter(t => t.startsWith('kill'))).toEqual(['kill checkpointer']);
  });

  it('a shorter role_timeout begins when it is set', () => {
    const stage = new Stage();
    stage.tick();
    stage.ready('walwriter', 'buffer-manager');
    stage.tick(2000);
    stage.take();
    stage.send({ kind: 'configured', roleTimeoutMs: 1500, autovacuum: false });
    stage.tick();
    expect(stage.take().filter(t => t.startsWith('kill'))).toEqual([]);
    stage.tick(900);
    stage.tick(900);
    expect(stage.take().filter(t => t.startsWith('kill'))).toEqual(['kill walwriter', 'kill buffer-manager']);
  });

  it('kills who gives no sign of life, and launches the next only when that one is seen dead', () => {
    const stage = new Stage().running();
    for (let i = 0; i < 101; i++) {
      for (const name of ROLES) if (name !== 'walwriter') stage.send({ kind: 'heartbeat', name });
      stage.tick(100);
    }
    expect(stage.take()).toEqual(['kill walwriter']);
    stage.tick();
    expect(stage.take()).toEqual([]);
    stage.dies('walwriter');
    expect(stage.take()).toEqual(['launch walwriter']);
  });

  it('lets a busy one be, but not one that shall end at once', () => {
    const stage = new Stage().running();
    const others = ROLES.filter(name => name !== 'backend-1');
    const pass = (ms: number): void => {
      for (let i = 0; i < ms; i += 100) {
        for (const name of others) stage.send({ kind: 'heartbeat', name });
        stage.send({ kind: 'busy', name: 'backend-1' });
        stage.tick(100);
      }
    };
    pass(20_000);
    expect(stage.take()).toEqual([]);
    stage.send({ kind: 'shutdown', mode: 'immediate' });
    pass(10_000);
    expect(stage.take()).toContain('kill backend-1');
  });

  it('does not take its own standstill for that of others', () => {
    const stage = new Stage().running();
    stage.tick(60_000);
    expect(stage.take()).toEqual([]);
  });

  it('shuts down outside in; the checkpointer before the buffer-manager before the walwriter', () => {
    const stage = new Stage().running();
    stage.send({ kind: 'shutdown', mode: 'fast' });
    const order: string[] = [];
    for (let guard = 0; stage.finished === undefined && guard < 50; guard++) {
      for (const line of stage.take()) {
        order.push(line);
        const [, name] = /^stop (\S+)/.exec(line) ?? [];
        if (name) stage.dies(name, 0);
      }
    }
    expect(order).toEqual([
      'PM_WAIT_BACKENDS',
      'stop backend-1 fast',
      'PM_SHUTDOWN',
      'stop checkpointer fast',
      'stop bgwriter fast',
      'PM_SHUTDOWN_2',
      'stop stats-collector fast',
      'stop buffer-manager fast',
      'stop walwriter fast',
      'PM_WAIT_DEAD_END',
      'stop logger fast',
      'stop broker fast',
    ]);
    expect(stage.finished).toBe(0);
    expect(stage.alive.size).toBe(0);
  });

  it('has an archiver with archive_mode, which stops between buffer-manager and walwriter', () => {
    const stage = new Stage([], true);
    stage.tick();
    stage.ready('walwriter', 'buffer-manager', 'backend-1');
    expect(stage.take()).toContain('launch archiver');
    stage.send({ kind: 'shutdown', mode: 'fast' });
    const order: string[] = [];
    for (let guard = 0; stage.finished === undefined && guard < 50; guard++) {
      for (const line of stage.take()) {
        const [, name] = /^stop (\S+)/.exec(line) ?? [];
        if (name === undefined) continue;
        order.push(name);
        stage.dies(name, 0);
      }
    }
    expect(order.slice(4, 7)).toEqual(['buffer-manager', 'archiver', 'walwriter']);
  });

  it('launches an archiver that ended again ten seconds after its last launch, and at once when it lived longer', () => {
    const stage = new Stage([], true);
    stage.tick();
    stage.ready('walwriter', 'buffer-manager', 'backend-1');
    stage.ready('archiver');
    stage.take();
    stage.dies('archiver', 1);
    stage.tick(9_000);
    expect(stage.take()).toEqual([]);
    stage.tick(1_500);
    expect(stage.take()).toEqual(['launch archiver']);
    stage.ready('archiver');
    for (let n = 0; n < 110; n++) {
      for (const name of stage.alive.keys()) stage.send({ kind: 'heartbeat', name });
      stage.tick();
    }
    stage.take();
    stage.dies('archiver');
    stage.tick();
    expect(stage.take()).toEqual(['launch archiver']);
  });

  it('launches an autovacuum launcher that is switched off while wraparound is near', () => {
    const stage = new Stage();
    expect(stage.s.members.has('autovacuum')).toBe(true);
    stage.running();
    expect(stage.alive.has('autovacuum')).toBe(false);
    stage.send({ kind: 'wraparound', near: true });
    expect(stage.take()).toEqual(['launch autovacuum']);
    stage.send({ kind: 'configured', roleTimeoutMs: 10_000, autovacuum: false });
    expect(stage.take()).toEqual([]);
    stage.send({ kind: 'wraparound', near: false });
    expect(stage.take()).toEqual(['stop autovacuum fast']);
    stage.dies('autovacuum', 0);
    stage.tick();
    expect(stage.take()).toEqual([]);
  });

  it('smart waits for sessions, fast does not wait any more', () => {
    const stage = new Stage().running();
    stage.send({ kind: 'instances', wanted: 1, sessions: 3 });
    stage.send({ kind: 'shutdown', mode: 'smart' });
    stage.tick();
    expect(stage.take()).toEqual(['PM_WAIT_BACKENDS']);
    // A role that dies meanwhile is still needed.
    stage.dies('walwriter');
    expect(stage.take()).toEqual(['launch walwriter']);
    stage.send({ kind: 'shutdown', mode: 'fast' });
    expect(stage.take()).toEqual(['PM_WAIT_BACKENDS', 'stop backend-1 fast']);
  });

  it('gives up when a role says that starting again cannot help', () => {
    const stage = new Stage();
    stage.tick();
    stage.dies('buffer-manager', EXIT_HOPELESS);
    for (let guard = 0; stage.finished === undefined && guard < 50; guard++) {
      for (const line of stage.take()) {
        const [, name] = /^stop (\S+)/.exec(line) ?? [];
        if (name && stage.alive.has(name)) stage.dies(name, 0);
      }
    }
    expect(stage.finished).toBe(1);
    expect(stage.alive.size).toBe(0);
  });

  it('gives up when a role fails again and again before the cluster ever ran', () => {
    const stage = new Stage();
    stage.tick();
    for (let i = 0; i < 5; i++) {
      while (!stage.alive.has('buffer-manager')) stage.tick();
      stage.dies('buffer-manager', 1);
    }
    expect(stage.s.pm.pmState).not.toBe('PM_STARTUP');
    expect(stage.s.exitCode).toBe(1);
  });

  it('adopts who is there and launches who is not', () => {
    const stage = new Stage([
      ['walwriter', 0, 5],
      ['backend', 2, 6],
    ]);
    stage.tick();
    const launched = stage.take();
    expect(launched).not.toContain('launch walwriter');
    expect(launched).not.toContain('launch backend-2');
    expect(launched).toContain('launch backend-1');
    // An adopted process that never attends is killed, then replaced.
    for (let i = 0; i < 160; i++) {
      for (const name of ROLES) if (name !== 'walwriter') stage.send({ kind: 'attended', name, state: 'ready' });
      stage.send({ kind: 'attended', name: 'backend-2', state: 'ready' });
      stage.tick();
    }
    expect(stage.take()).toContain('kill walwriter');
  });

  it('never has two processes of one name, whatever happens when', () => {
    const names = [...ROLES, 'backend-2'];
    const events = fc.oneof(
      fc.record({ what: fc.constant('tick' as const), ms: fc.integer({ min: 1, max: 20_000 }) }),
      fc.record({ what: fc.constant('ready' as const), name: fc.constantFrom(...names) }),
      fc.record({ what: fc.constant('dies' as const), name: fc.constantFrom(...names) }),
      fc.record({ what: fc.constant('left' as const), name: fc.constantFrom(...names) }),
      fc.record({ what: fc.constant('wanted' as const), n: fc.integer({ min: 1, max: 3 }) }),
      fc.record({
        what: fc.constant('stop' as const),
        mode: fc.constantFrom('smart' as const, 'fast' as const, 'immediate' as const),
      }),
    );
    fc.assert(
      fc.property(fc.array(events, { maxLength: 60 }), script => {
        const stage = new Stage();
        for (const e of script) {
          if (e.what === 'tick') stage.tick(e.ms);
          else if (e.what === 'ready' && stage.alive.has(e.name)) stage.ready(e.name);
          else if (e.what === 'dies' && stage.alive.has(e.name)) stage.dies(e.name, 0);
          else if (e.what === 'left') stage.send({ kind: 'left', name: e.name });
          else if (e.what === 'wanted') stage.send({ kind: 'instances', wanted: e.n, sessions: 0 });
          else if (e.what === 'stop') stage.send({ kind: 'shutdown', mode: e.mode });
        }
        // Whatever state it is in, a fast shutdown of obedient processes ends it.
        stage.send({ kind: 'instances', wanted: 1, sessions: 0 });
        stage.send({ kind: 'shutdown', mode: 'fast' });
        for (let guard = 0; stage.finished === undefined && guard < 100; guard++) {
          for (const name of [...stage.alive.keys()]) {
            const life = stage.s.members.get(name)?.life;
            if (life?.life === 'killed' || (life?.life === 'launched' && life.stopSent !== undefined))
              stage.dies(name, 0);
          }
          stage.tick();
        }
        expect(stage.doubles).toBe(0);
        expect(stage.finished).toBeDefined();
        expect([...stage.alive.keys()]).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
