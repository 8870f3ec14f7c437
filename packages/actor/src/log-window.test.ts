import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogReception, LogWindow, parseLogMessage } from './log-window.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const read = (message: Uint8Array) => parseLogMessage(new TextDecoder().decode(message))!;

describe('log lines on their way', () => {
  it('come once and in order over a bus that loses messages, or are counted', () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ kind: fc.constant('say' as const), arrives: fc.boolean() }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('again' as const), arrives: fc.array(fc.boolean()) }) },
      { weight: 2, arbitrary: fc.constant({ kind: 'heard' as const }) },
    );
    fc.assert(
      fc.property(fc.array(step), fc.integer({ min: 1, max: 5 }), (steps, room) => {
        const window = new LogWindow(room, 1000);
        const reception = new LogReception();
        const written: number[] = [];
        let said = 0;
        let lost = 0;
        const receive = (message: Uint8Array): void => {
          const got = reception.take(read(message));
          if (got.kind !== 'next') return;
          written.push(Number(read(message).json));
          lost += got.lost;
        };
        for (const { kind, ...how } of [...steps, { kind: 'last' as const }]) {
          if (kind === 'say') {
            const line = bytes(String(++said));
            if (!window.hasRoom(line)) window.giveUpOldest();
            const message = window.add(line);
            if ('arrives' in how && how.arrives === true) receive(message);
          } else if (kind === 'heard') window.heard(reception.last);
          else {
            const arrives = kind === 'again' && 'arrives' in how ? (how.arrives as boolean[]) : undefined;
            [...window.messages()].forEach((message, n) => {
              if (arrives === undefined || arrives[n] === true) receive(message);
            });
          }
        }
        expect(written).toEqual([...written].sort((a, b) => a - b));
        expect(new Set(written).size).toBe(written.length);
        // What is lost before the first line that a logger hears of is not its to count.
        const before = (written[0] ?? said + 1) - 1;
        expect(before + written.length + lost).toBe(said);
        expect(before).toBeLessThanOrEqual(Math.max(0, said - room) + (written.length === 0 ? room : 0));
        window.heard(reception.last);
        expect(window.size).toBe(0);
      }),
    );
  });

  it('are taken from the oldest kept on by a logger that took the place of another', () => {
    const window = new LogWindow(10, 1000);
    const messages = ['a', 'b', 'c'].map(line => window.add(bytes(line)));
    const second = new LogReception();
    expect(second.take(read(messages[2]!))).toEqual({ kind: 'skip' });
    expect([...window.messages()].map(message => second.take(read(message)).kind)).toEqual(['next', 'next', 'next']);
    expect(parseLogMessage('nonsense')).toBeUndefined();
  });
});
