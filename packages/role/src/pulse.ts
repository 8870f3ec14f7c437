/**
 * The second voice of an instance: see proto/pulse.proto. `startPulse` runs in the main thread and starts the
 * other one (pulse-worker.ts); main turns a counter in shared memory, the other thread watches it.
 *
 * `pulseHandler` is the serving end.
 */
import { Worker } from 'node:worker_threads';
import { handle, type Handler } from '@pgtroupe/actor/rpc';
import { type PulseReport, VigilDefinition } from '@pgtroupe/rpc/generated/pulse';
import { streamMethod } from '@pgtroupe/rpc/method';

export const PULSE = streamMethod(VigilDefinition, 'pulse');

/** No single stretch of computation may take longer than this: what does is taken for a hang. */
export const BUSY_MAX_MS = 300_000;
/** How often the main loop turns and the other thread looks. */
export const LOOK_MS = 500;
const STACK_MB = 1;
const HEAP_MB = 32;

export interface PulseOptions {
  readonly cluster: string;
  readonly name: string;
  readonly epoch: number;
  /** Where those listen who would expel or kill. */
  readonly endpoints: readonly string[];
}

export interface PulseWorkerData extends PulseOptions {
  /** One Int32: turns of the main loop. */
  readonly turns: SharedArrayBuffer;
}

export interface Pulse {
  /** The main loop turned. */
  turn(): void;
}

export function startPulse(options: PulseOptions): Pulse {
  const turns = new SharedArrayBuffer(4);
  const counter = new Int32Array(turns);
  const workerData: PulseWorkerData = { ...options, turns };
  const worker = new Worker(new URL('pulse-worker.js', import.meta.url), {
    workerData,
    execArgv: [],
    resourceLimits: { stackSizeMb: STACK_MB, maxOldGenerationSizeMb: HEAP_MB },
  });
  worker.unref();
  return { turn: () => void Atomics.add(counter, 0, 1) };
}

/** Serves PULSE; `busy` hears only of those who may still be. */
export function pulseHandler(busy: (report: PulseReport) => void): Handler {
  return handle(PULSE, stream => {
    stream.onMessage = report => {
      if (report.busyMs <= BUSY_MAX_MS) busy(report);
    };
  });
}
