import { describe, expect, it } from 'vitest';
import { isDue, parseCron } from './cron.ts';

const due = (line: string, minute: string): boolean => isDue(parseCron(line), minute);

describe('cron lines', () => {
  it('each field restricts', () => {
    expect(due('* * * * *', '2026-11-30 17:05 1')).toBe(true);
    expect(due('5 17 30 11 *', '2026-11-30 17:05 1')).toBe(true);
    for (const line of ['6 * * * *', '* 16 * * *', '* * 29 * *', '* * * 10 *', '* * * * 2'])
      expect(due(line, '2026-11-30 17:05 1'), line).toBe(false);
  });

  it('lists, ranges and steps', () => {
    expect(due('0-10/5,30 9-17 * * *', '2026-11-30 17:05 1')).toBe(true);
    expect(due('*/15 * * * *', '2026-11-30 17:05 1')).toBe(false);
    expect(due('*/15 * * * *', '2026-11-30 17:45 1')).toBe(true);
    expect(due('5/20 * * * *', '2026-11-30 17:25 1')).toBe(true);
  });

  it('of two days one is enough; Sunday has two numbers', () => {
    expect(due('* * 13 * 5', '2026-11-13 00:00 5')).toBe(true);
    expect(due('* * 13 * 5', '2026-11-20 00:00 5')).toBe(true);
    expect(due('* * 13 * 5', '2026-11-21 00:00 6')).toBe(false);
    expect(due('* * * * 7', '2026-11-29 00:00 0')).toBe(true);
  });

  it('what makes no sense is told', () => {
    for (const line of ['* * * *', '60 * * * *', '5-1 * * * *', '*/0 * * * *', 'x * * * *', '* * 0 * *'])
      expect(() => parseCron(line), line).toThrow();
  });
});
