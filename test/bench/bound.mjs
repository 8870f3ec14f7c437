/**
 * A bound that a figure is expected to keep, and what the tables say of it.
 */
export const atLeast = value => ({ text: `at least ${value}`, keeps: figure => figure >= value });
export const atMost = value => ({ text: `at most ${value}`, keeps: figure => figure <= value });

const missed = [];

/** The table's cell; a bound that is not kept is remembered for the summary. */
export function judged(what, figure, bound) {
  if (bound === undefined) return '';
  if (bound.keeps(figure)) return `${bound.text}: kept`;
  missed.push(`${what}: ${figure.toFixed(2)}, expected ${bound.text}`);
  return `${bound.text}: **missed**`;
}

export function printMissed() {
  console.log(missed.length === 0 ? '\nno expected bound was missed' : `\nexpected bounds missed (${missed.length}):`);
  for (const line of missed) console.log(`  ${line}`);
}

export function printTable(header, rows) {
  console.log(`\n| ${header.join(' | ')} |\n|${'---|'.repeat(header.length)}`);
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
}
