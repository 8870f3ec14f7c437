/** The configuration the postmaster hands to everybody: parameters, and pg_hba.conf's text. */
import { readFileSync } from 'node:fs';
import { readConfiguration, rereadConfiguration } from '@pgtroupe/actor/node/datadir';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, PgError } from '@pgtroupe/common/ereport';
import type { AppliedConfig, ConfigLogLine, Configuration } from '@pgtroupe/common/guc_apply';
import { HBA_SETTING, parseHba } from '@pgtroupe/libpq/hba';

export interface LoadedConfiguration extends Configuration {
  /** The files make no sense: everything stays as it was. */
  readonly isRefused: boolean;
  readonly log: readonly ConfigLogLine[];
}

/** At the start. Throws what the user has to mend. */
export function loadConfiguration(dataDirectory: string, commandLine: readonly string[]): LoadedConfiguration {
  const { configuration, log } = readConfiguration(dataDirectory, commandLine);
  return { ...withHba(configuration, readHba(configuration)), isRefused: false, log };
}

/** Later. What is wrong is told in the log, and what it concerns stays as it is. */
export function reloadConfiguration(dataDirectory: string, running: Configuration): LoadedConfiguration {
  const { configuration, log, complaints, trouble } = rereadConfiguration(dataDirectory, running);
  const isRefused = trouble?.applied === false;
  const lines: ConfigLogLine[] = [...complaintsOfFiles(complaints, log), ...log];
  if (trouble !== undefined) {
    const rest = trouble.applied ? 'unaffected changes were applied' : 'no changes were applied';
    lines.push({ level: 'LOG', message: `configuration file "${trouble.file}" contains errors; ${rest}` });
  }
  try {
    return { ...withHba(configuration, readHba(configuration)), isRefused, log: lines };
  } catch (error) {
    if (!(error instanceof PgError)) throw error;
    lines.push({ level: 'LOG', message: error.message, hint: error.fields.hint });
    lines.push({ level: 'LOG', message: `${configuration.settings['hba_file']} was not reloaded` });
    return { ...configuration, isRefused, log: lines };
  }
}

/** Those that are not in the log yet: of lines that could not be read. */
function complaintsOfFiles(
  complaints: AppliedConfig['complaints'],
  log: AppliedConfig['log'],
): readonly ConfigLogLine[] {
  const told = new Set(log.map(({ message }) => message));
  return complaints.filter(({ message }) => !told.has(message)).map(({ message }) => ({ level: 'LOG', message }));
}

function withHba(configuration: Configuration, text: string): Configuration {
  return { ...configuration, settings: { ...configuration.settings, [HBA_SETTING]: text } };
}

/** pg_hba.conf or pg_ident.conf, by the parameter that says where it is. */
export function readAuthFile({ settings }: Configuration, parameter: 'hba_file' | 'ident_file'): string {
  const path = settings[parameter]!;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw ereport(
      ERRCODE.CONFIG_FILE_ERROR,
      `could not open configuration file "${path}": ${(error as Error).message}`,
    );
  }
}

function readHba(configuration: Configuration): string {
  const text = readAuthFile(configuration, 'hba_file');
  const [problem] = parseHba(text).problems;
  if (problem) {
    throw ereport(
      ERRCODE.CONFIG_FILE_ERROR,
      `could not load ${configuration.settings['hba_file']}: ${problem.message}`,
      { detail: `It is in line ${problem.lineNumber}.` },
    );
  }
  return text;
}
