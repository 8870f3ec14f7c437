import { describe, expect, it } from 'vitest';
import { applyConfig, applyOptions, type Configuration } from './guc_apply.ts';
import { type ConfigFiles, parseConfigFile } from './guc_file.ts';

const files = (tree: Record<string, string>): ConfigFiles => ({
  read: path => tree[path],
  list: path => {
    const names = Object.keys(tree)
      .filter(p => p.startsWith(`${path}/`))
      .map(p => p.slice(path.length + 1));
    return names.length === 0 ? undefined : names;
  },
});
const nothing: Configuration = { settings: {}, origins: {}, pendingRestart: [] };
const parse = (text: string) => parseConfigFile(files({ '/d/postgresql.conf': text }), '/d/postgresql.conf');
const read = (text: string) => parse(text).items.map(e => `${e.line} ${e.name}=${e.value}`);
const complaints = (text: string) => parse(text).complaints.map(({ message }) => message);
const apply = (text: string, running = nothing, context: 'start' | 'reload' = 'start') =>
  applyConfig(parse(text), running, { mainFile: '/d/postgresql.conf', context });
const problems = (text: string) => apply(text).complaints.map(({ message }) => message);
const log = (text: string, running: Configuration) => apply(text, running, 'reload').log.map(({ message }) => message);
const message = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return 'no error';
};

describe('postgresql.conf', () => {
  it('reads names, values, quotes and comments', () => {
    expect(
      read(
        "# comment\n\nport = 5433 # tail\nshared_buffers 128MB\r\nlisten_addresses='*'\nlog_line_prefix = 'it''s \\'%m\\' # no comment'\napp.x = 'y'\nrandom_page_cost=1.1",
      ),
    ).toEqual([
      '3 port=5433',
      '4 shared_buffers=128MB',
      '5 listen_addresses=*',
      "6 log_line_prefix=it's '%m' # no comment",
      '7 app.x=y',
      '8 random_page_cost=1.1',
    ]);
  });

  it('names file, line and token of what makes no sense, and reads on', () => {
    const at = 'syntax error in file "/d/postgresql.conf" line';
    expect(complaints('port = = 1\nwork_mem\nx = 1 2\n= 3\na.b.c = 1\nlast')).toEqual([
      `${at} 1, near token "="`,
      `${at} 2, near end of line`,
      `${at} 3, near token "2"`,
      `${at} 4, near token "="`,
      `${at} 5, near token "a.b.c"`,
      `${at} 5, near end of line`,
    ]);
    expect(complaints("port = 'open")).toEqual([`${at} 1, near token "'"`]);
    expect(complaints('random_page_cost = 1.1MB')).toEqual([`${at} 1, near token "MB"`]);
  });

  it('unfolds includes in order; the last entry wins', () => {
    const tree = files({
      '/d/postgresql.conf':
        "work_mem = 1MB\ninclude 'extra.conf'\ninclude_if_exists 'none.conf'\ninclude_dir 'conf.d'\n",
      '/d/extra.conf': 'work_mem = 2MB\n',
      '/d/conf.d/10.conf': 'work_mem = 4MB\n',
      '/d/conf.d/02.conf': 'work_mem = 3MB\nport = 5555',
      '/d/conf.d/readme': 'nonsense here too',
    });
    const parsed = parseConfigFile(tree, '/d/postgresql.conf');
    const { configuration } = applyConfig(parsed, nothing, { mainFile: '/d/postgresql.conf', context: 'start' });
    expect(configuration.settings).toEqual({ work_mem: '4096', port: '5555' });
    expect(configuration.origins['work_mem']).toEqual({
      source: 'configuration file',
      file: '/d/conf.d/10.conf',
      line: 1,
    });
    expect(parsed.remarks).toEqual(['skipping missing configuration file "/d/none.conf"']);
    const again = parseConfigFile(files({ '/a': "include '/a'", '/b': "include 'c'", '/c': "include 'b'" }), '/a');
    expect(again.complaints.map(e => e.message)).toEqual(['configuration file recursion in "/a"']);
    const round = parseConfigFile(files({ '/b': "include 'c'", '/c': "include 'b'" }), '/b');
    expect(round.complaints[0]!.message).toMatch(/maximum nesting depth exceeded/);
    expect(round.items[0]!.error).toBe('nesting depth exceeded');
  });

  it('a wrong value leaves its parameter, an unknown name leaves everything', () => {
    expect(problems('sharedbuffers = 1\nwork_mem = 1MB')).toEqual([
      'unrecognized configuration parameter "sharedbuffers" in file "/d/postgresql.conf" line 1',
    ]);
    expect(apply('sharedbuffers = 1\nwork_mem = 1MB').configuration).toEqual(nothing);
    const { configuration, complaints: wrong, trouble } = apply('port = x\nserver_version = 1\nwork_mem = 1MB');
    expect(wrong.map(e => e.message)).toEqual([
      'invalid value for parameter "port": "x"',
      'parameter "server_version" cannot be changed',
    ]);
    expect(configuration.settings).toEqual({ work_mem: '1024' });
    expect(trouble).toEqual({ file: '/d/postgresql.conf', applied: true });
  });

  it('tells what a reload changes, and what waits for a restart', () => {
    const first = apply('work_mem = 1MB\nport = 5555\nshared_buffers = 16MB').configuration;
    expect(log('work_mem = 2MB\nport = 5556\nshared_buffers = 16MB', first)).toEqual([
      'parameter "work_mem" changed to "2MB"',
      'parameter "port" cannot be changed without restarting the server',
    ]);
    const second = apply('port = 5556', first, 'reload').configuration;
    expect(second.pendingRestart).toEqual(['port', 'shared_buffers']);
    expect(second.settings).toEqual({ port: '5555', shared_buffers: '2048' });
    expect(apply('port = 5555\nshared_buffers = 16MB', second, 'reload').configuration.pendingRestart).toEqual([]);
    expect(
      log('', { ...first, settings: { work_mem: '1024' }, origins: { work_mem: first.origins['work_mem']! } }),
    ).toEqual(['parameter "work_mem" removed from configuration file, reset to default']);
  });

  it('what the command line says is stronger', () => {
    const given = applyOptions([
      ['work_mem', '8MB'],
      ['port', '1234'],
    ]);
    const { configuration, complaints: wrong } = apply('work_mem = 1MB\nport = 5555', given);
    expect(configuration.settings).toEqual({ work_mem: '8192', port: '1234' });
    expect(configuration.origins['work_mem']).toEqual({ source: 'command line' });
    expect(wrong).toEqual([]);
    expect(message(() => applyOptions([['work_mem', 'x']]))).toBe('invalid value for parameter "work_mem": "x"');
  });

  it('refuses values that would not be kept', () => {
    expect(problems("\n\ndefault_transaction_isolation = 'serializable'")).toEqual([
      'isolation level SERIALIZABLE is not supported by pgtroupe yet in file "/d/postgresql.conf" line 3',
    ]);
  });

  it('knows its own parameters by the names PostgreSQL lets pass, and refuses the rest of their class', () => {
    const entry = (name: string) => applyOptions([[name, '3']]).settings;
    expect(entry('pgtroupe.sessions_per_instance')).toEqual({ sessions_per_instance: '3' });
    expect(entry('sessions_per_instance')).toEqual({ sessions_per_instance: '3' });
    expect(entry('other.sessions_per_instance')).toEqual({ 'other.sessions_per_instance': '3' });
    for (const name of ['pgtroupe.nope', 'PgTroupe.work_mem', 'pgtroupe.pg_hba_conf']) {
      expect(message(() => entry(name))).toMatch(`invalid configuration parameter name "${name}"`);
    }
  });

  it('keeps durability on and says so', () => {
    const { configuration, log: said } = apply('fsync = off');
    expect(said.map(line => line.message)).toEqual(['"fsync" stays on: pgtroupe never gives up durability']);
    expect(configuration.settings).toEqual({});
  });
});
