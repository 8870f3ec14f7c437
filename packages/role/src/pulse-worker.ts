/**
 * The thread that speaks for a busy main thread. It is asleep almost always, and loads what speaks gRPC only
 * when it has something to say.
 */
import { workerData } from 'node:worker_threads';
import { nodeClock, nodeTimers } from '@pgtroupe/actor/node/clock';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import type { PulseAnswer, PulseReport } from '@pgtroupe/rpc/generated/pulse';
import { LOOK_MS, type PulseWorkerData } from './pulse.ts';

/** The main loop turns twice in this time. */
const SILENT_MS = 1000;

const { cluster, name, epoch, endpoints, turns } = workerData as PulseWorkerData;
const counter = new Int32Array(turns);
const streams = new Map<string, RpcStream<PulseReport, PulseAnswer>>();
let seen = Atomics.load(counter, 0);
let turnedMs = nodeClock.nowMs();
let lookedMs = turnedMs;

async function speak(busyMs: number): Promise<void> {
  const [{ grpcRpc }, { PULSE }, { Traffic }] = await Promise.all([
    import('@pgtroupe/rpc/grpc/index'),
    import('./pulse.ts'),
    import('@pgtroupe/actor/traffic'),
  ]);
  const rpc = grpcRpc({ cluster, name, epoch }, new Traffic());
  for (const endpoint of endpoints) {
    let stream = streams.get(endpoint);
    if (stream === undefined) {
      stream = rpc.open(endpoint, PULSE);
      stream.onEnd = () => streams.delete(endpoint);
      streams.set(endpoint, stream);
    }
    stream.send({ name, epoch, busyMs: Math.round(busyMs) });
  }
}

function fallSilent(): void {
  for (const stream of streams.values()) stream.end();
  streams.clear();
}

async function look(): Promise<void> {
  const nowMs = nodeClock.nowMs();
  const turn = Atomics.load(counter, 0);
  // A look that comes late says that the whole process stood still: main had no chance to turn.
  const stoodStillMs = Math.max(0, nowMs - lookedMs - 2 * LOOK_MS);
  lookedMs = nowMs;
  if (turn !== seen) {
    seen = turn;
    turnedMs = nowMs;
    fallSilent();
  } else {
    turnedMs += stoodStillMs;
    if (nowMs - turnedMs > SILENT_MS) await speak(nowMs - turnedMs);
  }
}

for (;;) {
  await look();
  await new Promise<void>(resolve => nodeTimers.after(LOOK_MS, resolve));
}
