/**
 * Cron lines: minute hour day-of-month month day-of-week, each `*`, numbers, ranges and steps (`0,30`, `9-17`, `*\/5`).
 * As with cron, where both days are restricted one of them is enough. Sunday is 0 and 7.
 */
const FIELDS = [
  { name: 'minute', from: 0, to: 59 },
  { name: 'hour', from: 0, to: 23 },
  { name: 'day of month', from: 1, to: 31 },
  { name: 'month', from: 1, to: 12 },
  { name: 'day of week', from: 0, to: 7 },
] as const;

export interface CronLine {
  /** In the order of FIELDS. */
  readonly sets: readonly ReadonlySet<number>[];
  readonly anyDay: boolean;
  readonly anyWeekday: boolean;
}

/** Throws what is wrong with it. */
export function parseCron(line: string): CronLine {
  const parts = line.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) throw new Error(`"${line}" has not five fields`);
  const sets = parts.map((part, n) => numbers(part, FIELDS[n]!));
  if (sets[4]!.has(7)) sets[4]!.add(0);
  return { sets, anyDay: parts[2]!.startsWith('*'), anyWeekday: parts[4]!.startsWith('*') };
}

function numbers(part: string, { name, from, to }: (typeof FIELDS)[number]): Set<number> {
  const found = new Set<number>();
  for (const piece of part.split(',')) {
    const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(piece);
    const step = Number(match?.[3] ?? 1);
    const first = match?.[1] === undefined ? from : Number(match[1]);
    // `5/10` is from 5 on.
    const only = match?.[3] === undefined ? first : to;
    const last = match?.[1] === undefined ? to : match[2] === undefined ? only : Number(match[2]);
    if (match === null || step < 1 || first < from || last > to || first > last)
      throw new Error(`"${piece}" is no ${name}`);
    for (let n = first; n <= last; n += step) found.add(n);
  }
  return found;
}

/** `minute` is what the server's clock shows, as `YYYY-MM-DD HH:MI D` with D the day of the week. */
export function isDue({ sets, anyDay, anyWeekday }: CronLine, minute: string): boolean {
  const [, month, day, hour, min, weekday] = /^\d+-(\d+)-(\d+) (\d+):(\d+) (\d)$/.exec(minute)!.map(Number);
  const [minutes, hours, days, months, weekdays] = sets;
  if (!minutes!.has(min!) || !hours!.has(hour!) || !months!.has(month!)) return false;
  const isDay = days!.has(day!);
  const isWeekday = weekdays!.has(weekday!);
  return anyDay || anyWeekday ? isDay && isWeekday : isDay || isWeekday;
}
