import { beforeAll, describe, expect, it } from 'vitest';
import { PgError } from '@pgtroupe/common/ereport';
import { hideLaterSyntax, truncationNotices } from './pg15grammar.ts';
import { loadParser, rawParse } from './parser.ts';

beforeAll(loadParser);

function failure(text: string): PgError {
  try {
    rawParse(text);
  } catch (error) {
    if (error instanceof PgError) return error;
    throw error;
  }
  throw new Error(`${text} parsed`);
}

describe('raw parser', () => {
  it('splits a query string and says where each statement is', () => {
    expect(rawParse("select 'é'; ;select 2").map(s => [s.stmt.type, s.stmt_location, s.stmt_len])).toEqual([
      ['SelectStmt', 0, 11],
      ['SelectStmt', 14, 0],
    ]);
    expect(rawParse('')).toEqual([]);
    expect(rawParse(' -- nothing\n;;')).toEqual([]);
  });

  it('names every node', () => {
    const [stmt] = rawParse('select a, 0, count(*) over () from t x');
    const select = stmt!.stmt;
    expect(select.targetList[1].val).toEqual({ type: 'A_Const', ival: { type: '' }, location: 10 });
    expect(select.targetList[2].val.over.type).toBe('WindowDef');
    expect(select.fromClause[0].alias).toEqual({ type: 'Alias', aliasname: 'x' });
  });

  it('words syntax errors as PostgreSQL does, with the character position', () => {
    const error = failure('select é é é');
    expect([error.sqlstate, error.message, error.fields.position]).toEqual([
      '42601',
      'syntax error at or near "é"',
      12,
    ]);
    expect(failure('select 1 +').message).toBe('syntax error at end of input');
    expect(failure('select 1 +').fields.position).toBe(11);
    expect(failure("select 'a").message).toBe('unterminated quoted string at or near "\'a"');
  });

  it('finds what later versions read in numbers, and long names, wherever they stand', () => {
    for (const text of [
      '1_000',
      '1.5_0',
      '.5_0',
      '1e1_0',
      '1e+1_0',
      '(0x1F)',
      'a.b=0b11',
      "'a'1_0",
      '$$x$$1_0',
      '1+0o7',
    ])
      expect(hideLaterSyntax(`select ${text}`)).not.toBe(`select ${text}`);
    for (const text of ['select t0_.a1_0 as c0_1_ from t0x1 t0_', 'select "a1_0", é1_0', "select '1_000 0x1F'"])
      expect(hideLaterSyntax(text)).toBe(text);
    for (const name of [
      'a'.repeat(64),
      `"${'a'.repeat(31)} ${'b'.repeat(32)}"`,
      '水'.repeat(22),
      `"水 ${'水'.repeat(21)}"`,
    ])
      expect(truncationNotices(`select 1 as ${name}, 2 as b`)).toHaveLength(1);
    expect(truncationNotices(`select 1 as ${'a'.repeat(63)}, 2 as "b"`)).toEqual([]);
  });
});
