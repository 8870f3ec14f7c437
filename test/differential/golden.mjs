/**
 * Recorded answers: the marks of PostgreSQL's answers (answers.mjs), one statement a line. The first line says of which
 * statements they are: a file is good for no others.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { digest } from './answers.mjs';
import { BLOCK } from './comparison.mjs';
import { SETUP } from './schema.mjs';
import { scriptOf, statement } from './statements.mjs';

function header(seed, from, count) {
  const scripts = Array.from({ length: count }, (_, i) => scriptOf(statement(seed, from + i)));
  return `seed ${seed} from ${from} digest ${digest([SETUP, BLOCK, scripts])}`;
}

export function writeGolden(file, seed, from, marks) {
  writeFileSync(file, `${[`statements ${marks.length} ${header(seed, from, marks.length)}`, ...marks].join('\n')}\n`);
}

/** The marks of `count` statements; the file may have more. */
export function readGolden(file, seed, from, count) {
  const [first, ...marks] = readFileSync(file, 'utf8').trim().split('\n');
  const wanted = `statements ${marks.length} ${header(seed, from, marks.length)}`;
  if (first !== wanted || marks.length < count)
    throw new Error(`${file} has the answers to other statements than "${wanted}": record it again`);
  return marks;
}
