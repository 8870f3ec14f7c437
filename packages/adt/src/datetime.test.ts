/** Dates, times and intervals against PostgreSQL, in several zones and styles. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_SETTINGS } from './fmgr.ts';
import { type Case, combine, comparison, each, pairs } from '@pgtroupe/testkit/sql/adt-oracle';

const DATES = [
  '2000-01-01',
  '1999-12-31',
  '2024-02-29',
  '0001-01-01',
  '4713-11-24 BC',
  '5874897-12-31',
  'infinity',
  '-infinity',
  'epoch',
  '1970-01-01',
  '2024-12-30',
  '2027-01-01',
];
const DATE_TEXTS = [
  'January 8, 1999',
  '1999-01-08',
  '1/8/1999',
  '1/18/1999',
  '01/02/03',
  '1999-Jan-08',
  'Jan-08-1999',
  '08-Jan-1999',
  '99-Jan-08',
  '19990108',
  '990108',
  '1999.008',
  'J2451187',
  'January 8, 99 BC',
  '2023-02-29',
  '2024-13-01',
  '2024-00-10',
  '0000-01-01',
  '',
  'x',
  '2024-01-01 10:00',
  'y2001m02d04',
  '20240230',
  '18-1-1999',
  'today x',
  'J2451187.5',
  '1999-01-08-05',
  '1999-366',
  '2000-366',
  '4714-11-24 BC',
  '5874898-01-01',
  'Mon Jan 8 1999',
  '1999 Jan 8',
  '8 Jan',
  '10:00',
];
/** In and out of summer time, over the gap of 2011 and the overlap of 2014. */
const MOSCOW = ['2005-07-01', '2005-12-01', '2011-03-27 02:30', '2012-07-01', '2014-10-26 01:30', '1991-07-01'];
const STAMPS = [
  '2000-01-01 00:00:00',
  '1999-12-31 23:59:59.999999',
  '2024-03-10 02:30:00',
  '2024-11-03 01:30:00.5',
  '1883-11-18 12:00:00',
  '0001-01-01 00:00:00',
  '2262-04-11 23:47:16.854775',
  '4713-11-24 00:00:00 BC',
  '294276-12-31 23:59:59.999999',
  'infinity',
  '-infinity',
  'epoch',
  '2024-02-29 12:34:56.789',
  '2020-12-31 24:00:00',
];
const STAMP_TEXTS = [
  '2024-02-29T12:34:56Z',
  '2024-02-29 12:34:56+02',
  '2024-02-29 12:34:56.123456789',
  '2024-02-29 12:34:56 PST',
  '2024-02-29 12:34:56 America/New_York',
  '20240229T123456',
  '2024-02-29 12:34 pm',
  '2024-02-29 13:34 pm',
  '2024-02-29 25:00',
  '2024-02-29 12:60',
  '2024-02-29 12:34:60',
  '2024-02-29 12:34:61',
  'Thu Feb 29 12:34:56 2024',
  'Thu Feb 29 12:34:56 2024 EST',
  'Feb 29 2024 12:34:56.7',
  '2024-02-29 12:34:56 BC',
  '2024-060 12:00',
  '2024-02-29 123456-08',
  '2024-02-29 allballs',
  'x',
  '',
  '294277-01-01',
  '2024-02-29 12:34:56+25',
  '2024-02-29 12:34:56+1:30',
  '2024-02-29 12:34:56 MET DST',
  '2024-02-29 12:34:56 Nowhere/Land',
  '2024-02-29 12:34:56 UTC+3',
  'now x',
  '12:00',
  '2024-02-29 12',
  '2024-02-29 12:34:56,5',
  'J2451187 04:05:06.789-08',
  '2024-02-29 04:05:06.789-8:30',
  '2024-02-29  12:34:56 AM',
];
const TIMES = [
  '00:00',
  '04:05:06.789',
  '040506',
  '04:05 PM',
  '24:00:00',
  '23:59:59.999999',
  '23:59:60',
  '25:00',
  '04:05:06+02',
  '04:05:06 PST',
  'allballs',
  '2024-07-01 04:05:06 America/New_York',
  '04:05:06 America/New_York',
  '0405',
  '4',
  'x',
  '',
  '12:00 am',
  '13:00 am',
  't040506',
];
const INTERVALS = [
  '1 day',
  '-1 day',
  '1 mon',
  '1 year 2 mons 3 days 04:05:06.7',
  '-1 year -2 mons +3 days -04:05:06',
  '00:00:00',
  '36:00',
  '1.5 days',
  '0.5 mon',
  '1 week',
  '@ 1 minute ago',
  'P1Y2M3DT4H5M6S',
  'P0001-02-03T04:05:06',
  '1-2',
  '1 02:03:04',
  '100 years',
  '-0.1 sec',
  '178000000 years',
  '2 decades',
  '1 century 1 millennium',
  '10:20.5',
];
const BAD_INTERVALS = [
  '',
  'x',
  '1 foo',
  '1 day 1 day',
  'P',
  'P1',
  'P1S',
  '1 2 3',
  '999999999999 years',
  '1e3 days',
  '1.2.3',
  '-',
  'ago',
  '1 day ago x',
  '2000000000 days 2000000000 days',
  'PT1H2',
  '12:34:56:78',
  '1y2mon',
  '1 microseconds 1 us',
  '9223372036854775807 us',
  '9223372036854775808 us',
];
const UNITS = [
  'century',
  'day',
  'decade',
  'dow',
  'doy',
  'epoch',
  'hour',
  'isodow',
  'isoyear',
  'julian',
  'microseconds',
  'millennium',
  'milliseconds',
  'minute',
  'month',
  'quarter',
  'second',
  'timezone',
  'timezone_hour',
  'timezone_minute',
  'week',
  'year',
  'YEAR',
  'foo',
  'now',
];

const { server, check } = comparison({ beforeAll, afterAll, it, expect });

beforeEach(async () => {
  await style('UTC', 'ISO, MDY', 'postgres');
});

async function style(zone: string, dateStyle: string, intervalStyle: string): Promise<void> {
  const oracle = server();
  if (!oracle) return;
  await oracle.set('timezone', zone);
  await oracle.set('datestyle', dateStyle);
  await oracle.set('intervalstyle', intervalStyle);
  const [shown, order] = dateStyle.split(', ');
  const now = (await oracle.client.query(`SELECT (extract(epoch FROM now()) * 1000000)::int8 - 946684800000000 AS t`))
    .rows[0] as { t: string };
  oracle.settings = {
    ...DEFAULT_SETTINGS,
    timeZone: zone,
    dateStyle: shown as 'ISO',
    dateOrder: order as 'MDY',
    intervalStyle: intervalStyle as 'postgres',
    transactionTimestamp: Number(now.t),
  };
}

const reading = (): Case[] => [
  ...each(['isfinite'], 'date', []),
  ...each(['timestamp'], 'date', [...DATES, ...DATE_TEXTS]),
  ...combine('date_pli', ['date', 'int4'], [...DATES, ...DATE_TEXTS], ['0']),
  ...combine('timestamp_larger', ['timestamp', 'timestamp'], [...STAMPS, ...STAMP_TEXTS, ...DATE_TEXTS], ['-infinity']),
  ...combine(
    'timestamptz_larger',
    ['timestamptz', 'timestamptz'],
    [...STAMPS, ...STAMP_TEXTS].filter(s => !s.startsWith('1883')),
    ['-infinity'],
  ),
];

describe('dates and times as PostgreSQL reads, prints and computes them', () => {
  check('reading, UTC, MDY', reading);
  check('reading, New York, DMY, SQL style', reading, () => style('America/New_York', 'SQL, DMY', 'postgres'));
  check('reading, Berlin, YMD, German style', reading, () => style('Europe/Berlin', 'German, YMD', 'postgres'));
  check('reading, Kolkata, Postgres style', reading, () => style('Asia/Kolkata', 'Postgres, MDY', 'postgres'));
  check('times', () => [
    ...combine('time_larger', ['time', 'time'], TIMES, ['00:00']),
    ...combine('timetz_larger', ['timetz', 'timetz'], TIMES, ['00:00+15']),
    ...pairs(['time_mi_time', 'time_cmp', 'time_lt'], 'time', ['00:00', '04:05:06.789', '24:00']),
    ...pairs(['timetz_cmp', 'timetz_lt', 'timetz_eq'], 'timetz', ['00:00+00', '01:00+01', '04:05:06-08']),
    ...combine('time_pl_interval', ['time', 'interval'], ['04:05:06', '23:00'], INTERVALS),
    ...combine('timetz_mi_interval', ['timetz', 'interval'], ['04:05:06-08'], INTERVALS),
    ...['time', 'timetz'].flatMap(t => [
      ...combine('extract', ['text', t], UNITS, ['04:05:06.789', '23:59:59']),
      ...combine('date_part', ['text', t], UNITS, ['04:05:06.789']),
    ]),
    ...combine(
      'make_time',
      ['int4', 'int4', 'float8'],
      ['0', '24', '25', '-1'],
      ['0', '59', '60'],
      ['0', '59.9999999', '60', '-1', 'nan'],
    ),
    ...combine('timezone', ['text', 'timetz'], ['UTC', 'EST', '+02', 'Asia/Tokyo', 'bogus'], ['04:05:06-08']),
    ...combine(
      'overlaps',
      ['time', 'time', 'time', 'time'],
      ['01:00', null],
      ['03:00', '00:30', null],
      ['02:00', '03:00'],
      ['05:00', null],
    ),
  ]);
  check('date arithmetic', () => [
    ...pairs(['date_mi', 'date_eq', 'date_lt', 'date_cmp', 'date_larger'], 'date', DATES),
    ...combine('date_pli', ['date', 'int4'], DATES, ['1', '-1', '2147483647', '-2147483648']),
    ...combine('date_mii', ['date', 'int4'], DATES, ['1', '-366']),
    ...combine('date_pl_interval', ['date', 'interval'], DATES, INTERVALS),
    ...combine('extract', ['text', 'date'], UNITS, DATES),
    ...combine(
      'make_date',
      ['int4', 'int4', 'int4'],
      ['2024', '0', '-44', '5874898'],
      ['1', '2', '13'],
      ['1', '29', '31', '0'],
    ),
    ...combine('date_cmp_timestamp', ['date', 'timestamp'], DATES, STAMPS),
    ...combine('timestamptz_lt_date', ['timestamptz', 'date'], STAMPS, DATES),
    ...combine('datetime_pl', ['date', 'time'], DATES, ['00:00', '24:00']),
  ]);
  const stampArithmetic = (): Case[] => [
    ...pairs(['timestamp_mi', 'timestamp_lt', 'timestamp_cmp', 'age'], 'timestamp', STAMPS),
    ...combine('timestamp_pl_interval', ['timestamp', 'interval'], STAMPS, INTERVALS),
    ...combine('timestamp_mi_interval', ['timestamp', 'interval'], STAMPS, INTERVALS),
    ...combine('timestamptz_pl_interval', ['timestamptz', 'interval'], STAMPS, INTERVALS),
    ...combine('timestamptz_mi_interval', ['timestamptz', 'interval'], STAMPS, INTERVALS.slice(0, 9)),
    ...pairs(['age', 'timestamptz_mi'], 'timestamptz', STAMPS),
    ...['timestamp', 'timestamptz'].flatMap(t => [
      ...combine('extract', ['text', t], UNITS, STAMPS),
      ...combine('date_part', ['text', t], UNITS, STAMPS),
      ...combine('date_trunc', ['text', t], UNITS, STAMPS),
    ]),
    ...combine('date_trunc', ['text', 'timestamptz', 'text'], ['day', 'hour', 'week'], STAMPS, ['Asia/Tokyo', 'EST']),
    ...each(['timestamptz', 'date', 'time'], 'timestamp', STAMPS),
    ...each(['timestamp', 'date', 'time', 'timetz'], 'timestamptz', STAMPS),
    ...combine('timezone', ['text', 'timestamp'], ['UTC', 'EST', 'Europe/Berlin', 'bogus'], STAMPS),
    ...combine('timezone', ['text', 'timestamp'], ['msk', '+02', '<X>-3'], STAMPS.slice(0, 4)),
    ...combine('timezone', ['text', 'timestamp'], ['MSK', 'MSD', 'VET'], MOSCOW),
    ...combine('timezone', ['text', 'timestamptz'], ['MSK', 'VET'], MOSCOW),
    ...combine('timezone', ['text', 'timestamptz'], ['UTC', 'EST', 'Europe/Berlin'], STAMPS),
    ...combine('timezone', ['text', 'timestamptz'], ['msk', '+02:30'], STAMPS.slice(0, 4)),
    ...combine('timezone', ['interval', 'timestamptz'], ['02:30', '-1 hour'], STAMPS),
    ...combine('timestamptz_cmp_timestamp', ['timestamptz', 'timestamp'], STAMPS, STAMPS),
    ...combine(
      'date_bin',
      ['interval', 'timestamp', 'timestamp'],
      ['15 minutes', '1 day', '1 mon', '0', '-1 hour'],
      STAMPS,
      ['2001-01-01', '2024-01-01 00:07', 'infinity'],
    ),
  ];
  check('timestamp arithmetic, UTC', stampArithmetic);
  check('timestamp arithmetic, New York', stampArithmetic, () => style('America/New_York', 'ISO, MDY', 'postgres'));
  check('making timestamps', () => [
    ...combine(
      'make_timestamp',
      ['int4', 'int4', 'int4', 'int4', 'int4', 'float8'],
      ['2024', '-1'],
      ['2'],
      ['29', '28'],
      ['0', '24'],
      ['0', '60'],
      ['1.5', '0'],
    ),
    ...each(['to_timestamp'], 'float8', [
      '0',
      '1.5',
      '-1e10',
      '1e12',
      '1e18',
      'nan',
      'inf',
      '-inf',
      '1700000000.123456',
    ]),
    ...combine('timestamp', ['timestamp', 'int4'], STAMPS, ['0', '3', '6']),
    ...combine('time', ['time', 'int4'], ['04:05:06.789', '23:59:59.999999'], ['0', '2']),
    ...combine('interval', ['interval', 'int4'], INTERVALS, [
      '458751',
      '327679',
      '67698687',
      '201916415',
      '469762050',
      '268435459',
      '2147418112',
      '589823',
    ]),
    ...combine(
      'generate_series',
      ['timestamp', 'timestamp', 'interval'],
      ['2024-01-30'],
      ['2024-03-01'],
      ['1 day', '1 mon', '-1 day', '0'],
    ),
    ...combine(
      'generate_series',
      ['timestamptz', 'timestamptz', 'interval'],
      ['2024-03-09'],
      ['2024-03-12'],
      ['12 hours'],
    ),
  ]);
  check('intervals', () => [
    ...each(['justify_hours', 'justify_days', 'justify_interval', 'interval_um', 'time'], 'interval', [
      ...INTERVALS,
      ...BAD_INTERVALS,
      '35 days 36 hours',
      '-35 days 36:00',
      '1 mon -1 hour',
    ]),
    ...pairs(['interval_pl', 'interval_mi', 'interval_cmp', 'interval_eq'], 'interval', INTERVALS),
    ...combine('interval_mul', ['interval', 'float8'], INTERVALS, ['0', '1.5', '-0.3', '1e10', 'nan', '0.1']),
    ...combine('interval_div', ['interval', 'float8'], INTERVALS, ['0', '1.5', '-3', '1e-10']),
    ...combine('extract', ['text', 'interval'], UNITS, INTERVALS),
    ...combine('date_part', ['text', 'interval'], UNITS, INTERVALS.slice(0, 10)),
    ...combine('date_trunc', ['text', 'interval'], UNITS, INTERVALS),
    ...combine(
      'make_interval',
      ['int4', 'int4', 'int4', 'int4', 'int4', 'int4', 'float8'],
      ['1'],
      ['-2'],
      ['3'],
      ['4'],
      ['5', '-5'],
      ['6'],
      ['7.8', 'inf'],
    ),
  ]);
  for (const s of ['postgres_verbose', 'sql_standard', 'iso_8601'])
    check(
      `intervals, ${s}`,
      () =>
        combine('interval_pl', ['interval', 'interval'], [...INTERVALS, '-1 day 2 hours', '-1-2', '-1 2:03'], ['0']),
      () => style('UTC', 'ISO, MDY', s),
    );
});
