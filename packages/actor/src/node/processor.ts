/** What this process has taken of the processors. */
import type { Processor } from '../env.ts';

export const nodeProcessor: Processor = {
  use: () => {
    const { user, system } = process.cpuUsage();
    return { userMicros: user, systemMicros: system };
  },
};
