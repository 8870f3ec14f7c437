/** What the process takes, as V8 counts it. */
import { getHeapStatistics } from 'node:v8';
import type { Memory } from '../env.ts';

export const nodeMemory: Memory = {
  use() {
    const { used_heap_size, heap_size_limit, external_memory } = getHeapStatistics();
    return { heapBytes: used_heap_size, heapLimit: heap_size_limit, externalBytes: external_memory };
  },
};
