/**
 * Is an answer right? It is if PostgreSQL's is the same, or the digest of it that was recorded. A lost session and a server that went away
 * never are, an internal error (XX000) only if it is PostgreSQL's own.
 */
import { digest } from '../differential/answers.mjs';
import { explanation } from './explained.mjs';
import { textOf } from './statements.mjs';

/** What of an answer must be the same. */
export function mark(answer, vague) {
  if (answer.slow) return 'slow';
  if (answer.error !== undefined) return digest(vague ? answer.error.code : answer.error);
  return digest(answer.parts.map(({ columns, rows }) => (vague ? columns : [columns, rows])));
}

/** undefined, {slow}, {explained} or {fault}. `wanted`: mark of PostgreSQL's answer, undefined where nobody knows. */
export function judge(made, got, wanted, expected) {
  if (wanted !== undefined && wanted !== 'slow' && mark(got, made.vague) === wanted) return undefined;
  if (got.error !== undefined && /^(?:XX|57P0|LOST|58)/.test(got.error.code)) {
    const why = explanation(textOf(made), got, expected);
    return why === undefined ? { fault: `${got.error.code} ${got.error.message}` } : { explained: why };
  }
  if (wanted === 'slow') return { slow: true };
  // Recorded answers do not say how fast this machine is.
  if (got.slow) return expected === undefined ? { slow: true } : { fault: 'far slower than PostgreSQL' };
  if (got.error?.code === '0A000' && /not supported by pgtroupe/.test(got.error.message))
    return { explained: 'not supported by pgtroupe' };
  if (wanted === undefined) return undefined;
  const why = explanation(textOf(made), got, expected);
  return why === undefined ? { fault: kindOf(got, expected) } : { explained: why };
}

function kindOf(got, expected) {
  if (expected === undefined) return 'not as recorded';
  if (got.error === undefined && expected.error !== undefined) return `answers, for ${expected.error.code}`;
  if (got.error !== undefined && expected.error === undefined) return `${got.error.code} for an answer`;
  if (got.error === undefined) return 'values';
  return got.error.code === expected.error.code
    ? `message of ${got.error.code}`
    : `${got.error.code} for ${expected.error.code}`;
}
