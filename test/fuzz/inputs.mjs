/** Texts given to every type's input function, casts between any two types, and values sent to other typmods. */
import { inputText, value } from './values.mjs';

const TYPMODS = {
  bpchar: ['char(1)', 'char(3)', 'char(0)', 'char(10485761)'],
  varchar: ['varchar(1)', 'varchar(0)'],
  bit: ['bit(3)', 'bit(0)', 'bit(83886081)'],
  varbit: ['bit varying(2)'],
  numeric: [
    'numeric(3)',
    'numeric(3,1)',
    'numeric(1000,0)',
    'numeric(1001)',
    'numeric(2,-3)',
    'numeric(2,5)',
    'numeric(0)',
  ],
  interval: ['interval(0)', 'interval year', 'interval day to second(2)', 'interval(7)'],
  time: ['time(0)', 'time(7)'],
  timetz: ['timetz(3)'],
  timestamp: ['timestamp(0)', 'timestamp(6)', 'timestamp(-1)'],
  timestamptz: ['timestamptz(2)'],
};
const quoted = name => `"${name}"`;

/** {sql}: a text, or a value of another type, made one of `type`. */
export function input(random, type, types) {
  const target = random.chance(0.4) && TYPMODS[type] ? random.pick(TYPMODS[type]) : `pg_catalog.${quoted(type)}`;
  const array = random.chance(0.1) ? '[]' : '';
  if (random.chance(0.35)) return { sql: `select (${value(random, random.pick(types))})::${target}${array}` };
  const text = inputText(random, type);
  const body = `'${array === '' ? text : random.pick([`{${text}}`, '{', '{a', '{NULL,"x"}', '[1:2]={1}', '{{1},{2,3}}', '{1}x'])}'`;
  const sql = `select ${/\\/.test(body) && random.chance(0.7) ? 'e' : ''}${body}::${target}${array}`;
  return { sql };
}
