/**
 * Answers in a form in which two that say the same are the same text, and the marks of a judge's answers that a file
 * can keep. An answer is {parts: [{columns: [{name, oid, typmod}], rows: [[text]], tag, order}]}, {error: {code, message}}
 * or {slow: true}; `order` are the positions of the columns that ORDER BY names, undefined without one.
 */
import { createHash } from 'node:crypto';

/** Enough to notice any other. */
export const digest = value => createHash('sha256').update(JSON.stringify(value)).digest('base64').slice(0, 8);

/** The columns by which the rows of a statement are ordered. */
export function orderOf(sql) {
  if (!/ORDER BY [^()]*$/.test(sql)) return undefined;
  const item = String.raw`c?\d+(?: DESC| ASC)?(?: NULLS (?:FIRST|LAST))?`;
  const found = new RegExp(
    `ORDER BY (${item}(?:, ${item})*)(?: LIMIT \\d+)?(?: OFFSET \\d+)?(?: FETCH FIRST \\d+ ROWS WITH TIES)?$`,
  ).exec(sql);
  if (found === null) throw new Error(`which columns order the rows of ${sql}?`);
  return found[1].split(',').map(by => Number(/\d+/.exec(by)[0]) - 1);
}

/** Values as they are, rows in the order that was asked for: those of equal keys, or without an order all, in any. */
export function exact(answer) {
  return answer.parts?.map(part => ({ ...part, rows: arranged(part, row => JSON.stringify(row)) })) ?? answer;
}

/** Equal values (1.0 and 1.00, a month and 30 days) are the same. */
export function loose(answer) {
  if (answer.parts === undefined) return answer;
  return answer.parts.map(part => ({ ...part, rows: arranged(part, row => JSON.stringify(keys(part, row))) }));
}

/** Without any order. */
export function unordered(answer) {
  return answer.parts?.map(part => ({
    ...part,
    order: undefined,
    rows: part.rows.map(row => JSON.stringify(row)).sort(),
  }));
}

const keys = ({ columns }, row) => row.map((value, i) => keyOf(columns[i].oid, value));

function arranged(part, textOf) {
  const { rows, order } = part;
  if (order === undefined) return rows.map(textOf).sort();
  const sorted = [];
  for (let from = 0, to; from < rows.length; from = to) {
    const keyAt = i => JSON.stringify(order.map(column => keys(part, rows[i])[column]));
    const key = keyAt(from);
    for (to = from + 1; to < rows.length && keyAt(to) === key; ) to++;
    for (const text of rows.slice(from, to).map(textOf).sort()) sorted.push(text);
  }
  return sorted;
}

/** Types of which equal values may look different. */
const NUMERIC = 1700;
const INTERVAL = 1186;
const FLOATS = [700, 701];
const JSONB = 3802;
const BPCHAR = 1042;

function keyOf(oid, text) {
  if (text === null) return null;
  if (oid === NUMERIC) return plainNumber(text);
  if (FLOATS.includes(oid)) return text === '-0' ? '0' : text;
  if (oid === BPCHAR) return text.replace(/ +$/, '');
  if (oid === INTERVAL) return String(microseconds(text));
  if (oid === JSONB)
    return text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?/g, part => (part[0] === '"' ? part : plainNumber(part)));
  return text;
}

const plainNumber = text => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);

/** interval_cmp's value: months of 30 days. */
function microseconds(text) {
  let sum = 0n;
  for (const [, count, unit] of text.matchAll(/(-?\d+) (year|mon|day)/g))
    sum += BigInt(count) * { year: 360n, mon: 30n, day: 1n }[unit] * 86_400_000_000n;
  const time = /([+-]?)(\d+):(\d+):(\d+)(?:\.(\d+))?$/.exec(text);
  if (time === null) return sum;
  const [, sign, h, m, s, fraction = ''] = time;
  const part = (BigInt(h) * 3600n + BigInt(m) * 60n + BigInt(s)) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
  return sign === '-' ? sum - part : sum + part;
}

/** Did a value of some row fail? */
export const failedOnValue = ({ error }) =>
  error !== undefined && (error.code.startsWith('22') || /^cannot convert (?:NaN|infinity) to /.test(error.message));

/**
 * The marks of the judge's answers to one statement, the first its own, the others under other plans. A line of a golden
 * file: `slow`, or the digests of the different answers, behind them `~` and what they are when equal values are the same,
 * if the judge itself gave more than one look, and `!22` if it failed on a value or did not as the plan wanted.
 */
export function marks(answers) {
  if (answers[0].slow) return 'slow';
  const told = answers.filter(answer => !answer.slow);
  const different = [...new Set(told.map(answer => digest(exact(answer))))];
  const looks = new Map();
  for (const answer of told.filter(({ parts }) => parts !== undefined)) {
    const same = digest(loose(answer));
    looks.set(same, (looks.get(same) ?? new Set()).add(digest(exact(answer))));
  }
  const varied = [...looks].filter(([, exacts]) => exacts.size > 1).map(([same]) => `~${same}`);
  const wavers = different.length > 1 && told.some(failedOnValue) ? ['!22'] : [];
  return [...different, ...varied, ...wavers].join(' ');
}
