/**
 * Printing dates and times in the four DateStyles.
 */
import type { DateOrder, DateStyle } from './fmgr.ts';
import { date2j, j2day, type Tm } from './calendar.ts';

export const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
export const MONTHS_FULL = [
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
export const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

export function pad2(n: number): string {
  return n < 10 ? `0${n}` : String(n);
}

function pad4(n: number): string {
  return n >= 1000 ? String(n) : String(n).padStart(4, '0');
}

/** Seconds with as much of a fraction as there is. */
export function seconds(sec: number, fsec: number, fill = true): string {
  const whole = fill ? pad2(Math.abs(sec)) : String(Math.abs(sec));
  if (fsec === 0) return whole;
  return `${whole}.${String(Math.abs(fsec)).padStart(6, '0').replace(/0+$/, '')}`;
}

/** Offset for display: `tz` is seconds west, the sign shown is east. */
function encodeTimezone(tz: number): string {
  let sec = Math.abs(tz);
  let min = Math.floor(sec / 60);
  sec -= min * 60;
  const hour = Math.floor(min / 60);
  min -= hour * 60;
  const tail = sec !== 0 ? `:${pad2(min)}:${pad2(sec)}` : min !== 0 ? `:${pad2(min)}` : '';
  return `${tz <= 0 ? '+' : '-'}${pad2(hour)}${tail}`;
}

const shownYear = (year: number): string => pad4(year > 0 ? year : -(year - 1));
const era = (year: number): string => (year <= 0 ? ' BC' : '');

export function encodeDateOnly(tm: Tm, style: DateStyle, order: DateOrder): string {
  const y = shownYear(tm.year);
  const m = pad2(tm.mon);
  const d = pad2(tm.mday);
  const tail = era(tm.year);
  switch (style) {
    case 'ISO':
      return `${y}-${m}-${d}${tail}`;
    case 'SQL':
      return order === 'DMY' ? `${d}/${m}/${y}${tail}` : `${m}/${d}/${y}${tail}`;
    case 'German':
      return `${d}.${m}.${y}${tail}`;
    case 'Postgres':
      return order === 'DMY' ? `${d}-${m}-${y}${tail}` : `${m}-${d}-${y}${tail}`;
  }
}

export function encodeTimeOnly(tm: Tm, tz?: number): string {
  return `${pad2(tm.hour)}:${pad2(tm.min)}:${seconds(tm.sec, tm.fsec)}${tz === undefined ? '' : encodeTimezone(tz)}`;
}

/** With `tz` a zone is shown: by abbreviation, or as an offset in ISO style and where there is none. */
export function encodeDateTime(tm: Tm, style: DateStyle, order: DateOrder, tz?: number, abbrev?: string): string {
  const time = `${pad2(tm.hour)}:${pad2(tm.min)}:${seconds(tm.sec, tm.fsec)}`;
  const named = tz === undefined ? '' : abbrev === undefined ? encodeTimezone(tz) : ` ${abbrev}`;
  const tail = era(tm.year);
  const y = shownYear(tm.year);
  const m = pad2(tm.mon);
  const d = pad2(tm.mday);
  switch (style) {
    case 'ISO':
      return `${y}-${m}-${d} ${time}${tz === undefined ? '' : encodeTimezone(tz)}${tail}`;
    case 'SQL':
      return `${order === 'DMY' ? `${d}/${m}` : `${m}/${d}`}/${y} ${time}${named}${tail}`;
    case 'German':
      return `${d}.${m}.${y} ${time}${named}${tail}`;
    case 'Postgres': {
      const weekday = DAYS[j2day(date2j(tm.year, tm.mon, tm.mday))].slice(0, 3);
      const month = MONTHS[tm.mon - 1];
      const zone = tz !== undefined && abbrev === undefined ? ` ${encodeTimezone(tz)}` : named;
      return `${weekday} ${order === 'DMY' ? `${d} ${month}` : `${month} ${d}`} ${time} ${y}${zone}${tail}`;
    }
  }
}
