/**
 * Differences with a reason. Everything else is a fault.
 */

/** The reason, or undefined. `expected` is null where answers are recorded. */
export function explained(got, expected, sql) {
  if (got.error?.code === '0A000' && /not supported by pgtroupe/.test(got.error.message)) return got.error.message;
  if (got.slow) return 'took too long on pgtroupe';
  if (expected === null) return undefined;
  if (/ORDER BY|DISTINCT|GROUP BY|UNION|INTERSECT|EXCEPT|max\(|min\(/.test(sql) && same(alike(got), alike(expected)))
    return 'equal numerics or intervals of another look: any of them may come first, or stand for all';
  if (atRunTime(got) !== atRunTime(expected) && /FROM/.test(sql))
    return 'an error of one row, which the plan may reach or not';
  if (atRunTime(got) && atRunTime(expected) && /FROM/.test(sql))
    return 'two errors of rows: the plan says which is first';
  return undefined;
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** Rows in any order, numbers without trailing zeros. */
function alike({ types, rows }) {
  if (rows === undefined) return Symbol('error').toString();
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
  return error !== undefined && error.code.startsWith('22');
}
