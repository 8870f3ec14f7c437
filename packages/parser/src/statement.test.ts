import { PG_CATALOG_NAMESPACE } from '@pgtroupe/common/oids';
import { type Oid } from '@pgtroupe/common/ids';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { factsCatalog } from '@pgtroupe/catalog/facts-source';
import { nodeToString } from '@pgtroupe/nodes/outfuncs';
import { analyze } from './analyze.ts';
import { LiteralScan } from './literal_scan.ts';
import { loadParser, rawParse } from './parser.ts';
import { bindLiterals, StatementCache, type LookedUp } from './statement.ts';
import { testCatalog, type TestCatalog } from '@pgtroupe/testkit/sql/analysis-oracle';

let test: TestCatalog;
beforeAll(async () => {
  await loadParser();
  test = testCatalog(await factsCatalog(), [PG_CATALOG_NAMESPACE], 'template1');
});

async function run(cache: StatementCache, sql: string) {
  const found: LookedUp = cache.lookupText(sql);
  const { statement, literals } = found;
  const attempt = () =>
    test.run(() =>
      analyze({ ...test, sourceText: statement.text, stmt: statement.stmts[0]!, literalBase: statement.literalBase }),
    );
  let result = await attempt();
  if (result.pinnedLiterals.length > 0) {
    cache.pin(statement, result.pinnedLiterals);
    result = await attempt();
    expect(result.pinnedLiterals).toEqual([]);
  }
  const values = bindLiterals(test.fc, result.literals, literals, () => sql);
  return { statement, result, values };
}

describe('statement cache', () => {
  it('parses once what differs only in literals', async () => {
    const cache = new StatementCache();
    const a = await run(cache, "select relname from pg_class where oid = 5 and relname = 'a'");
    const b = await run(cache, "select relname from pg_class where oid = 1234567 and relname = 'it''s'");
    expect(b.statement).toBe(a.statement);
    expect(cache.parses).toBe(1);
    expect(b.values.map(v => (v instanceof Uint8Array ? Buffer.from(v).toString() : v))).toEqual([1234567, "it's"]);
    expect(a.result.literals.map(l => [l.paramid, l.type])).toEqual([
      [1, 23],
      [2, 19],
    ]);
  });

  it('keeps no more of long texts than of many', async () => {
    await loadParser();
    const cache = new StatementCache();
    const text = (n: number, m: number): string => `select '${m}'::int2vector as "a${n}${'x'.repeat(30_000)}"`;
    for (let n = 0; n < 200; n++) cache.lookupText(text(n, 0));
    expect(cache.length).toBeGreaterThan(1 << 20);
    expect(cache.length).toBeLessThan(5 << 20);
    // What is used again stays.
    const { parses } = cache;
    cache.lookupText(text(199, 0));
    cache.lookupText(text(180, 0));
    expect(cache.parses).toBe(parses);
    // Variants of one shape count as well.
    for (let m = 1; m < 200; m++) {
      const { statement } = cache.lookupText(text(500, m));
      cache.pin(statement, [0]);
    }
    expect(cache.length).toBeLessThan(5 << 20);
  });

  it('keeps in the key what decides the meaning', async () => {
    const cache = new StatementCache();
    const different: [string, string][] = [
      ['select relname, oid from pg_class order by 1', 'select relname, oid from pg_class order by 2'],
      ['select oid from pg_class limit 1', 'select oid from pg_class limit 2'],
      ["select 'a'::varchar(3) from pg_class", "select 'a'::varchar(4) from pg_class"],
      ['select oid from pg_class where oid = 1', 'select oid from pg_class where oid = 3000000000'],
      ['select relname from pg_class where oid = 1', "select relname from pg_class where oid = '1'"],
      ["select 'pg_class'::regclass", "select 'pg_type'::regclass"],
      [
        'select relpages + 1 from pg_class group by relpages + 1',
        'select relpages + 2 from pg_class group by relpages + 2',
      ],
      ['select -2147483648', 'select 2147483648'],
      ["select concat('a', 1)", "select concat('b', 1)"],
    ];
    for (const [one, other] of different) {
      const a = cache.lookupText(one);
      if (one.includes('concat')) await run(cache, one);
      const b = cache.lookupText(other);
      expect(b.statement, other).not.toBe(a.statement);
      expect(cache.lookupText(one).statement, one).toBe(a.statement);
    }
  });

  it('folds signs and leaves room for parameters', async () => {
    const cache = new StatementCache();
    const a = await run(cache, 'select oid from pg_class where relpages = - 5');
    expect(a.values).toEqual([-5]);
    const b = await run(cache, 'select oid from pg_class where relpages -5 = 1.5e3');
    expect(b.result.literals.map(l => [l.index, l.negated, l.type])).toEqual([
      [0, false, 23],
      [1, false, 1700],
    ]);
    const found = cache.lookupText('select oid from pg_class where oid = $3 and relpages = 7');
    expect(found.statement.literalBase).toBe(4);
  });

  it('gives invalid literals their position in the text at hand', async () => {
    const cache = new StatementCache();
    const good = await run(cache, "select 1 from pg_class where relpages = '5'");
    const sql = "select 1 from pg_class where relpages = 'é'";
    const { statement, literals } = cache.lookupText(sql);
    expect(statement).toBe(good.statement);
    expect(() => bindLiterals(test.fc, good.result.literals, literals, () => sql)).toThrowError(
      expect.objectContaining({ sqlstate: '22P02', fields: expect.objectContaining({ position: 41 }) }),
    );
  });

  it('gives no type what is too large for it', async () => {
    const cache = new StatementCache();
    const good = await run(cache, "select 1 from pg_class where relpages = '2147483647'");
    expect(good.values).toEqual([1, 2147483647]);
    const sql = "select 1 from pg_class where relpages = '2147483648'";
    const { statement, literals } = cache.lookupText(sql);
    expect(statement).toBe(good.statement);
    expect(() => bindLiterals(test.fc, good.result.literals, literals, () => sql)).toThrowError(
      expect.objectContaining({ sqlstate: '22003' }),
    );
  });

  it('refuses what it cannot be sure of', () => {
    const scan = new LiteralScan();
    const scans = (sql: string) => {
      const bytes = Buffer.from(sql);
      return scan.scan(bytes, 0, bytes.length, true);
    };
    for (const sql of [
      "select e'a'",
      "select 'a'\n'b'",
      'select 1 -- x',
      'select /* */ 1',
      'select $$a$$',
      'select 1x',
      'select 0x10',
      'select 1_000',
      "select U&'a'",
      'select .5',
      "select 'a",
      'select "a',
      'select 1e',
    ]) {
      expect(scans(sql), sql).toBe(false);
    }
    expect(scans("select 'a' 'b', $1, 5-1, a.b, \"x y\", 1.5e-3")).toBe(true);
  });

  /** Texts made of pieces: the tree from the cache must be the tree of a fresh parse, whatever came before. */
  it('never mixes statements up', async () => {
    const literal = fc.oneof(
      fc.integer({ min: 0, max: 100 }).map(String),
      fc.constantFrom('2147483647', '2147483648', '5000000000', '9223372036854775808', '1.5', '2e3', '007'),
      fc.constantFrom("'a'", "'it''s'", "''", "'5'"),
    );
    const statement = fc
      .tuple(literal, literal, literal)
      .chain(([a, b, c]) =>
        fc.constantFrom(
          `select ${a}, ${b} from pg_class where relname <> 'x' and ${c} = ${c}`,
          `select * from pg_class where relpages in (${a}, 1, 2) limit 3`,
          `select ${a} union select ${b} order by 1`,
          `select count(*), ${a} from pg_class group by ${b === '1' ? '2' : 'relpages'}, 2`,
          `select -${a.startsWith("'") ? '1' : a} as x`,
        ),
      );
    const cache = new StatementCache();
    await fc.assert(
      fc.asyncProperty(statement, async sql => {
        let expected: string;
        try {
          expected = nodeToString(
            (await test.run(() => analyze({ ...test, sourceText: sql, stmt: rawParse(sql)[0]! }))).query,
          );
        } catch {
          return;
        }
        const { result, values } = await run(cache, sql);
        const substituted = substitute(nodeToString(result.query), result.literals, values);
        expect(substituted.replace(/:location -?\d+/g, '')).toBe(expected.replace(/:location -?\d+/g, ''));
      }),
      { numRuns: 400 },
    );
    expect(cache.parses).toBeLessThan(330);
  });
});

/** Puts the values back where their Params stand, as constants. */
function substitute(
  tree: string,
  literals: readonly { readonly paramid: number; readonly type: number }[],
  values: readonly unknown[],
): string {
  return tree.replace(
    /\{PARAM :paramkind 0 :paramid (\d+) :paramtype (\d+) :paramtypmod (-?\d+) :paramcollid (\d+) :location (-?\d+)\}/g,
    (_, id: string, type: string, typmod: string, collation: string, location: string) => {
      const index = literals.findIndex(l => l.paramid === Number(id));
      const lengths: Record<string, [number, boolean]> = {
        23: [4, true],
        20: [8, true],
        1700: [-1, false],
        25: [-1, false],
        19: [64, false],
        16: [1, true],
      };
      const [constlen, constbyval] = lengths[type] ?? [0, true];
      return nodeToString({
        type: 'Const',
        consttype: Number(type) as Oid,
        consttypmod: Number(typmod),
        constcollid: Number(collation) as Oid,
        constlen,
        constbyval,
        constisnull: false,
        location: Number(location),
        constvalue: values[index] as never,
      });
    },
  );
}
