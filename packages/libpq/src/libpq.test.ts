import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader } from './frame-reader.ts';
import { matchHba, parseHba } from './hba.ts';
import { FRONTEND } from './protocol.ts';
import { OutBuffer } from './pqformat.ts';
import { parseStartupPacket } from './startup.ts';

function message(type: number, body: Uint8Array): Buffer {
  const out = Buffer.alloc(5 + body.length);
  out[0] = type;
  out.writeInt32BE(4 + body.length, 1);
  out.set(body, 5);
  return out;
}

describe('FrameReader', () => {
  it('finds the same messages however the stream is cut', () => {
    const types = Object.values(FRONTEND);
    const messages = fc.array(fc.tuple(fc.constantFrom(...types), fc.uint8Array({ maxLength: 300 })), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(messages, fc.array(fc.nat(400)), (sent, cuts) => {
        const stream = Buffer.concat(sent.map(([type, body]) => message(type, body)));
        const reader = new FrameReader();
        const seen: [number, Buffer][] = [];
        let at = 0;
        let turn = 0;
        while (at < stream.length) {
          const size = 1 + (cuts.length > 0 ? cuts[turn++ % cuts.length]! : 0);
          reader.push(Buffer.from(stream.subarray(at, at + size)));
          at += size;
          while (reader.next()) seen.push([reader.type, Buffer.from(reader.body)]);
        }
        expect(seen).toEqual(sent.map(([type, body]) => [type, Buffer.from(body)]));
        expect(reader.pendingBytes).toBe(0);
      }),
    );
  });

  it.each([
    ['unknown type', Buffer.from([1, 0, 0, 0, 4])],
    ['length below its own size', Buffer.from([FRONTEND.Query, 0, 0, 0, 3])],
    ['negative length', Buffer.from([FRONTEND.Query, 0xff, 0xff, 0xff, 0xff])],
    ['Sync of 64 kB', Buffer.from([FRONTEND.Sync, 0, 1, 0, 0])],
  ])('refuses %s', (_, bytes) => {
    const reader = new FrameReader();
    reader.push(bytes);
    expect(() => reader.next()).toThrow(expect.objectContaining({ sqlstate: '08P01' }));
  });

  it('holds what came, not what was declared', () => {
    const reader = new FrameReader();
    reader.push(Buffer.from([FRONTEND.Query, 0x3f, 0xff, 0xff, 0xff, 1, 2, 3]));
    expect(reader.next()).toBe(false);
    expect(reader.pendingBytes).toBe(8);
  });
});

describe('start-up packets', () => {
  it('never crash on garbage and never read beyond the packet', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        try {
          const found = parseStartupPacket(Buffer.from(bytes));
          if (found) expect(found.lengthBytes).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect(error).toMatchObject({ name: 'PgError' });
        }
      }),
    );
  });

  it('gives names and values', () => {
    const body = Buffer.from('user\0ann\0database\0shop\0_pq_.x\x001\0\0');
    const packet = Buffer.alloc(8 + body.length);
    packet.writeInt32BE(packet.length, 0);
    packet.writeInt32BE(0x00030000, 4);
    packet.set(body, 8);
    expect(parseStartupPacket(packet)?.packet).toEqual({
      kind: 'startup',
      minor: 0,
      parameters: new Map([
        ['user', 'ann'],
        ['database', 'shop'],
      ]),
      unknownOptions: ['_pq_.x'],
    });
  });
});

describe('pg_hba.conf', () => {
  const file = parseHba(`
# TYPE DATABASE USER ADDRESS METHOD
local all all trust
host  shop,"all" ann 10.0.0.0/8 reject
host  all  all 127.0.0.1 255.255.255.255 trust
host  sameuser all ::1/128 md5
nonsense all all trust
host all all 10.0.0.300/8 trust
`);
  it('takes the first line that matches', () => {
    const match = (address: string | undefined, database: string, user: string): string | undefined =>
      matchHba(file, { address, database, user })?.method;
    expect(match(undefined, 'x', 'y')).toBe('trust');
    expect(match('10.1.2.3', 'shop', 'ann')).toBe('reject');
    expect(match('10.1.2.3', 'other', 'ann')).toBeUndefined();
    expect(match('10.1.2.3', 'all', 'ann')).toBe('reject');
    expect(match('127.0.0.1', 'x', 'y')).toBe('trust');
    expect(match('::ffff:127.0.0.1', 'x', 'y')).toBe('trust');
    expect(match('::1', 'x', 'x')).toBe('md5');
    expect(match('::1', 'x', 'y')).toBeUndefined();
  });
  it('names the lines it cannot use', () => {
    expect(file.problems.map(p => p.lineNumber)).toEqual([7, 8]);
  });
});

describe('OutBuffer', () => {
  const message = (bytes: Buffer, at: number): string =>
    `${String.fromCharCode(bytes[at]!)} ${bytes.readInt32BE(at + 1)}`;

  it('takes large values as they are, and gives a message up with them', () => {
    const out = new OutBuffer();
    const large = new Uint8Array(100_000).fill(120);
    const row = (): void => {
      out.begin(68);
      out.int32(large.length);
      out.bytes(large);
      out.int32(3);
      out.bytes(Buffer.from('abc'));
      out.bytes(large);
      out.end();
    };
    out.begin(84);
    out.end();
    row();
    out.begin(68);
    out.int16(1);
    out.bytes(large);
    out.discardUnfinished();
    out.begin(67);
    out.cstring('SELECT 1');
    out.end();
    const parts = out.take();
    expect(parts.some(part => part.buffer === large.buffer)).toBe(true);
    const bytes = Buffer.concat(parts);
    expect(message(bytes, 0)).toBe('T 4');
    expect(message(bytes, 5)).toBe('D 200015');
    expect(message(bytes, 5 + 200_016)).toBe('C 13');
    expect(bytes.length).toBe(5 + 200_016 + 14);
    expect(out.pendingBytes).toBe(0);
  });

  it('refuses a message that no buffer of PostgreSQL could hold', () => {
    const out = new OutBuffer();
    const large = new Uint8Array(600_000_000);
    out.begin(68);
    out.bytes(large);
    expect(() => out.bytes(large)).toThrow(/^out of memory$/);
    out.discardUnfinished();
    expect(out.pendingBytes).toBe(0);
  });
});
