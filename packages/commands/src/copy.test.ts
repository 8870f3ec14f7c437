import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CopyFromParser } from './copyfromparse.ts';
import { copyOptions, type CopyOptions } from './copyoptions.ts';
import { copyLine, formatLarge } from './copytoformat.ts';

function parse(options: CopyOptions, text: Buffer, cut: number): (string | null)[][] {
  const parser = new CopyFromParser(options);
  const rows: (string | null)[][] = [];
  const drain = (): void => {
    while (parser.nextRow()) {
      rows.push(
        Array.from({ length: parser.fieldCount }, (_, i) =>
          parser.isNull[i] === 1 ? null : parser.data.toString('utf8', parser.start[i], parser.end[i]),
        ),
      );
    }
  };
  for (let at = 0; at < text.length; at += cut) {
    parser.push(Buffer.from(text.subarray(at, at + cut)));
    drain();
  }
  parser.endOfInput();
  drain();
  return rows;
}

const string = (defname: string, sval: string) => ({ type: 'DefElem', defname, arg: { type: 'String', sval } });
const TEXT = copyOptions([]);
const CSV = copyOptions([string('format', 'csv')]);
const CSV_ESCAPE = copyOptions([string('format', 'csv'), string('escape', '\\'), string('null', 'NIL')]);

const field = fc.option(
  fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\\N', '\\.', '', 'NIL', '"', '\\', '\t', '\r\n', ','),
  ),
  { nil: null },
);

describe('COPY', () => {
  it.each([
    ['text', TEXT],
    ['csv', CSV],
    ['csv with its own escape', CSV_ESCAPE],
  ])('%s: what TO writes, FROM reads, however it is cut', (_, options) => {
    fc.assert(
      fc.property(
        fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 40 }),
        (rows, cut) => {
          const out: number[] = [];
          const sink = { byte: (b: number) => void out.push(b), bytes: (b: Uint8Array) => void out.push(...b) };
          for (const row of rows)
            copyLine(
              sink,
              options,
              row.map(v => (v === null ? null : Buffer.from(v))),
              [],
            );
          const expected = rows.map(row => row.map(v => (v === null ? null : Buffer.from(v).toString())));
          expect(parse(options, Buffer.from(out), cut)).toEqual(expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('reads escapes, line ends and the end marker as PostgreSQL does', () => {
    expect(parse(TEXT, Buffer.from('a\\tb\\x41\\101\\q\t\\N\r\nx\t\r\n\\.\r\nignored'), 3)).toEqual([
      ['a\tbAAq', null],
      ['x', ''],
    ]);
    expect(parse(CSV, Buffer.from('1,"a ""b"", c",\n,x,""\n'), 4)).toEqual([
      ['1', 'a "b", c', null],
      [null, 'x', ''],
    ]);
    expect(() => parse(TEXT, Buffer.from('a\nb\r\n'), 99)).toThrow('literal carriage return found in data');
    expect(() => parse(CSV, Buffer.from('"a\n'), 99)).toThrow('unterminated CSV quoted field');
  });

  it.each([
    ['text', TEXT, 'ab\\\\t'],
    ['csv', CSV, 'x""y\n'],
  ])('%s: a long line is put together in few places, and searched once', (_, options, piece) => {
    const parser = new CopyFromParser(options);
    const chunk = Buffer.from(piece.repeat(10_000));
    const memory = new Set<ArrayBufferLike>();
    const quote = options.format === 'csv' ? '"' : '';
    parser.push(Buffer.from(quote));
    for (let i = 0; i < 400; i++) {
      parser.push(Buffer.from(chunk));
      memory.add(parser.data.buffer);
      expect(parser.nextRow()).toBe(false);
    }
    parser.push(Buffer.from(`${quote}\nnext\n`));
    expect(parser.nextRow()).toBe(true);
    expect(parser.end[0]! - parser.start[0]!).toBe(400 * 10_000 * 4);
    expect(parser.nextRow()).toBe(true);
    expect(parser.data.toString('utf8', parser.start[0], parser.end[0])).toBe('next');
    expect(memory.size).toBeLessThan(20);
  });

  it.each([
    ['text', TEXT, 'a\tb\\', false],
    ['csv', CSV, 'a"b,', false],
    ['csv without a reason for quotes', CSV, 'abc', false],
    ['csv, quoted anyway', CSV, 'abc', true],
  ])('%s: a large field is written bit by bit, as it would be in one go', (_, options, piece, force) => {
    const value = Buffer.from(piece.repeat(1_500_000));
    const work = formatLarge(options, value, force);
    let steps = 0;
    let step = work.next();
    for (; step.done !== true; step = work.next()) steps++;
    expect(steps).toBeGreaterThan(3);
    const lines = [value, step.value].map(field => {
      const parts: Uint8Array[] = [];
      const sink = {
        byte: (b: number) => void parts.push(Buffer.from([b])),
        bytes: (b: Uint8Array) => void parts.push(b),
      };
      copyLine(sink, options, [field, Buffer.from('end')], [force]);
      return Buffer.concat(parts);
    });
    expect(lines[1]!.equals(lines[0]!)).toBe(true);
  });

  it('refuses options as PostgreSQL does', () => {
    expect(() => copyOptions([string('delimiter', 'ab')])).toThrow(
      'COPY delimiter must be a single one-byte character',
    );
    expect(() => copyOptions([string('quote', '"')])).toThrow('COPY quote available only in CSV mode');
    expect(() => copyOptions([string('nonsense', 'x')])).toThrow('option "nonsense" not recognized');
    expect(copyOptions([{ type: 'DefElem', defname: 'freeze', arg: { type: 'String', sval: 'on' } }]).freeze).toBe(
      true,
    );
  });
});
