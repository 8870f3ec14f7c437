/** What went wrong, as a person is told in one line: what, and what to do about it. */
import { PgError } from '@pgtroupe/common/ereport';

export interface Trouble {
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
}

export function troubleOf(error: unknown): Trouble {
  if (error instanceof PgError) {
    return { message: error.message, detail: error.fields.detail, hint: error.fields.hint };
  }
  const { code, message, stack } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return { message: `no space left on device (${message})`, hint: 'Free some space, then try again.' };
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return {
        message: `permission denied (${message})`,
        hint: 'Run as the owner of the directory, or choose another with -D.',
      };
    case undefined:
      // No system error: a bug, and its place is what helps.
      return { message: stack ?? message };
    default:
      return { message };
  }
}
