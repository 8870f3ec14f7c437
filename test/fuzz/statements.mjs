/**
 * All statements of a seed, in one list: {kind, script, vague}. Every one has a chance of its own, so that those of a function are the
 * same whatever other functions there are.
 */
import { seeded } from '../differential/tree.mjs';
import { call, operation } from './functions.mjs';
import { input } from './inputs.mjs';
import { setting } from './settings.mjs';

const KINDS = { functions: 1, operators: 2, inputs: 3, settings: 4 };
const mixed = (...parts) => parts.reduce((h, part) => Math.imul(h ^ part, 0x9e3779b1) ^ (h >>> 15), 0x2545f491);

/** @param rounds how many of each function, operator, type and parameter; fractions: of some of them */
export function statements(catalogs, seed, rounds, only) {
  const out = [];
  const of = (kind, items, idOf, make) => {
    if (only !== undefined && only !== kind) return;
    for (const [n, item] of items.entries()) {
      const id = idOf(item, n);
      const share = seeded(mixed(seed, KINDS[kind], id, 77));
      const times = Math.floor(rounds) + (share.chance(rounds % 1) ? 1 : 0);
      for (let round = 0; round < times; round++) {
        const random = seeded(mixed(seed, KINDS[kind], id, round));
        const { sql, script, vague = false } = make(random, item);
        out.push({ kind, script: script === undefined ? [sql] : ['begin', ...script, 'rollback'], vague });
      }
    }
  };
  const { functions, operators, types, settings } = catalogs;
  of('functions', functions, p => Number(p.oid), call);
  of('operators', operators, o => Number(o.oid), operation);
  of(
    'inputs',
    types.flatMap(type => [type, type, type, type]),
    (_, n) => n,
    (random, type) => input(random, type, types),
  );
  of(
    'settings',
    settings.flatMap(s => [s, s, s]),
    (_, n) => n,
    setting,
  );
  return out;
}

/** What a person runs to see the difference. */
export const textOf = ({ script }) => `${script.join('; ')};`;
