/** The escapes that log file names use. Times are UTC. */
export function strftime(pattern: string, ms: number): string {
  const date = new Date(ms);
  const iso = date.toISOString();
  const hour = date.getUTCHours();
  const two = (n: number): string => String(n).padStart(2, '0');
  const escapes: Readonly<Record<string, string>> = {
    Y: iso.slice(0, 4),
    C: iso.slice(0, 2),
    y: iso.slice(2, 4),
    m: iso.slice(5, 7),
    d: iso.slice(8, 10),
    e: String(date.getUTCDate()).padStart(2, ' '),
    H: iso.slice(11, 13),
    I: two(hour % 12 === 0 ? 12 : hour % 12),
    p: hour < 12 ? 'AM' : 'PM',
    M: iso.slice(14, 16),
    S: iso.slice(17, 19),
    F: iso.slice(0, 10),
    T: iso.slice(11, 19),
    R: iso.slice(11, 16),
    D: `${iso.slice(5, 7)}/${iso.slice(8, 10)}/${iso.slice(2, 4)}`,
    a: DAYS[date.getUTCDay()]!.slice(0, 3),
    A: DAYS[date.getUTCDay()]!,
    b: MONTHS[date.getUTCMonth()]!.slice(0, 3),
    h: MONTHS[date.getUTCMonth()]!.slice(0, 3),
    B: MONTHS[date.getUTCMonth()]!,
    j: String(Math.floor((ms - Date.UTC(date.getUTCFullYear(), 0, 1)) / MS_PER_DAY) + 1).padStart(3, '0'),
    u: String(date.getUTCDay() === 0 ? 7 : date.getUTCDay()),
    w: String(date.getUTCDay()),
    s: String(Math.floor(ms / 1000)),
    z: '+0000',
    Z: 'UTC',
    '%': '%',
  };
  return pattern.replace(/%(.)/g, (whole, letter: string) => escapes[letter] ?? whole);
}

const MS_PER_DAY = 86_400_000;
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
