/**
 * Sequences of protocol messages that no driver sends, and what PostgreSQL 15 answers, message by message.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { dropOracleDatabase, oracleDatabase, ours, type Server } from './clients.ts';
import { type Answers, expected } from './expected.ts';
import { B, C, D, E, type Message, message, P, Q, S, Wire } from './wire.ts';

const SETUP = `set client_min_messages = error; drop table if exists pt;
create table pt(a int primary key, b text); insert into pt select g, g::text from generate_series(1, 5) g`;
const rows = [P('', 'select a from pt order by a'), B('', '')];

const SCENARIOS: Readonly<Record<string, readonly Message[]>> = {
  'a suspended portal goes on, and its tag counts the last Execute': [
    ...rows,
    E('', 2),
    E('', 2),
    E('', 2),
    E('', 2),
    S,
  ],
  'a portal suspended behind its last row': [...rows, E('', 5), E('', 1), S],
  'changes whose rows come a few at a time': [
    P('', 'update pt set b = b || $$!$$ returning a, b'),
    B('u', ''),
    D('P', 'u'),
    E('u', 2),
    E('u', 2),
    P('', 'with i as (insert into pt values (60), (61), (62) returning a) select a from i order by a'),
    B('w', ''),
    E('w', 3),
    E('u', 2),
    E('w', 3),
    E('u'),
    S,
    Q('select a, b from pt order by a'),
    P('', 'delete from pt where a > 59 returning 1 / (a - 61)'),
    B('', ''),
    E('', 1),
    S,
    Q('delete from pt where a > 59'),
  ],
  'columns of which constants choose the modifier': [
    Q(
      "select coalesce('a'::char(3), 'b'::char(2)), coalesce(null::char(3), null::char(3)), coalesce(b::char(2), 'x'::char(3)) from pt",
    ),
    Q(
      "select case 1 when 2 then 'ab'::char(3) when 1 then 'a'::char(3) end, case when a > 0 then 1.5 else 2::numeric(5,2) end from pt",
    ),
    Q('select case when false then 1.5 else (1)::numeric(10,2) end, array[case when true then $$a$$::char(3) end]'),
    Q("insert into pt values (70) returning case false when false then b::varchar(7) when true then 'x' end"),
    P('f', "select coalesce($1::char(3), 'b'::char(2)), case when $2 then '1'::varchar(3) else '2'::varchar(4) end"),
    D('S', 'f'),
    B('', 'f', [null, 't']),
    D('P'),
    B('', 'f', ['x', 'f']),
    D('P'),
    E(),
    S,
    Q('set plan_cache_mode = force_generic_plan'),
    B('', 'f', ['x', 'f']),
    D('P'),
    S,
    Q('reset plan_cache_mode'),
    C('S', 'f'),
    S,
    Q('delete from pt where a = 70'),
  ],
  'a finished SELECT has no more rows': [...rows, E(), E(), S],
  'a finished INSERT cannot be run': [P('', 'insert into pt values (50)'), B('', ''), E(), E(), S],
  'a finished SET cannot be run': [P('', 'set work_mem = 100'), B('', ''), E(), E(), S],
  'a finished SHOW has no more rows': [P('', 'show work_mem'), B('', ''), D('P'), E(), E(), S],
  'a parameter that is not used': [P('', 'select $2::int'), B('', '', ['1', '2']), E(), S],
  'a parameter whose type nothing tells': [P('', 'select $1 is null'), D('S'), S],
  'a parameter of a gap': [P('', 'select $3::int', [0, 25]), D('S'), S],
  'parameters that become text': [P('', 'select $1 = $2'), D('S'), S],
  'a result format that is none': [P('', 'select 1'), B('', '', [], { results: [2] }), D('P'), E(), S],
  'too many result formats': [P('', 'select 1'), B('', '', [], { results: [0, 0] }), E(), S],
  'too many parameter formats': [P('', 'select $1::int'), B('', '', ['1'], { formats: [0, 0] }), E(), S],
  'too few parameters': [P('', 'select $1::int, $2::int'), B('', '', ['1']), E(), S],
  'binary both ways': [
    P('', 'select $1::int + 1, $2::text'),
    B('', '', [Buffer.from([0, 0, 0, 5]), 'x'], { formats: [1], results: [1, 0] }),
    D('P'),
    E(),
    S,
  ],
  'names that are unknown': [B('', 'nosuch'), S, D('S', 'nosuch'), S, E('nosuch'), S, C('S', 'nosuch'), C('P', 'x'), S],
  'names that are taken': [P('d', 'select 1'), P('d', 'select 2'), S, B('p', 'd'), B('p', 'd'), S],
  'a parameter that is no number': [P('', 'select $1::int'), B('', '', ["it's"]), E(), S],
  'the second parameter of a named portal': [P('', 'select $1::int, $2::date'), B('q', '', ['1', 'x']), E('q'), S],
  'values that may be seen': [
    Q('set log_parameter_max_length_on_error = 3'),
    P('', 'select $1::int'),
    B('', '', ["i'ts"]),
    S,
    Q('set log_parameter_max_length_on_error = -1'),
    P('', 'select $1::int'),
    B('', '', ["i'ts"]),
    S,
    Q('reset log_parameter_max_length_on_error'),
  ],
  'a NUL and what is no UTF-8': [
    P('', 'select $1::text'),
    B('', '', ['a\0b']),
    S,
    P('', 'select $1::text'),
    B('', '', [Buffer.from([0x61, 0])], { formats: [1] }),
    S,
    P('', 'select $1::text'),
    B('', '', [Buffer.from([0x61, 0xff])]),
    S,
  ],
  'binary values of the wrong length': [
    P('', 'select $1::int'),
    B('', '', [Buffer.alloc(5)], { formats: [1] }),
    S,
    P('', 'select $1::int'),
    B('', '', [Buffer.alloc(2)], { formats: [1] }),
    S,
  ],
  'a parameter format that is none': [P('', 'select $1::int'), B('', '', ['1'], { formats: [7] }), S],
  'more parameters than Bind can bring': [P('', 'select $70000::int'), S],
  'parameters of a domain': [
    P('', 'select $1::information_schema.cardinal_number'),
    B('', '', ['5']),
    E(),
    S,
    B('', '', ['-5']),
    S,
    B('', '', [null]),
    E(),
    S,
    B('', '', [Buffer.from([0, 0, 0, 7])], { formats: [1] }),
    E(),
    S,
  ],
  'a row limit on INSERT … RETURNING': [
    P('', 'insert into pt select g from generate_series(60, 64) g returning a'),
    B('', ''),
    E('', 2),
    E('', 2),
    S,
    Q('select count(*) from pt'),
  ],
  'a row limit on DELETE, to its end and beyond': [
    Q('begin'),
    P('', 'delete from pt where a < 5 returning a'),
    B('d', ''),
    E('d', 3),
    E('d', 1),
    E('d'),
    E('d'),
    C('P', 'd'),
    S,
    Q('commit'),
    Q('select a from pt'),
  ],
  'a row limit on a WITH query that changes rows': [
    Q('begin'),
    P('', 'with u as (update pt set b = 9 returning a) select a from u order by a'),
    B('u', ''),
    E('u', 1),
    C('P', 'u'),
    S,
    Q('commit'),
    Q('select b from pt'),
  ],
  'a simple query takes the unnamed portal away': [
    Q('begin'),
    ...rows,
    E('', 2),
    S,
    Q('select 1'),
    E(),
    S,
    Q('rollback'),
  ],
  'a portal from before a savepoint outlives an error behind it': [
    Q('begin'),
    P('', 'select a from pt order by a'),
    B('p', ''),
    E('p', 1),
    S,
    Q('savepoint s'),
    E('p', 1),
    S,
    Q('select 1 / 0'),
    E('p', 1),
    S,
    Q('rollback to s'),
    E('p', 1),
    S,
    Q('rollback'),
  ],
  'a portal from behind a savepoint does not outlive ROLLBACK TO, but RELEASE': [
    Q('begin; savepoint s; savepoint t'),
    P('', 'select a from pt order by a'),
    B('p', ''),
    E('p', 1),
    S,
    Q('release t'),
    E('p', 1),
    S,
    Q('rollback to s'),
    E('p', 1),
    S,
    Q('rollback'),
    Q('begin; savepoint s'),
    B('p', ''),
    E('p', 1),
    S,
    Q('release s; savepoint u; rollback to u'),
    E('p', 1),
    S,
    Q('rollback'),
  ],
  'a portal that failed': [
    Q('begin'),
    P('', 'select 6 / (a - 2) from pt order by a'),
    B('p', ''),
    E('p', 1),
    S,
    Q('savepoint s'),
    E('p'),
    S,
    Q('rollback to s'),
    E('p'),
    S,
    Q('rollback'),
  ],
  'descriptions in a failed block': [
    P('q', 'select 1'),
    P('r', 'rollback'),
    S,
    Q('begin'),
    Q('select 1 / 0'),
    D('S', 'q'),
    S,
    D('S', 'r'),
    B('', 'r'),
    D('P'),
    E(),
    S,
    C('S', 'q'),
    C('S', 'r'),
    S,
  ],
  'a description of what changed since': [
    P('c', 'select * from pt'),
    S,
    Q('alter table pt add column c int'),
    D('S', 'c'),
    S,
    Q('drop table pt'),
    D('S', 'c'),
    S,
    C('S', 'c'),
    S,
  ],
  'EXPLAIN with a parameter': [
    P('', 'explain (costs off) select a + $1 from pt'),
    D('S'),
    B('', '', ['1']),
    D('P'),
    E(),
    S,
    P('', 'explain (costs off) select * from nosuch where a = $1'),
    S,
  ],
  'lengths of a parameter': [
    P('', 'select $1::text'),
    S,
    message('B', Buffer.from('\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0', 'latin1')),
    S,
    message('B', Buffer.from('\0\0\0\0\0\x01\0\0\xff\xffabc\0\0', 'latin1')),
    S,
  ],
  ...Object.fromEntries(
    [
      ['bool', ''],
      ['"char"', ''],
      ['bit', ''],
      ['bit', '\0\0\0\x03\xa0\0'],
      ['varbit', '\0\0\0\x09\xa0'],
      ['jsonb', ''],
      ['jsonb', '\x01{'],
      ['json', '{'],
      ['inet', '\x02\x18\0\x04\xc0\xa8\x01'],
      ['inet', '\x02\x18\0\x04\xc0\xa8\x01\x05\0'],
      ['int4[]', '\0\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x01\0\0\0\x01\0\0\0\x04\0\0\0\x01\0'],
      ['int4[]', '\0\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x01\0\0\0\x01\0\0\0\x05\0\0\0\x01\0'],
      ['int4[]', '\0\0\0\x01\0\0\0\0\xff\0\0\x17\0\0\0\x01\0\0\0\x01\0\0\0\x04\0\0\0\x01'],
      ['int4[]', '\0\0\0\0\0\0\0\0\0\0\0\x17\0'],
    ].map(([type, bytes]): [string, readonly Message[]] => [
      `${type} sent as ${Buffer.from(bytes!, 'latin1').toString('hex')}`,
      [P('', `select $1::${type}`), B('', '', [Buffer.from(bytes!, 'latin1')], { formats: [1] }), E(), S],
    ]),
  ),
  'a row and an enum sent wrong': [
    Q("create type wire_row as (x int, y text); create type wire_enum as enum ('a')"),
    ...['', '\0\0\0\x02\0\0\0\x17\0\0\0\x04\0\0\0\x01\0\0\0\x19\0\0\0\x09x'].flatMap(bytes => [
      P('', 'select $1::wire_row'),
      B('', '', [Buffer.from(bytes, 'latin1')], { formats: [1] }),
      E(),
      S,
    ]),
    P('', 'select $1::wire_row'),
    B('', '', [Buffer.from('\0\0\0\x02\0\0\0\x17\0\0\0\x05\0\0\0\x01\0\0\0\0\x19\xff\xff\xff\xff', 'latin1')], {
      formats: [1],
    }),
    E(),
    S,
    P('', 'select $1::wire_enum'),
    B('', '', [Buffer.from([0x61, 0])], { formats: [1] }),
    E(),
    S,
    Q('drop type wire_row, wire_enum'),
  ],
  ...Object.fromEntries(
    [
      ['CopyFail at once', [], 'oh'],
      ['CopyFail behind a row', ['6\tx\n'], 'oh'],
      ['a row of two messages, the last without its end', ['6\tx', 'y\n7\tz']],
      ['a corrupt end-of-copy marker', ['6\tx\n\\.abc\n7\ty\n']],
      ['an end-of-copy marker of another newline style', ['6\tx\n\\.\r\n']],
      ['an end-of-copy marker without its newline', ['6\tx\n\\.']],
      ['an end-of-copy marker behind data', ['6\tx\\.\n7\ty\n']],
      ['an escaped backslash before a dot', ['6\tx\\\\.\n7\ty\n']],
      ['an end-of-copy marker in pieces', ['6\tx\r\n\\', '.', '\r', '\n7\ty\r\n']],
      ['bytes that are no text', ['6\tx\xff\n']],
      ['a NUL byte', ['6\tx\0\n']],
      ['escapes that make no text', ['6\tx\\377\n']],
      ['a duplicate key', ['6\tx\n5\ty\n']],
      ['a null key', ['\\N\ty\n']],
    ].map(([name, chunks, reason]): [string, readonly Message[]] => [
      `COPY: ${name as string}`,
      [
        Q('copy pt from stdin'),
        ...(chunks as string[]).map(chunk => message('d', Buffer.from(chunk, 'latin1'))),
        reason === undefined ? message('c') : message('f', Buffer.from(`${reason as string}\0`)),
        Q('select * from pt where a > 5'),
      ],
    ]),
  ),
  'a unique index on what is not unique': [Q('insert into pt values (6, 1)'), Q('create unique index on pt (b)')],
  "an application's name": [Q("set application_name = E'a\\tb\\u00e9~'"), Q('show application_name')],
  'subtypes that are none': [D('X', 'a'), S, C('X', 'a'), S],
  'several commands in one statement': [P('', 'select 1; select 2'), S],
};

async function walk(server: Server): Promise<Answers> {
  const answers = new Map<string, string>();
  const wire = await Wire.open(server);
  for (const [name, messages] of Object.entries(SCENARIOS)) {
    await wire.send(Q(SETUP));
    const lines = [...(await wire.send(messages))];
    // COPY's own announcement is told at once.
    while (lines.at(-1)!.startsWith('G')) {
      const told = lines.filter(line => line.startsWith('Z')).length;
      lines.push(...(await wire.read(messages.filter(({ ready }) => ready).length - told)));
    }
    answers.set(name, lines.join('; ').replaceAll('\n', '\\n'));
  }
  wire.close();
  for (const [version, parameters] of [
    [196_610, {}],
    [196_608, { '_pq_.foo': '1' }],
  ] as const) {
    const newer = await Wire.open(server, parameters, version);
    answers.set(`protocol ${version & 0xffff}`, newer.greeting.filter(line => !line.startsWith('S ')).join('; '));
    newer.close();
  }
  for (const [what, parameters] of [
    ['user', { user: 'u'.repeat(70) }],
    ['database', { database: 'd'.repeat(70) }],
  ] as const) {
    const refused = await Wire.open(server, parameters);
    answers.set(`a long name of a ${what}`, refused.greeting.filter(line => line.startsWith('E ')).join('; '));
    refused.close();
  }
  return answers;
}

describe.skipIf(!isBuilt)('the protocol', () => {
  const cluster = new TestCluster();
  const recorded = expected(new URL('expected/wire.out', import.meta.url), async () => {
    const oracle = oracleDatabase('wire_protocol');
    try {
      return await walk(oracle);
    } finally {
      dropOracleDatabase('wire_protocol');
    }
  });

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
  }, 90_000);

  afterAll(() => cluster.destroy(), 30_000);

  it('answers as PostgreSQL does', async () => {
    expect(Object.fromEntries(await walk(ours(cluster)))).toEqual(Object.fromEntries(recorded()));
  }, 60_000);

  it('names the routine that drivers look for when a plan is stale', async () => {
    const wire = await Wire.open(ours(cluster));
    await wire.send(Q(SETUP));
    await wire.send([P('r', 'select * from pt'), S]);
    await wire.send(Q('alter table pt add column c int'));
    const said = await wire.send([B('', 'r'), E(), S]);
    expect(said[0]).toBe('E ERROR 0A000 cached plan must not change result type R:RevalidateCachedQuery');
    wire.close();
  });

  it('says so at each execution while the columns are others, and executes again when they are not', async () => {
    const wire = await Wire.open(ours(cluster));
    await wire.send(Q(SETUP));
    await wire.send([P('s', 'select * from pt where a = 1'), D('S', 's'), S]);
    const before = await wire.send([B('', 's'), E(), S]);
    expect(before[1]).toMatch(/^D /);
    await wire.send(Q('begin; alter table pt add column d int'));
    for (let n = 0; n < 2; n++) {
      await wire.send(Q('savepoint x'));
      const said = await wire.send([B('', 's'), E(), S]);
      expect(said[0]).toMatch(/^E ERROR 0A000 cached plan must not change result type/);
      await wire.send(Q('rollback to x'));
    }
    await wire.send(Q('rollback'));
    expect(await wire.send([B('', 's'), E(), S])).toEqual(before);
    wire.close();
  });
});
