/** A pause of a statement: it ends when its time is over, or at once when the session is interrupted. */
import type { Env } from '@pgtroupe/actor/env';
import type { LockOwner } from '@pgtroupe/instance/instance-locks';
import type { WaitEvent } from '@pgtroupe/instance/wait-event';

/** No timer goes on for longer than 31 bits. */
const LONGEST_MS = 2 ** 30;

export async function sleepInterruptibly(
  { clock, timers }: Pick<Env, 'clock' | 'timers'>,
  owner: LockOwner,
  ms: number,
  waitEvent: WaitEvent,
): Promise<void> {
  const untilMs = clock.nowMs() + ms;
  owner.waitEvent = waitEvent;
  try {
    for (let left = ms; left > 0; left = untilMs - clock.nowMs()) {
      if (owner.interrupt !== undefined) throw owner.interrupt;
      await new Promise<void>(resolve => {
        const timer = timers.after(Math.min(left, LONGEST_MS), resolve);
        owner.waiting = {
          cancel: () => {
            timer.cancel();
            resolve();
          },
        };
      });
    }
    if (owner.interrupt !== undefined) throw owner.interrupt;
  } finally {
    owner.waiting = undefined;
    owner.waitEvent = undefined;
  }
}
