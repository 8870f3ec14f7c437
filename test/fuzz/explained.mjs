/**
 * Differences that are as they should be, each with the reason. What is here may not be merely tolerated: it is what cannot be the same
 * (`statement`, and how both answered, as `CODE message` or `answer`).
 */
const EXPLAINED = [
  {
    why: 'an internal error of PostgreSQL: aggregates and other inner functions called by hand',
    ours: /^XX000 (?:\w+: )?(?:expected \d-element \w+ array|aggregate function called in non-aggregate context|cache lookup failed for type \d+|unrecognized objtype abbreviation: .*|array must not contain nulls)$/,
    theirs: /^XX000 /,
  },
  {
    why: 'more than 1 GB is 54000 here, an internal error in PostgreSQL',
    ours: /^54000 invalid memory alloc request size \d+$/,
    theirs: /^XX000 invalid memory alloc request size \d+$/,
  },
  {
    why: 'bits of 2147483647 overflow in PostgreSQL',
    statement: /2147483647/,
    ours: /^54000 bit string length exceeds the maximum allowed/,
    theirs: /^answer|^XX000/,
  },
  {
    why: 'a byte of "char" alone is no text in UTF-8; PostgreSQL stores it all the same',
    statement: /"(?:bpchar|text)"\(/,
    ours: /^22021 invalid byte sequence for encoding "UTF8"/,
    theirs: /^answer/,
  },
  {
    why: "the client's keepalives: PostgreSQL shows what the kernel has taken",
    statement: /set (?:local )?tcp_keepalives_/,
    ours: /^answer/,
    theirs: /^answer/,
  },
  {
    why: 'rows of pg_class say how large the catalogs are',
    statement: /from pg_class c where oid = 1259/,
    ours: /^answer/,
    theirs: /^answer/,
  },
];

const said = answer =>
  answer === undefined
    ? undefined
    : answer.error === undefined
      ? 'answer'
      : `${answer.error.code} ${answer.error.message}`;

/** Why the difference is none; undefined if nobody knows. `expected` is unknown where recorded answers judge. */
export function explanation(sql, got, expected) {
  const [ours, theirs] = [said(got), said(expected)];
  return EXPLAINED.find(
    e =>
      (e.statement ?? /^/).test(sql) &&
      (e.ours ?? /^/).test(ours) &&
      (theirs === undefined || (e.theirs ?? /^/).test(theirs)),
  )?.why;
}
