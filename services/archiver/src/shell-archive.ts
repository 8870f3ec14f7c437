/** archive_command (shell_archive.c): its text, and what its end means. Pure. */
import type { CommandEnd } from '@pgtroupe/actor/env';

/** `%p` is the path of what is to be archived, `%f` its name, `%%` a percent sign; others stay as they are. */
export function archiveCommand(template: string, path: string, file: string): string {
  const values: Readonly<Record<string, string>> = { '%p': path, '%f': file, '%%': '%' };
  return template.replace(/%[pf%]/g, found => values[found]!);
}

/** `ends`: the archiver ends too, as somebody who was interrupted, or whose shell does not find the command. */
export interface ArchiveFailure {
  readonly message: string;
  readonly ends: boolean;
}

/** undefined: it is archived. */
export function archiveFailure(end: CommandEnd): ArchiveFailure | undefined {
  if (end.kind === 'signaled')
    return { message: `archive command was terminated by signal ${end.signal}: ${end.text}`, ends: true };
  if (end.code === 0) return undefined;
  return { message: `archive command failed with exit code ${end.code}`, ends: end.code > COMMAND_NOT_EXECUTABLE - 1 };
}

/** The shell's exit codes from here on say that it could not run the command, or that a signal ended that. */
const COMMAND_NOT_EXECUTABLE = 126;
