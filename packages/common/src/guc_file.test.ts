import { describe, expect, it } from 'vitest';
import { applyConfig, type ConfigFiles, keepDurable, parseConfigFile } from './guc_file.ts';

const files = (tree: Record<string, string>): ConfigFiles => ({
  read: path => tree[path],
  list: path => {
    const names = Object.keys(tree)
      .filter(p => p.startsWith(`${path}/`))
      .map(p => p.slice(path.length + 1));
    return names.length === 0 ? undefined : names;
  },
});
const read = (text: string) =>
  parseConfigFile(files({ '/d/postgresql.conf': text }), '/d/postgresql.conf').map(
    e => `${e.line} ${e.name}=${e.value}`,
  );
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

  it('names file, line and token of what makes no sense', () => {
    expect(message(() => read('port = = 1'))).toBe('syntax error in file "/d/postgresql.conf" line 1, near token "="');
    expect(message(() => read("\nport = 'open"))).toBe(
      'syntax error in file "/d/postgresql.conf" line 2, near token "\'open"',
    );
    expect(message(() => applyConfig(parseConfigFile(files({ f: 'sharedbuffers = 1' }), 'f')))).toBe(
      'unrecognized configuration parameter "sharedbuffers" in file "f" line 1',
    );
    expect(message(() => applyConfig([{ name: 'port', value: 'x', file: 'f', line: 1 }]))).toBe(
      'invalid value for parameter "port": "x"',
    );
    expect(message(() => applyConfig([{ name: 'server_version', value: '1', file: 'f', line: 1 }]))).toBe(
      'parameter "server_version" cannot be changed',
    );
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
    expect(applyConfig(parseConfigFile(tree, '/d/postgresql.conf'))).toEqual({ work_mem: '4096', port: '5555' });
    expect(message(() => parseConfigFile(files({ a: "include 'a'" }), 'a'))).toMatch(/maximum nesting depth exceeded/);
  });

  it('refuses values that would not be kept', () => {
    const entry = { name: 'default_transaction_isolation', value: 'serializable', file: 'f', line: 3 };
    expect(message(() => applyConfig([entry]))).toBe(
      'isolation level SERIALIZABLE is not supported by pgtroupe yet in file "f" line 3',
    );
  });

  it('knows its own parameters by the names PostgreSQL lets pass, and refuses the rest of their class', () => {
    const entry = (name: string) => applyConfig([{ name, value: '3', file: '', line: 0 }]);
    expect(entry('pgtroupe.sessions_per_instance')).toEqual({ sessions_per_instance: '3' });
    expect(entry('sessions_per_instance')).toEqual({ sessions_per_instance: '3' });
    expect(entry('other.sessions_per_instance')).toEqual({ 'other.sessions_per_instance': '3' });
    for (const name of ['pgtroupe.nope', 'PgTroupe.work_mem', 'pgtroupe.pg_hba_conf']) {
      expect(message(() => entry(name))).toBe(`invalid configuration parameter name "${name}"`);
    }
  });

  it('keeps durability on and says so', () => {
    const settings = applyConfig([{ name: 'fsync', value: 'off', file: '', line: 0 }]);
    expect(keepDurable(settings)).toEqual(['"fsync" stays on: pgtroupe never gives up durability']);
    expect(settings).toEqual({});
  });
});
