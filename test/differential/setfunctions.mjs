/** Functions that return sets: in FROM, with ordinality and several side by side, and in the target list. */
import { expression } from './expressions.mjs';
import { node } from './tree.mjs';

/** A relation as Generator.relation makes them; what it is given may be LATERAL. */
export function functionInFrom(rng, alias, scope) {
  const e = type => expression(rng, scope, type, 1);
  const named = types =>
    Object.entries(types).map(([name, type]) => ({ sql: `${alias}.${name}`, type, name, row: alias }));
  const of = (types, keys, ...parts) => ({
    sql: node(undefined, ...parts, ` AS ${alias}(${Object.keys(types).join(', ')})`),
    columns: named(types),
    keys: keys && keys.map(name => `${alias}.${name}`),
    lateral: true,
  });
  return rng.pick([
    () => of({ g: 'int', o: 'bigint' }, ['o'], 'LATERAL unnest(', e('ints'), ') WITH ORDINALITY'),
    () => of({ g: 'text', o: 'bigint' }, ['o'], 'LATERAL unnest(', e('texts'), ') WITH ORDINALITY'),
    () => of({ g: 'int', h: 'text' }, null, 'LATERAL unnest(', e('ints'), ', ', e('texts'), ')'),
    () => of({ g: 'text' }, null, 'LATERAL regexp_split_to_table(', e('text'), ", 'a')"),
    () => of({ g: 'text', o: 'bigint' }, ['o'], 'LATERAL string_to_table(', e('text'), ", ' ') WITH ORDINALITY"),
    () => of({ g: 'texts' }, null, 'LATERAL regexp_matches(', e('text'), ", '(.)(a)?', 'g')"),
    () => of({ g: 'bigint' }, ['g'], 'generate_series(1::bigint, 7, 3)'),
    () => of({ g: 'numeric' }, ['g'], 'generate_series(0.5, 2, 0.75)'),
    () => of({ g: 'timestamp' }, ['g'], "generate_series(timestamp '2020-02-28', '2020-03-02', '1 day')"),
    () => of({ g: 'int' }, null, 'LATERAL generate_subscripts(', e('ints'), ', 1)'),
    () =>
      of(
        { g: 'int', h: 'int', o: 'bigint' },
        ['o'],
        'LATERAL ROWS FROM (generate_series(1, 3), unnest(',
        e('ints'),
        ')) WITH ORDINALITY',
      ),
    () => of({ k: 'text', v: 'jsonb' }, ['k'], 'LATERAL jsonb_each(', e('jsonb_object'), ')'),
    () => of({ k: 'text', v: 'text' }, ['k'], 'LATERAL jsonb_each_text(', e('jsonb_object'), ')'),
    () => of({ g: 'text' }, ['g'], 'LATERAL jsonb_object_keys(', e('jsonb_object'), ')'),
    () =>
      of(
        { g: 'jsonb', o: 'bigint' },
        ['o'],
        'LATERAL jsonb_array_elements(jsonb_build_array(',
        e('jsonb'),
        ', ',
        e('int'),
        ')) WITH ORDINALITY',
      ),
    () => of({ g: 'text' }, null, 'LATERAL jsonb_array_elements_text(to_jsonb(', e('texts'), '))'),
  ])();
}

export function setReturning(rng, type, scope) {
  const e = wanted => expression(rng, { ...scope, depth: 0 }, wanted, 1);
  if (type === 'text') return node(undefined, rng.pick(['unnest(', "unnest(array['p', 'q'] || "]), e('texts'), ')');
  return rng.pick([
    () => node(undefined, 'unnest(', e('ints'), ')'),
    () => node(undefined, `generate_series(1, ${rng.int(0, 3)})`),
    () => node(undefined, `generate_series(`, e('int'), ' % 3, 2)'),
    () => node(undefined, 'unnest(', e('ints'), ') + generate_series(1, 2)'),
  ])();
}
