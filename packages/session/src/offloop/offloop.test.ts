/** Who waits for a thread, and for how long: with threads that answer when the test says so. */
import { expect, test } from 'vitest';
import type { Thread, Timers } from '@pgtroupe/actor/env';
import { type Job, OffLoop } from './offloop.ts';

class World {
  readonly threads: { readonly thread: Thread; readonly posted: unknown[]; ended: boolean }[] = [];
  /** How long after they were told to. */
  threadsEndAfterMs = 0;
  #now = 0;
  #timers: { at: number; fn: () => void }[] = [];
  readonly timers: Timers = {
    after: (ms, fn) => {
      const timer = { at: this.#now + ms, fn };
      this.#timers.push(timer);
      return { cancel: () => void (this.#timers = this.#timers.filter(other => other !== timer)) };
    },
    soon: fn => queueMicrotask(fn),
  };
  readonly offLoop = new OffLoop(
    {
      start: () => {
        const posted: unknown[] = [];
        const made = { posted, ended: false } as unknown as (typeof this.threads)[number];
        const thread: Thread = {
          onMessage: () => {},
          onEnd: () => {},
          post: message => posted.push(message),
          end: () => {
            made.ended = true;
            const ended = (): void => thread.onEnd('terminated');
            if (this.threadsEndAfterMs === 0) queueMicrotask(ended);
            else this.timers.after(this.threadsEndAfterMs, ended);
          },
        };
        Object.assign(made, { thread });
        this.threads.push(made);
        return thread;
      },
    },
    this.timers,
  );

  /** Time goes by. */
  async pass(ms: number): Promise<void> {
    for (const end = this.#now + ms; ; ) {
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      this.#now = next?.at ?? end;
      await Promise.resolve();
      if (next === undefined) return;
      this.#timers = this.#timers.filter(timer => timer !== next);
      next.fn();
      for (let i = 0; i < 10; i++) await Promise.resolve();
    }
  }

  get alive(): number {
    return this.threads.filter(({ ended }) => !ended).length;
  }

  /** The thread that works on `text` answers. */
  answer(text: string): void {
    const one = this.threads.find(({ posted, ended }) => !ended && (posted.at(-1) as { text?: string })?.text === text);
    one!.thread.onMessage({ answer: 'json', json: text });
  }

  start(text: string): Job {
    return this.offLoop.start({ task: 'parse', text });
  }
}

test('two threads serve those who wait a moment', async () => {
  const world = new World();
  const jobs = ['a', 'b', 'c'].map(text => world.start(text));
  await world.pass(100);
  expect(world.alive).toBe(2);
  world.answer('a');
  world.answer('c');
  world.answer('b');
  expect(jobs.map(job => job.done)).toEqual([true, true, true]);
  expect(world.alive).toBe(2);
  await world.pass(11_000);
  expect(world.alive).toBe(0);
});

test('endless jobs in every thread do not keep another from running, again and again', async () => {
  const world = new World();
  const endless = Array.from({ length: 6 }, (_, i) => world.start(`endless ${i}`));
  await world.pass(20_000);
  expect(world.alive).toBe(4);
  for (const text of ['x', 'y', 'z']) {
    const job = world.start(text);
    await world.pass(1000);
    world.answer(text);
    expect(job.json()).toBe(text);
    await world.pass(60_000);
  }
  expect(endless.some(job => job.done)).toBe(false);
  expect(world.alive).toBe(4);
});

test('a long job that was sent back is left alone longer each time, and comes to its end', async () => {
  const world = new World();
  const long = world.start('long');
  Array.from({ length: 8 }, (_, i) => world.start(`endless ${i}`));
  // It needs half a minute in one go.
  for (let ran = 0, posts = 0; ran < 30_000; ) {
    const now = world.threads.filter(({ posted }) => posted.some(task => (task as { text: string }).text === 'long'));
    const runs = now.some(({ ended, posted }) => !ended && (posted.at(-1) as { text: string }).text === 'long');
    ran = runs && now.length === posts ? ran + 250 : 0;
    posts = now.length;
    await world.pass(250);
  }
  world.answer('long');
  expect(long.json()).toBe('long');
});

test('a job given up leaves its thread to another', async () => {
  const world = new World();
  const [a, , c] = ['a', 'b', 'c'].map(text => world.start(text));
  a!.abandon();
  await world.pass(0);
  world.answer('c');
  expect(c!.done).toBe(true);
  expect(world.alive).toBe(2);
});

test('a thread that was told to end for want of work takes no job any more', async () => {
  const world = new World();
  const first = world.offLoop.start({ task: 'parse', text: 'first' });
  world.answer('first');
  await first.settled;
  world.threadsEndAfterMs = 50;
  await world.pass(10_001);
  expect(world.alive).toBe(0);
  const second = world.offLoop.start({ task: 'parse', text: 'second' });
  await world.pass(100);
  world.answer('second');
  await second.settled;
  expect(second.json()).toBe('second');
});
