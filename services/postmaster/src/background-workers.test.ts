/** PostgreSQL's rules for background workers, on paper. */
import { NEVER_RESTART, parseWorkers, type WorkerRegistration } from '@pgtroupe/actor/background-worker';
import { describe, expect, it } from 'vitest';
import { registerWorker } from './background-workers.ts';
import { type Effect, type Event, newSupervision, step } from './supervision.ts';

const MAX = 3;

function worker(text: string): WorkerRegistration {
  return parseWorkers(text, { database: 'postgres', role: undefined, restartSeconds: 5 })[0]!;
}

class Stage {
  nowMs = 0;
  readonly s = newSupervision({ nowMs: 0, broker: 'elsewhere', firstEpoch: 1, roleTimeoutMs: 10_000 });
  readonly log: string[] = [];
  readonly did: string[] = [];
  readonly epochs = new Map<string, number>();

  constructor(...texts: string[]) {
    for (const text of texts) this.register(text);
    this.tick();
    for (const name of ['walwriter', 'buffer-manager', 'backend-1']) this.attend(name);
    this.tick();
  }

  register(text: string, id = ''): string | undefined {
    return registerWorker(this.s, { ...worker(text), id }, MAX)?.name;
  }

  send(event: Event): void {
    for (const effect of step(this.s, event, this.nowMs)) this.#note(effect);
  }

  #note(effect: Effect): void {
    if (effect.effect === 'log') this.log.push(effect.message);
    else if (effect.effect === 'launch') {
      this.epochs.set(effect.member.name, effect.epoch);
      if (effect.member.worker !== undefined) this.did.push(`launch ${effect.member.name}`);
    } else if (effect.effect === 'stop') this.did.push(`stop ${effect.name} ${effect.mode}`);
    else if (effect.effect === 'kill') this.did.push(`kill ${effect.name}`);
  }

  tick(ms = 100): void {
    for (let passed = 0; passed < ms; passed += 100) {
      this.nowMs += 100;
      for (const name of this.epochs.keys()) if (!name.startsWith('bgworker')) this.send({ kind: 'heartbeat', name });
      this.send({ kind: 'tick' });
    }
  }

  attend(name: string): void {
    this.send({ kind: 'attended', name, state: 'ready' });
  }

  dies(name: string, code: number | undefined, how = `(PID 7) exited with exit code ${code}`): void {
    this.send({ kind: 'exited', name, epoch: this.epochs.get(name)!, how, code });
  }

  take(): string[] {
    return this.did.splice(0);
  }
}

describe('background workers', () => {
  it('start when the server runs; one that wants nothing of it at once', () => {
    const stage = new Stage();
    expect(stage.take()).toEqual([]);
    stage.register('/a.js');
    stage.tick();
    expect(stage.take()).toEqual(['launch bgworker-1']);

    const early = newSupervision({ nowMs: 0, broker: 'elsewhere', firstEpoch: 1, roleTimeoutMs: 10_000 });
    const [atOnce] = parseWorkers('/b.js start=postmaster_start', {
      database: undefined,
      role: undefined,
      restartSeconds: NEVER_RESTART,
    });
    registerWorker(early, worker('/a.js'), MAX);
    registerWorker(early, atOnce!, MAX);
    const launched = step(early, { kind: 'tick' }, 3000).filter(effect => effect.effect === 'launch');
    expect(launched.map(({ member }) => member.name).filter(name => name.startsWith('bgworker'))).toEqual([
      'bgworker-2',
    ]);
  });

  it('exit code 0 is the end; another one, or a signal, a pause', () => {
    const stage = new Stage('/a.js name=one', '/b.js name=two');
    stage.take();
    stage.dies('bgworker-1', 0);
    stage.dies('bgworker-2', 1);
    stage.tick(4800);
    expect(stage.take()).toEqual([]);
    stage.tick(300);
    expect(stage.take()).toEqual(['launch bgworker-2']);
    stage.dies('bgworker-2', undefined, '(PID 8) was terminated by signal 9: Killed');
    stage.tick(5100);
    expect(stage.take()).toEqual(['launch bgworker-2']);
    expect(stage.log.slice(-2)).toEqual([
      'background worker "two" (PID 7) exited with exit code 1',
      'background worker "two" (PID 8) was terminated by signal 9: Killed',
    ]);
    expect(stage.s.pm.pmState).toBe('PM_RUN');
  });

  it('never restart is once; its slot is free again', () => {
    const stage = new Stage('/a.js restart=never', '/b.js', '/c.js');
    expect(stage.register('/d.js')).toBeUndefined();
    stage.dies('bgworker-1', 1);
    expect(stage.register('/d.js', 'request')).toBe('bgworker-1');
    expect(stage.register('/d.js', 'request')).toBe('bgworker-1');
    expect(stage.register('/e.js')).toBeUndefined();
  });

  it('one that computes for minutes is left alone, and has role_timeout to end', () => {
    const stage = new Stage('/a.js');
    stage.attend('bgworker-1');
    stage.take();
    stage.tick(60_000);
    expect(stage.take()).toEqual([]);
    stage.send({ kind: 'shutdown', mode: 'fast' });
    expect(stage.take().toSorted()).toEqual(['stop backend-1 fast', 'stop bgworker-1 fast']);
    stage.dies('backend-1', 0);
    stage.tick(9_900);
    stage.send({ kind: 'heartbeat', name: 'bgworker-1' });
    expect(stage.take()).toEqual([]);
    stage.tick(300);
    expect(stage.take()).toEqual(['kill bgworker-1']);
    stage.dies('bgworker-1', undefined);
    expect(stage.s.pm.pmState).toBe('PM_SHUTDOWN');
  });

  it('a smart shutdown leaves them until the last client is gone', () => {
    const stage = new Stage('/a.js');
    stage.attend('bgworker-1');
    stage.send({ kind: 'instances', wanted: 1, sessions: 1 });
    stage.take();
    stage.send({ kind: 'shutdown', mode: 'smart' });
    expect(stage.take()).toEqual([]);
    stage.send({ kind: 'instances', wanted: 1, sessions: 0 });
    expect(stage.take()).toContain('stop bgworker-1 fast');
  });
});
