/**
 * `npm run check`: all that CI runs, from a fresh clone on: install, build, lint, format, the types of code and tests, every test. It goes on
 * after a failure, so that one run tells everything; a step that fails counts as one failed. The last line is `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { checkNode, install } from './install.mjs';

checkNode();
install();
const { build } = await import('./build.mjs');
const { runTests } = await import('./test.mjs');
build();

const root = fileURLToPath(new URL('..', import.meta.url));
const wrong = [];
for (const step of ['lint', 'format:check', 'typecheck']) {
  console.log(`\ncheck: ${step}`);
  const { status } = spawnSync('npm', ['run', '--silent', step], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) wrong.push(step);
}
console.log('\ncheck: tests');
const { passed, failed } = runTests(process.argv.slice(2));
if (wrong.length > 0) console.log(`\nfailed before the tests: ${wrong.join(', ')}`);
console.log(`\n${passed} passed, ${failed + wrong.length} failed`);
process.exitCode = failed + wrong.length === 0 ? 0 : 1;
