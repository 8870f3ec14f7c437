import { expect, test } from 'vitest';
import { Arena, ArenaSpace } from './arena.ts';
import { createMemory } from './memory.ts';

const MB = 1 << 20;
const FROM = 8192;

function space(bytes: number): ArenaSpace {
  return new ArenaSpace(createMemory(FROM + bytes), FROM, FROM + bytes);
}

/** Chunks of `bytes` until there are no more. */
function fill(arena: Arena, bytes: number): number[] {
  const chunks: number[] = [];
  for (;;) {
    try {
      chunks.push(arena.alloc(bytes));
    } catch (error) {
      expect(error).toMatchObject({ sqlstate: '53200' });
      return chunks;
    }
  }
}

test('nobody takes the last chunk: each leaves a quarter of what the others do not use', () => {
  const all = space(16 * MB);
  const [a, b, c] = [new Arena(all), new Arena(all), new Arena(all)];
  expect(fill(a, MB).length).toBe(12);
  expect(fill(b, MB).length).toBe(3);
  expect(fill(c, MB / 4).length).toBe(3);
});

test('free neighbours become a larger chunk again, whatever order they come back in', () => {
  const all = space(16 * MB);
  const arena = new Arena(all);
  const small = fill(arena, 8192);
  for (const [i, at] of small.entries()) if (i % 2 === 0) arena.free(at, 8192);
  for (const [i, at] of small.entries()) if (i % 2 === 1) arena.free(at, 8192);
  const large = arena.alloc(8 * MB);
  const rest = fill(arena, MB);
  expect(rest.length).toBe(4);
  for (const at of rest) expect(at >= large + 8 * MB || at + MB <= large).toBe(true);
  expect(all.used).toBe(12 * MB);
});

test('what a session still has goes back when it ends', () => {
  const all = space(4 * MB);
  const arena = new Arena(all);
  const [first] = fill(arena, MB);
  arena.close();
  expect(all.used).toBe(0);
  arena.free(first!, MB);
  expect(all.used).toBe(0);
});
