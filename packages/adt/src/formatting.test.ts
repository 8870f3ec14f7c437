/** to_char, to_number, to_date and to_timestamp against PostgreSQL. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { combine, comparison } from '@pgtroupe/testkit/sql/adt-oracle';

const STAMPS = [
  '2024-02-29 13:04:05.678901',
  '1999-12-31 00:00:00',
  '0044-03-15 23:59:59 BC',
  '2021-01-03 12:00:00',
  'infinity',
  '12345-06-07 08:09:10',
];
const DATE_PICTURES = [
  'YYYY-MM-DD HH24:MI:SS',
  'YYYY-MM-DD"T"HH24:MI:SS.MS',
  'Day, DD Month YYYY',
  'FMDay, FMDD FMMonth YYYY',
  'DY dy Dy DAY day',
  'HH12:MI AM',
  'HH:MI p.m.',
  'IYYY-IW-ID IDDD',
  'DDD DDDth WW W Q CC',
  'Y,YYY YYY YY Y',
  'J',
  'RM rm',
  'SSSS SSSSS',
  'US FF1 FF3 FF6',
  'MON Mon mon',
  'AD B.C. bc',
  'DDth ddTH FMDDth',
  'FMHH24:FMMI',
  'D',
  '"literal \\"x" YYYY',
  'TMMonth',
  '',
  'xYYYYy',
  '\\"DD\\"',
];
const INTERVALS = ['1 day 02:03:04.5', '-1 year -2 mons -3 days -04:05:06', '100 hours', '3 years', '0'];
const NUMBERS = [
  '0',
  '1',
  '-1',
  '0.5',
  '-0.1',
  '12345.678',
  '-98765.4321',
  '1234567',
  '0.00012',
  '100',
  '485',
  '1e15',
  '99.995',
];
const PICTURES = [
  '9',
  '999',
  '9999.99',
  '99999.999',
  '00000.00',
  '9,999,999',
  'FM9,999,999.00',
  'FM999999.999',
  'S99999.99',
  '99999.99S',
  '99999MI',
  'PL99999',
  'SG99999',
  '99999PR',
  'FM99999PR',
  '9.99EEEE',
  '999th',
  '999TH',
  'FM999th',
  'RN',
  'FMrn',
  '99V99',
  'L9999',
  'B9999',
  '9G999D99',
  '0999',
  'FM0999.9',
  '"N: "999',
  '.99',
  'FM.99',
  '9.9',
  '',
  '999.',
  'FM9.9',
  '000',
  '99.0',
  'MI99',
  'S',
  '9.9.9',
  '9PR9',
  'SMI',
  'EEEE9',
];

const { check } = comparison({ beforeAll, afterAll, it, expect });

describe('format pictures as PostgreSQL fills them', () => {
  check('dates', () => [
    ...combine('to_char', ['timestamp', 'text'], STAMPS, DATE_PICTURES),
    ...combine('to_char', ['timestamptz', 'text'], STAMPS, [...DATE_PICTURES, 'TZ tz TZH:TZM OF']),
  ]);
  check('intervals', () =>
    combine('to_char', ['interval', 'text'], INTERVALS, [
      'YYYY-MM-DD HH24:MI:SS',
      'DDD HH12 US',
      'Day',
      'FMHH24',
      'RM',
      'SSSS',
      'CC',
      'YY Y',
    ]),
  );
  check('numbers', () => [
    ...combine('to_char', ['numeric', 'text'], [...NUMBERS, 'NaN', 'Infinity'], PICTURES),
    ...combine('to_char', ['float8', 'text'], NUMBERS, PICTURES),
  ]);
  check('integers', () => [
    ...combine(
      'to_char',
      ['int4', 'text'],
      ['0', '1', '-7', '485', '12345', '-2147483648'],
      PICTURES.filter(p => p !== '99V99'),
    ),
    ...combine('to_char', ['int8', 'text'], ['0', '-7', '9007199254740993'], PICTURES),
  ]);
  check('to_number', () =>
    combine(
      'to_number',
      ['text', 'text'],
      ['12', '-12.34', ' 42', '+7', '7.5'],
      ['99', '99.99', 'S99.99', 'EEEE', 'RN', '99V9'],
    ),
  );
  check('to_date and to_timestamp', () => [
    ...combine(
      'to_date',
      ['text', 'text'],
      [
        '2024-02-29',
        '20240229',
        '29 Feb 2024',
        'February 29, 2024',
        '2024 060',
        '24-2-9',
        'x',
        '',
        '2024-13-01',
        '2460370',
        '2024-9-1 BC',
      ],
      ['YYYY-MM-DD', 'YYYYMMDD', 'DD Mon YYYY', 'Month DD, YYYY', 'YYYY DDD', 'J', 'YYYY-MM-DD BC'],
    ),
    ...combine(
      'to_timestamp',
      ['text', 'text'],
      [
        '2024-02-29 13:04:05',
        '2024-02-29 01:04:05 PM',
        '2024-02-29 13:04:05.678',
        '2024/02/29 13.04',
        '2024-02-29 01:04:05 am',
      ],
      [
        'YYYY-MM-DD HH24:MI:SS',
        'YYYY-MM-DD HH12:MI:SS AM',
        'YYYY-MM-DD HH24:MI:SS.MS',
        'YYYY/MM/DD HH24:MI',
        'YYYY-MM-DD HH24:MI:SS TZH',
        'YYYY-MM-DD"T"HH24:MI:SS',
        'YYYY-MM-DD HH24:MI:SS.US',
      ],
    ),
  ]);
});
