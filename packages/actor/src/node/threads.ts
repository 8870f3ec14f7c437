/** Threads of a real process. */
import { parentPort, Worker } from 'node:worker_threads';
import type { Thread, Threads } from '../env.ts';

const HEAP_MB = 2048;
const STACK_MB = 4;

export const nodeThreads: Threads = {
  start(program: URL): Thread {
    const worker = new Worker(program, {
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, stackSizeMb: STACK_MB },
    });
    worker.unref();
    const thread: Thread = {
      onMessage: () => {},
      onEnd: () => {},
      post: (message, moved = []) => worker.postMessage(message, moved),
      end: () => void worker.terminate(),
    };
    let why = 'it ended';
    worker.on('message', message => thread.onMessage(message));
    worker.on('error', error => (why = error.message));
    worker.on('exit', () => thread.onEnd(why));
    return thread;
  },
};

/** In the thread itself: answers every message. `perform` must not reject. */
export function answerMessages<Message, Answer>(
  perform: (message: Message) => Promise<Answer>,
  moved: (answer: Answer) => readonly ArrayBuffer[],
): void {
  parentPort!.on('message', (message: Message) => {
    void perform(message).then(answer => parentPort!.postMessage(answer, moved(answer)));
  });
}
