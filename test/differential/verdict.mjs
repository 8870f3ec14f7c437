/**
 * Is an answer right? Right is what PostgreSQL answers: in its own way, or made to plan in another. Whatever else is an
 * error that says what pgtroupe cannot do yet, or a fault.
 */
import { digest, exact, failedOnValue, loose, unordered } from './answers.mjs';

/**
 * undefined: equal to the judge's answer; {explained} or {fault}, both texts. `wanted` are the marks of the judge's answers,
 * `expected` its own answer where it is at hand, which only makes the fault's name better.
 */
export function verdict(got, wanted, expected) {
  const broken = got.error !== undefined && /^(?:XX|57P0|LOST)/.test(got.error.code);
  if (broken) return { fault: `${got.error.code} ${got.error.message}` };
  if (got.slow) return { fault: 'far slower than PostgreSQL' };
  const [own, ...others] = wanted.split(' ');
  const had = digest(exact(got));
  if (had === own) return undefined;
  if (got.error?.code === '0A000' && /not supported by pgtroupe/.test(got.error.message))
    return { explained: got.error.message };
  if (others.includes(had)) return { explained: 'PostgreSQL answers so under another plan' };
  if (got.parts !== undefined && others.includes(`~${digest(loose(got))}`))
    return { explained: 'which of equal values stands for all is up to the plan, in PostgreSQL too' };
  if (failedOnValue(got) && others.includes('!22'))
    return { explained: 'which value fails first, or whether any, is up to the plan, in PostgreSQL too' };
  return { fault: faultOf(got, expected) };
}

function faultOf(got, expected) {
  if (expected === undefined)
    return got.error === undefined ? 'not as recorded' : `${got.error.code} ${got.error.message}`;
  if (got.error !== undefined)
    return `${got.error.code} ${got.error.message}${expected.error === undefined ? '' : ` for ${expected.error.code} ${expected.error.message}`}`;
  if (expected.error !== undefined) return `no error ${expected.error.code} ${expected.error.message}`;
  const of = (what, answer) => JSON.stringify(answer.parts.map(what));
  if (of(p => p.columns, got) !== of(p => p.columns, expected)) return 'column types';
  if (of(p => p.tag, got) !== of(p => p.tag, expected)) return 'count of rows';
  if (digest(unordered(got)) === digest(unordered(expected))) return 'order of rows';
  return digest(loose(got)) === digest(loose(expected)) ? 'look of values' : 'rows';
}
