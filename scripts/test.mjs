/**
 * `npm test`: installs and builds what is missing, then runs every test. Arguments go to vitest
 * (`npm test -- packages/access`). The last line is `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkNode, install } from './install.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs vitest and counts; what was skipped is listed, with its reason where the name tells one. */
export function runTests(args = []) {
  const report = join(root, 'node_modules/.cache/pgtroupe/test-report.json');
  mkdirSync(join(report, '..'), { recursive: true });
  rmSync(report, { force: true });
  const { status } = spawnSync(
    join(root, 'node_modules/.bin/vitest'),
    ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
  );

  let passed = 0;
  let failed = 0;
  const skipped = [];
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
    for (const file of testResults) {
      // A file that could not even be loaded has no tests to count.
      if (file.status === 'failed' && file.assertionResults.length === 0) failed++;
      for (const test of file.assertionResults) {
        if (test.status === 'passed') passed++;
        else if (test.status === 'failed') failed++;
        else skipped.push(`${file.name.replace(root, '')}: ${test.fullName}`);
      }
    }
  } catch {
    failed++;
  }
  if (skipped.length > 0) console.log(`\nskipped here:\n${skipped.map(s => `  ${s}`).join('\n')}`);
  if (status !== 0 && failed === 0) failed++;
  return { passed, failed };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  checkNode();
  install();
  const { build } = await import('./build.mjs');
  build();
  const { passed, failed } = runTests(process.argv.slice(2));
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
