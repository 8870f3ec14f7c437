import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { fatalResponse, newGreeting, readGreeting } from './startup_packet.ts';

const words = (...n: number[]): Buffer => {
  const b = Buffer.alloc(4 * n.length);
  n.forEach((x, i) => b.writeUInt32BE(x, 4 * i));
  return b;
};
const startup = Buffer.concat([words(8 + 10, 196608), Buffer.from('user\0joe\0\0')]);
const read = (...chunks: Buffer[]) => {
  const greeting = newGreeting();
  const seen: string[] = [];
  for (const chunk of chunks) {
    greeting.bytes = Buffer.concat([greeting.bytes, chunk]);
    for (;;) {
      const result = readGreeting(greeting);
      seen.push(result.result);
      if (result.result !== 'refuseEncryption') break;
    }
  }
  return seen;
};

describe('start-up packet', () => {
  it('waits for the whole packet and passes on what follows it', () => {
    const greeting = newGreeting();
    greeting.bytes = Buffer.concat([startup, Buffer.from('more')]);
    expect(readGreeting(greeting)).toEqual({
      result: 'startup',
      initial: Buffer.concat([startup, Buffer.from('more')]),
    });
    expect(read(startup.subarray(0, 3), startup.subarray(3, 12), startup.subarray(12))).toEqual([
      'more',
      'more',
      'startup',
    ]);
  });

  it('answers one SSL and one GSS request, not two', () => {
    expect(read(words(8, 80877103), words(8, 80877104), startup)).toEqual([
      'refuseEncryption',
      'more',
      'refuseEncryption',
      'more',
      'startup',
    ]);
    expect(read(words(8, 80877103), words(8, 80877103))).toEqual(['refuseEncryption', 'more', 'reject']);
  });

  it('refuses what comes in one piece with a request for encryption, after having answered that', () => {
    for (const [code, request] of [
      [80877103, 'SSL'],
      [80877104, 'GSSAPI encryption'],
    ] as const) {
      const greeting = newGreeting();
      greeting.bytes = Buffer.concat([words(8, code), startup]);
      expect(readGreeting(greeting)).toEqual({ result: 'refuseEncryption' });
      expect(readGreeting(greeting)).toMatchObject({
        result: 'reject',
        error: { sqlstate: '08P01', message: `received unencrypted data after ${request} request` },
      });
    }
  });

  it('reads cancel requests', () => {
    const greeting = newGreeting();
    greeting.bytes = words(16, 80877102, 4711, 0xdeadbeef);
    expect(readGreeting(greeting)).toEqual({ result: 'cancel', pid: 4711, secret: 0xdeadbeef });
    expect(read(words(20, 80877102, 1, 2, 3))).toEqual(['reject']);
  });

  it('refuses lengths and protocols in the words of PostgreSQL', () => {
    for (const length of [0, 4, 7, 10_001, 0xffffffff]) expect(read(words(length, 196608))).toEqual(['reject']);
    const greeting = newGreeting();
    greeting.bytes = words(8, 2 << 16);
    expect(readGreeting(greeting)).toMatchObject({
      error: { sqlstate: '0A000', message: 'unsupported frontend protocol 2.0: server supports 3.0 to 3.0' },
    });
  });

  it('never fails on garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
        const greeting = newGreeting();
        greeting.bytes = Buffer.from(bytes);
        expect(['more', 'reject', 'startup', 'cancel', 'refuseEncryption']).toContain(readGreeting(greeting).result);
      }),
    );
  });

  it('makes an ErrorResponse', () => {
    expect(fatalResponse('57P03', 'no').toString('latin1')).toBe('E\0\0\0\x1eSFATAL\0VFATAL\0C57P03\0Mno\0\0');
  });
});
