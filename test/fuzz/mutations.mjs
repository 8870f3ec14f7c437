/**
 * Statements of test/regress and test/corpus with something changed: a token lost, said twice, put elsewhere, another literal, type or
 * name. A file's statements run in their order, since later ones need the tables of earlier ones; before each come its mutants.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDERS = ['../regress/sql/', '../corpus/'];
/** Would change more than a schema, end the session or wait. */
const NEVER =
  /\b(?:alter\s+system|role|user|database|tablespace|owned|authorization|pg_terminate|pg_cancel|pg_sleep|copy|pg_switch_wal|pg_reload|advisory|vacuum|analyze|checkpoint|set_config|reset\s+all|discard|explain|pg_stat\w*|pg_locks|pg_class)\b|^\\/i;
const BLOCKS =
  /^\s*(?:begin|start|commit|end|rollback|abort|savepoint|release|prepare|deallocate|execute|set|reset)\b/i;

const LITERALS = [
  'null',
  "''",
  '0',
  '-1',
  '2147483648',
  "'NaN'",
  "'infinity'::timestamptz",
  "'{NULL}'::int[]",
  'array[]::text[]',
  'row(1, null)',
  '1e308',
  "'x'::name",
  '*',
  '()',
  'true',
  "repeat('x', 100)",
  '$1',
  'default',
  "b'101'",
  "e'\\\\xff'::bytea",
  '\'{"a": [1]}\'::jsonb',
];
const TYPES = [
  'int4',
  'text',
  'numeric(3,1)',
  'int4[]',
  'jsonb',
  'record',
  'unknown',
  'name',
  'timestamptz',
  'interval',
  'bytea',
  'oid',
  'regclass',
  'bool',
  'bit(3)',
  'varchar(2)',
  'cstring',
  'anyarray',
  'no_such',
];
const WORDS = [
  'select',
  'from',
  'where',
  'distinct',
  'all',
  'any',
  'not',
  'null',
  'is',
  'order by 1',
  'group by 1',
  'limit 1',
  'lateral',
  'cascade',
  'with ties',
  'over ()',
  'filter (where true)',
  'collate "C"',
  'as x',
  'union select 1',
  'returning *',
  'default',
  'for update',
  'array',
  'unique',
  'check (true)',
  'generated always as identity',
];
const TOKEN = /\s+|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\w*\$|[\w$]+(?:\.\d+)?|::|<>|<=|>=|->>?|#>>?|\|\||[^\w\s]/g;

/** The files, each with its statements. */
export function corpus() {
  return FOLDERS.flatMap(folder => {
    const path = fileURLToPath(new URL(folder, import.meta.url));
    const files = readdirSync(path)
      .filter(name => name.endsWith('.sql'))
      .sort();
    return files.map(name => ({ name, statements: statementsOf(readFileSync(`${path}${name}`, 'utf8')) }));
  });
}

function statementsOf(text) {
  const out = [];
  let lines = [];
  for (const line of text.split('\n')) {
    if (lines.length === 0 && (line.trim() === '' || /^(?:--|\\)/.test(line))) continue;
    lines.push(line);
    if (!/;\s*$/.test(line)) continue;
    out.push(lines.join('\n').replace(/;\s*$/, ''));
    lines = [];
  }
  return out.filter(sql => !NEVER.test(sql) && !BLOCKS.test(sql));
}

export function mutant(random, sql) {
  const tokens = sql.match(TOKEN) ?? [];
  const solid = tokens.map((token, i) => (/^\s/.test(token) ? -1 : i)).filter(i => i >= 0);
  for (
    let changes = random.weighted([
      [3, 1],
      [2, 2],
      [1, 3],
    ]);
    changes > 0;
    changes--
  ) {
    const i = random.pick(solid);
    const j = random.pick(solid);
    const token = tokens[i];
    tokens[i] = random.weighted([
      [2, () => ''],
      [1, () => `${token} ${token}`],
      [2, () => tokens[j]],
      [/^['\d]/.test(token) ? 8 : 2, () => random.pick(LITERALS)],
      [tokens[i - 1] === '::' ? 10 : 1, () => random.pick(TYPES)],
      [1, () => `${token} ${random.pick(WORDS)}`],
      [/^\w/.test(token) ? 1 : 0, () => `${token}::${random.pick(TYPES)}`],
      [1, () => `${random.pick(WORDS)}`],
      [/^[\w"']/.test(token) ? 1 : 0, () => `(${token})`],
    ])();
  }
  return tokens.join('');
}
