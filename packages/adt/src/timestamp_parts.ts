/**
 * extract(), date_part() and date_trunc() over a broken-down time.
 */
import {
  addMicros,
  date2isoweek,
  date2isoyear,
  date2j,
  isoweek2j,
  j2date,
  j2day,
  POSTGRES_EPOCH_UNIX,
  type Timestamp,
  type Tm,
} from './calendar.ts';
import { type Unit, extractUnit, unknownUnit } from './datetime_units.ts';
import { numericDiv, addVars } from './numeric.ts';
import { finite, type NumericVar, packNumeric, packSmall, rescale, unpackNumeric } from './numericvar.ts';

/** A part: exact, and as PostgreSQL computes it in floating point. */
export interface Part {
  readonly exact: NumericVar;
  readonly float: number;
}

export const wholePart = (n: number): Part => ({ exact: finite(BigInt(n), 0), float: n });
export const microsPart = (n: bigint, scale: number, float: number): Part => ({ exact: finite(n, scale), float });

const unixMicros = (t: Timestamp): Timestamp => addMicros(t, POSTGRES_EPOCH_UNIX * 1000000);

const END_OF_EXACT_EPOCH = 9223372036854775807n - 946684800000000n;

export function epochPart(t: Timestamp): Part {
  const micros = unixMicros(t);
  const part = microsPart(BigInt(micros), 6, Number(micros) / 1000000);
  if (t < END_OF_EXACT_EPOCH) return part;
  // Beyond 64 bits PostgreSQL divides as numeric, which keeps fewer digits.
  const quotient = unpackNumeric(numericDiv(packNumeric(finite(BigInt(micros), 0)), packSmall(1000000, 0)));
  return { exact: finite(rescale(quotient.n, quotient.scale, 6), 6), float: part.float };
}

/** Parts of the time of day, which all types have; undefined for others. */
export function timePart(unit: Unit, tm: Tm): Part | undefined {
  const micros = tm.sec * 1000000 + tm.fsec;
  switch (unit) {
    case 'microsecond':
      return wholePart(micros);
    case 'millisecond':
      return microsPart(BigInt(micros), 3, tm.sec * 1000 + tm.fsec / 1000);
    case 'second':
      return microsPart(BigInt(micros), 6, tm.sec + tm.fsec / 1000000);
    case 'minute':
      return wholePart(tm.min);
    case 'hour':
      return wholePart(tm.hour);
    default:
      return undefined;
  }
}

export function datePart(unit: Unit, tm: Tm): Part | undefined {
  const { year, mon, mday } = tm;
  switch (unit) {
    case 'day':
      return wholePart(mday);
    case 'month':
      return wholePart(mon);
    case 'quarter':
      return wholePart(Math.floor((mon - 1) / 3) + 1);
    case 'week':
      return wholePart(date2isoweek(year, mon, mday));
    case 'year':
      return wholePart(year > 0 ? year : year - 1);
    case 'decade':
      return wholePart(year >= 0 ? Math.trunc(year / 10) : -Math.trunc((8 - (year - 1)) / 10));
    case 'century':
      return wholePart(year > 0 ? Math.trunc((year + 99) / 100) : -Math.trunc((99 - (year - 1)) / 100));
    case 'millennium':
      return wholePart(year > 0 ? Math.trunc((year + 999) / 1000) : -Math.trunc((999 - (year - 1)) / 1000));
    case 'isoyear': {
      const iso = date2isoyear(year, mon, mday);
      return wholePart(iso <= 0 ? iso - 1 : iso);
    }
    case 'dow':
      return wholePart(j2day(date2j(year, mon, mday)));
    case 'isodow':
      return wholePart(j2day(date2j(year, mon, mday)) || 7);
    case 'doy':
      return wholePart(date2j(year, mon, mday) - date2j(year, 1, 1) + 1);
    default:
      return undefined;
  }
}

/** Julian day with the time of day as its fraction. */
export function julianPart(tm: Tm): Part {
  const day = date2j(tm.year, tm.mon, tm.mday);
  const seconds = (tm.hour * 60 + tm.min) * 60 + tm.sec;
  const fraction = unpackNumeric(numericDiv(packSmall(seconds * 1000000 + tm.fsec, 0), packSmall(86400000000, 0)));
  return {
    exact: addVars(finite(BigInt(day), 0), fraction, false),
    float: day + (seconds + tm.fsec / 1000000) / 86400,
  };
}

/** The part of an infinite timestamp: infinite where the unit grows without bound, null where it cycles. */
export function infinitePart(name: string, negative: boolean, typeName: string): Part | null {
  const unit = extractUnit(name);
  switch (unit) {
    case undefined:
      throw unknownUnit(name, typeName);
    case 'year':
    case 'decade':
    case 'century':
    case 'millennium':
    case 'julian':
    case 'isoyear':
    case 'epoch':
      return { exact: { kind: negative ? 'ninf' : 'pinf', n: 0n, scale: 0 }, float: negative ? -Infinity : Infinity };
    default:
      return null;
  }
}

export function partToNumeric(part: Part | null): Uint8Array | null {
  return part === null ? null : packNumeric(part.exact);
}

/** Cuts `tm` down to the unit; false when the unit cannot be cut to. */
export function truncateTm(unit: Unit | undefined, tm: Tm): boolean {
  switch (unit) {
    case 'week': {
      const week = date2isoweek(tm.year, tm.mon, tm.mday);
      // The first days of January may belong to the old year's last week, the last of December to the new one's first.
      const year = week >= 52 && tm.mon === 1 ? tm.year - 1 : week <= 1 && tm.mon === 12 ? tm.year + 1 : tm.year;
      j2date(isoweek2j(year, week), tm);
      tm.hour = tm.min = tm.sec = tm.fsec = 0;
      return true;
    }
    case 'millisecond':
      tm.fsec = Math.floor(tm.fsec / 1000) * 1000;
      return true;
    case 'microsecond':
      return true;
    default:
      break;
  }
  const order: readonly Unit[] = [
    'second',
    'minute',
    'hour',
    'day',
    'month',
    'quarter',
    'year',
    'decade',
    'century',
    'millennium',
  ];
  const level = unit === undefined ? -1 : order.indexOf(unit);
  if (level < 0) return false;
  const { year } = tm;
  if (unit === 'millennium')
    tm.year =
      year > 0 ? Math.trunc((year + 999) / 1000) * 1000 - 999 : -Math.trunc((999 - (year - 1)) / 1000) * 1000 + 1;
  if (unit === 'century')
    tm.year = year > 0 ? Math.trunc((year + 99) / 100) * 100 - 99 : -Math.trunc((99 - (year - 1)) / 100) * 100 + 1;
  if (unit === 'decade') tm.year = year > 0 ? Math.trunc(year / 10) * 10 : -Math.trunc((8 - (year - 1)) / 10) * 10;
  if (level >= 6) tm.mon = 1;
  if (level >= 5) tm.mon = 3 * Math.floor((tm.mon - 1) / 3) + 1;
  if (level >= 4) tm.mday = 1;
  if (level >= 3) tm.hour = 0;
  if (level >= 2) tm.min = 0;
  if (level >= 1) tm.sec = 0;
  tm.fsec = 0;
  return true;
}
