import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { allGucs, findGuc, gucSetting, isCustomGucName, parseBool, parseGuc, showGuc } from './guc.ts';
import { PgError } from './ereport.ts';
import { Settings } from './settings.ts';
import { ORACLE_HOST, ORACLE_PORT } from '@pgtroupe/testkit/oracle-address';

const read = (name: string, text: string): unknown => {
  try {
    return parseGuc(findGuc(name)!, text);
  } catch (error) {
    if (!(error instanceof PgError)) throw error;
    return error.fields.hint === undefined ? error.message : `${error.message} [${error.fields.hint}]`;
  }
};
const show = (name: string, text: string) => showGuc(findGuc(name)!, parseGuc(findGuc(name)!, text));

describe('configuration parameters', () => {
  it('reads units, rounding as PostgreSQL does', () => {
    expect(read('shared_buffers', '256MB')).toBe(32768);
    expect(read('shared_buffers', '16384')).toBe(16384);
    expect(read('work_mem', '1.5GB')).toBe(1572864);
    expect(read('checkpoint_timeout', '5min')).toBe(300);
    expect(read('wal_writer_delay', '0.2s')).toBe(200);
    expect(read('max_wal_size', '0x400MB')).toBe(1024);
    expect(read('checkpoint_completion_target', '0.75')).toBe(0.75);
  });

  it('refuses in the words of PostgreSQL', () => {
    expect(read('shared_buffers', 'lots')).toBe('invalid value for parameter "shared_buffers": "lots"');
    expect(read('work_mem', '1XB')).toBe(
      'invalid value for parameter "work_mem": "1XB" [Valid units for this parameter are "B", "kB", "MB", "GB", and "TB".]',
    );
    expect(read('max_connections', '0')).toBe(
      '0 is outside the valid range for parameter "max_connections" (1 .. 262143)',
    );
    expect(read('work_mem', '1')).toBe('1 kB is outside the valid range for parameter "work_mem" (64 .. 2147483647)');
    expect(read('work_mem', '1e30')).toBe(
      'invalid value for parameter "work_mem": "1e30" [Value exceeds integer range.]',
    );
    expect(read('autovacuum', 'perhaps')).toBe('parameter "autovacuum" requires a Boolean value');
    expect(read('wal_level', 'none')).toBe(
      'invalid value for parameter "wal_level": "none" [Available values: minimal, replica, logical.]',
    );
  });

  it('prints the largest unit that divides evenly', () => {
    expect(show('shared_buffers', '32768')).toBe('256MB');
    expect(show('shared_buffers', '32769')).toBe('262152kB');
    expect(show('checkpoint_timeout', '300')).toBe('5min');
    expect(show('checkpoint_timeout', '301')).toBe('301s');
    expect(show('vacuum_cost_delay', '0.5')).toBe('500us');
    expect(show('deadlock_timeout', '1s')).toBe('1s');
    expect(show('statement_timeout', '0')).toBe('0');
    expect(show('unix_socket_permissions', '0700')).toBe('0700');
    expect(show('synchronous_commit', 'true')).toBe('on');
  });

  it('knows booleans by prefix and custom names by their dot', () => {
    expect(['t', 'TRUE', 'y', 'on', '1'].map(parseBool)).toEqual([true, true, true, true, true]);
    expect(['f', 'no', 'of', 'off', '0'].map(parseBool)).toEqual([false, false, false, false, false]);
    expect(['o', '', '2', 'onn'].map(parseBool)).toEqual([undefined, undefined, undefined, undefined]);
    expect(isCustomGucName('app.user')).toBe(true);
    expect(isCustomGucName('appuser')).toBe(false);
  });

  it('has defaults that read back as themselves', () => {
    for (const facts of allGucs()) {
      if (facts.boot === null) continue;
      expect(gucSetting(facts, parseGuc(facts, facts.boot)), facts.name).toBe(facts.boot);
    }
  });

  it('tells listeners what a new version changed', () => {
    const settings = new Settings({ work_mem: '8192' });
    const seen: string[][] = [];
    settings.onChange(changed => seen.push([...changed].sort()));
    settings.replace({ work_mem: '8192', wal_writer_delay: '10' });
    settings.replace({ wal_writer_delay: '10' });
    settings.replace({ wal_writer_delay: '10' });
    expect(seen).toEqual([['wal_writer_delay'], ['work_mem']]);
    expect(settings.number('work_mem')).toBe(4096);
  });
});

const oracle = ((): string | undefined => {
  try {
    const rows =
      "select string_agg(name||'='||current_setting(name)||'|'||setting, E'\\n') from pg_settings where setting is not null";
    return execFileSync('psql', ['-h', ORACLE_HOST, '-p', String(ORACLE_PORT), '-U', 'postgres', '-Atc', rows], {
      encoding: 'utf8',
      timeout: 5000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return undefined;
  }
})();

describe.skipIf(oracle === undefined)('against PostgreSQL 15 on port 5555 (skipped when there is none)', () => {
  it('prints every value as SHOW does', () => {
    for (const line of oracle!.trim().split('\n')) {
      const [, name, shown, setting] = /^([^=]+)=(.*)\|(.*)$/.exec(line) ?? [];
      const facts = name === undefined ? undefined : findGuc(name);
      if (facts === undefined) continue;
      expect(showGuc(facts, parseGuc(facts, setting!)), name).toBe(shown);
    }
  });
});
