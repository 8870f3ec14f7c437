/**
 * What the postmaster and the command line must know of a data directory before anyone serves it:
 * that it is one, of which version, which cluster, and how it is configured. (Everybody else asks the
 * buffer-manager; these few files have to be read to start it.)
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import {
  applyConfig,
  type AppliedConfig,
  applyOptions,
  type Configuration,
  type SettingOrigin,
} from '@pgtroupe/common/guc_apply';
import { type ConfigFiles, type ParsedConfig, parseConfigFile } from '@pgtroupe/common/guc_file';

const PG_MAJOR = '15';
/** Offsets in pg_control. */
const SYSTEM_IDENTIFIER_AT = 0;
const PG_CONTROL_VERSION_AT = 8;
const PG_CONTROL_VERSION = 1300;

/** Throws what is wrong with the directory; returns the system identifier, decimal. */
export function inspectDataDirectory(path: string): string {
  const initHint = `Create one with "pgtroupe initdb -D ${path}", or name another directory with -D.`;
  let mode: number;
  try {
    const found = statSync(path);
    if (!found.isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' });
    mode = found.mode;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw ereport(ERRCODE.UNDEFINED_FILE, `data directory "${path}" does not exist`, { hint: initHint });
    }
    throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `could not read permissions of directory "${path}": ${code}`);
  }
  if ((mode & 0o027) !== 0) {
    throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, `data directory "${path}" has invalid permissions`, {
      detail: 'Permissions should be u=rwx (0700) or u=rwx,g=rx (0750).',
      hint: `Run "chmod 0700 ${path}".`,
    });
  }
  let version: string;
  try {
    version = readFileSync(join(path, 'PG_VERSION'), 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') {
      throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `could not open file "${path}/PG_VERSION": Permission denied`, {
        hint: 'Run as the user who owns the data directory.',
      });
    }
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `"${path}" is not a valid data directory`, {
      detail: 'File "PG_VERSION" is missing.',
      hint: initHint,
    });
  }
  if (version !== PG_MAJOR) {
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'database files are incompatible with server', {
      detail: `The data directory was initialized by PostgreSQL version ${version}, which is not compatible with this version ${PG_MAJOR}.`,
      hint: initHint,
    });
  }
  const control = readControl(path);
  const controlVersion = control.readUInt32LE(PG_CONTROL_VERSION_AT);
  if (controlVersion !== PG_CONTROL_VERSION) {
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'database files are incompatible with server', {
      detail: `The database cluster was initialized with PG_CONTROL_VERSION ${controlVersion}, but the server expects ${PG_CONTROL_VERSION}.`,
    });
  }
  return String(control.readBigUInt64LE(SYSTEM_IDENTIFIER_AT));
}

function readControl(path: string): Buffer {
  try {
    const control = readFileSync(join(path, 'global', 'pg_control'));
    if (control.length >= PG_CONTROL_VERSION_AT + 4) return control;
  } catch {
    // Said below.
  }
  throw ereport(ERRCODE.DATA_CORRUPTED, `could not find the database system`, {
    detail: `Expected to find it in the directory "${path}", but could not read file "${path}/global/pg_control".`,
  });
}

export function configFilesOfDisk(): ConfigFiles {
  return {
    read: path => attempt(() => readFileSync(path, 'utf8')),
    list: path => attempt(() => readdirSync(path)),
  };
}

/**
 * At the start: postgresql.conf, then postgresql.auto.conf, under what the command line's `-c name=value` say. Throws
 * the first thing that is wrong.
 */
export function readConfiguration(dataDirectory: string, options: readonly string[]): AppliedConfig {
  const main = join(dataDirectory, 'postgresql.conf');
  const commandLine = applyOptions(options.map(parseOption));
  const given = overridden(commandLine, [
    ['data_directory', dataDirectory],
    ['config_file', main],
  ]);
  const applied = applyConfig(parseConfigFiles(dataDirectory), given, { mainFile: main, context: 'start' });
  const [complaint] = applied.complaints;
  if (complaint !== undefined) throw complaint;
  const unnamed = (['hba_file', 'ident_file'] as const).filter(
    name => applied.configuration.settings[name] === undefined,
  );
  const places = unnamed.map(name => [name, join(dataDirectory, FILES[name])] as const);
  return { ...applied, configuration: overridden(applied.configuration, places) };
}

const FILES = { hba_file: 'pg_hba.conf', ident_file: 'pg_ident.conf' } as const;
const OVERRIDE: SettingOrigin = { source: 'override' };

function overridden(
  { settings, origins }: Configuration,
  values: readonly (readonly [name: string, value: string])[],
): Configuration {
  return {
    settings: { ...settings, ...Object.fromEntries(values) },
    origins: { ...origins, ...Object.fromEntries(values.map(([name]) => [name, OVERRIDE])) },
    pendingRestart: [],
  };
}

/** What the same files say now, over what holds. Changes nothing. */
export function rereadConfiguration(dataDirectory: string, running: Configuration): AppliedConfig {
  const mainFile = join(dataDirectory, 'postgresql.conf');
  return applyConfig(parseConfigFiles(dataDirectory), running, { mainFile, context: 'reload' });
}

/** The second file is not looked at where the first makes no sense. */
function parseConfigFiles(dataDirectory: string): ParsedConfig {
  const files = configFilesOfDisk();
  const main = parseConfigFile(files, join(dataDirectory, 'postgresql.conf'));
  if (main.complaints.length > 0) return main;
  const auto = parseConfigFile(files, join(dataDirectory, 'postgresql.auto.conf'), { optional: true });
  return {
    items: [...main.items, ...auto.items],
    complaints: auto.complaints,
    remarks: [...main.remarks, ...auto.remarks],
  };
}

/** `name=value`, as -c takes it; dashes in the name are underscores. */
function parseOption(option: string): readonly [string, string] {
  const equals = option.indexOf('=');
  if (equals <= 0) throw ereport(ERRCODE.SYNTAX_ERROR, `-c ${option} requires a value`);
  return [option.slice(0, equals).trim().replaceAll('-', '_'), option.slice(equals + 1)];
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, (error as Error).message);
  }
}
