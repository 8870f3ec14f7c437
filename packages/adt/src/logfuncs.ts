/**
 * Functions about the server's log files (pg_current_logfile, pg_rotate_logfile): the logger is asked.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { ask } from './asking.ts';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';

/** What a session can ask the logger. */
export interface LogFiles {
  /** logging_collector */
  readonly collecting: boolean;
  /** The files written to now, by format; none without a logger that answers. */
  current(): Promise<ReadonlyMap<string, string>>;
  /** Goes on in the files that their names stand for now. false: there is no logger that answers. */
  rotate(): Promise<boolean>;
}

const FORMATS: ReadonlySet<string> = new Set(['stderr', 'csvlog', 'jsonlog']);

function logFiles({ settings }: FunctionCall): LogFiles {
  if (settings.logFiles === undefined) throw notSupported('asking for the log here');
  return settings.logFiles;
}

function currentLogfile(fc: FunctionCall, format: Uint8Array | null): Uint8Array | null {
  const wanted = format === null ? undefined : textToString(format);
  if (wanted !== undefined && !FORMATS.has(wanted)) {
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `log format "${wanted}" is not supported`, {
      hint: 'The supported log formats are "stderr", "csvlog", and "jsonlog".',
    });
  }
  const files = logFiles(fc);
  if (!files.collecting) return null;
  const current = ask(fc, () => files.current());
  const path = wanted === undefined ? [...current.values()][0] : current.get(wanted);
  return path === undefined ? null : stringToText(path);
}

function rotateLogfile(fc: FunctionCall): boolean {
  const files = logFiles(fc);
  if (!files.collecting) {
    fc.settings.warn?.(ERRCODE.WARNING, 'rotation not possible because log collection not active');
    return false;
  }
  const rotated = ask(fc, () => files.rotate());
  if (!rotated) fc.settings.warn?.(ERRCODE.WARNING, 'rotation not possible because the logger does not answer');
  return rotated;
}

export const logFunctions: FunctionTable = {
  pg_current_logfile: (fc: FunctionCall) => currentLogfile(fc, null),
  pg_current_logfile_1arg: currentLogfile,
  pg_rotate_logfile_v2: rotateLogfile,
};
