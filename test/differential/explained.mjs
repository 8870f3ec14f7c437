/**
 * What is kept of an answer to compare it, and differences with a reason: everything else is a fault. Answers recorded in
 * a file are judged by the same, so a marked answer is all a judge may use.
 */
import { createHash } from 'node:crypto';

/** Exact; equal but for the look of numbers and the order of rows, or what an error is of; equal but for typmods. */
export function marks(answer) {
  if (answer.slow) return 'slow';
  if (answer.error !== undefined) return `${digest(answer)} ${atRunTime(answer) ? 'failed' : 'error'}`;
  const { types, rows } = answer;
  const bare = types.map(columns => columns.map(column => column.replace(/ \S+$/, '')));
  return [answer, alike(answer), { types: bare, rows }].map(digest).join(' ');
}

/** The reason, or undefined. `expected` is the marks of the judge's answer. */
export function explained(got, expected, sql) {
  if (got.error?.code === '0A000' && /not supported by pgtroupe/.test(got.error.message)) return got.error.message;
  if (got.slow) return 'took too long on pgtroupe';
  const [, wanted, wantedBare] = expected.split(' ');
  const [, had, bare] = marks(got).split(' ');
  if (
    got.error === undefined &&
    wanted === had &&
    /ORDER BY|DISTINCT|GROUP BY|UNION|INTERSECT|EXCEPT|max\(|min\(/.test(sql)
  )
    return 'equal numerics or intervals of another look: any of them may come first, or stand for all';
  if (bare !== undefined && wantedBare === bare && /UNION.*WHERE/.test(sql))
    return "a UNION of which PostgreSQL proves one side empty tells the other side's typmod";
  if (/FROM/.test(sql)) {
    if (wanted === 'failed' && had === 'failed') return 'two errors of rows: the plan says which is first';
    if (wanted === 'failed' || had === 'failed') return 'an error of one row, which the plan may reach or not';
  }
  return undefined;
}

/** Enough to notice any other. */
export const digest = answer => createHash('sha256').update(JSON.stringify(answer)).digest('base64').slice(0, 8);

/** Rows in any order, numbers without trailing zeros. */
function alike({ types, rows }) {
  return {
    types,
    rows: rows.map(part =>
      Array.isArray(part)
        ? part.map(row => row.replace(/(\.\d*?)0+(?!\d)/g, '$1').replace(/\.(?!\d)/g, '')).sort()
        : part,
    ),
  };
}

/** Did a value of some row fail? */
function atRunTime({ error }) {
  return error.code.startsWith('22');
}
