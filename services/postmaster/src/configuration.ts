/** The configuration the postmaster hands to everybody: parameters, and pg_hba.conf's text. */
import { readFileSync } from 'node:fs';
import { type Configuration, readConfiguration } from '@pgtroupe/actor/node/datadir';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { HBA_SETTING, parseHba } from '@pgtroupe/libpq/hba';

export function loadConfiguration(dataDirectory: string, commandLine: readonly string[]): Configuration {
  const { settings, warnings } = readConfiguration(dataDirectory, commandLine);
  const path = settings['hba_file']!;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw ereport(
      ERRCODE.CONFIG_FILE_ERROR,
      `could not open configuration file "${path}": ${(error as Error).message}`,
    );
  }
  const [problem] = parseHba(text).problems;
  if (problem) {
    throw ereport(ERRCODE.CONFIG_FILE_ERROR, `could not load ${path}: ${problem.message}`, {
      detail: `It is in line ${problem.lineNumber}.`,
    });
  }
  settings[HBA_SETTING] = text;
  return { settings, warnings };
}
