import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { PgError } from '@pgtroupe/common/ereport';
import { condense } from './condense.ts';
import { loadParser, rawParse } from './parser.ts';

const long = 'xé'.repeat(1000);
const TEXTS = [
  `select '${long}' as a, b from t where c = $1`,
  `select E'${long}\\'${long}', '${long}''${long}'  \n '${long}'::text, 1`,
  `insert into t values ($$${long}$$, $tag$${long} $$ $tag$, B'1', '${long}'), (N'a', 1, 2, U&'${long}')`,
  `select 1 /* ${long} /* ${long} */ */ + 2 -- ${long}\n + 3; select '${long}'; select 4`,
  `select "${'n'.repeat(60)}" /* a */, '${long}' /*/ ${long} */ from t`,
];

describe('condense', () => {
  beforeAll(loadParser);

  it('gives the tree of the whole text', () => {
    for (const text of TEXTS) {
      const condensed = condense(Buffer.from(text), true)!;
      expect(condensed.text.length).toBeLessThan(text.length - 500);
      const stmts = rawParse(condensed.text);
      condensed.restore(stmts);
      expect(stmts).toEqual(rawParse(text));
    }
  });

  it('gives the errors of the whole text', () => {
    for (const text of TEXTS.flatMap(t => [`${t} frm frm`, `${t.replace(/as a|"n+"/, '+ +')} '${long}' '`])) {
      const condensed = condense(Buffer.from(text), true);
      if (condensed === undefined) continue;
      const caught = (parse: () => unknown): PgError => {
        try {
          parse();
        } catch (error) {
          return error as PgError;
        }
        throw new Error('it was parsed');
      };
      const short = condensed.restoreError(caught(() => rawParse(condensed.text))) as PgError;
      const whole = caught(() => rawParse(text));
      expect([short.sqlstate, short.message, short.fields.position]).toEqual([
        whole.sqlstate,
        whole.message,
        whole.fields.position,
      ]);
    }
  });

  it('agrees with the lexer on where things end', () => {
    const piece = fc.constantFrom(
      "'",
      "''",
      '"',
      '$$',
      '$a$',
      '--',
      '\n',
      '/*',
      '*/',
      '\\',
      'E',
      'a ',
      ' ',
      '1',
      'x'.repeat(1100),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), pieces => {
        const text = `select ${pieces.join('')}`;
        const condensed = condense(Buffer.from(text), true);
        if (condensed === undefined) return;
        const outcome = (parse: () => unknown): unknown => {
          try {
            return parse();
          } catch (error) {
            return (error as PgError).message;
          }
        };
        const whole = outcome(() => rawParse(text));
        const short = outcome(() => {
          try {
            const stmts = rawParse(condensed.text);
            condensed.restore(stmts);
            return stmts;
          } catch (error) {
            throw condensed.restoreError(error);
          }
        });
        expect(short).toEqual(whole);
      }),
      { numRuns: 2000 },
    );
  });

  it('leaves alone what it is not sure about', () => {
    expect(condense(Buffer.from(`select '${long}`), true)).toBeUndefined();
    expect(condense(Buffer.from(`select '${long}'`), false)).toBeUndefined();
    expect(condense(Buffer.from(`select '\u0001', '${long}'`), true)).toBeUndefined();
    expect(condense(Buffer.from('select 1'), true)).toBeUndefined();
  });
});
