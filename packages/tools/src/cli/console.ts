/** What the command line prints: results on stdout, troubles in one line (and a hint) on stderr. */
import type { Trouble } from '@pgtroupe/actor/node/trouble';
import type { CastStatus } from '@pgtroupe/rpc/generated/postmaster';

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function complain({ message, detail, hint }: Trouble): void {
  const more = [detail, hint].filter(part => part !== undefined && part !== '').join(' ');
  process.stderr.write(`pgtroupe: ${message}${more === '' ? '' : `. ${more}`}\n`);
}

/** One line per process: name, pid, state, and what is worth knowing beside. */
export function formatCast(status: CastStatus): string[] {
  const rows = [
    ['postmaster', String(status.postmasterPid), status.pmState, ''],
    ...status.roles.map(role => [
      role.name,
      role.osPid === 0 ? '-' : String(role.osPid),
      role.state,
      [
        role.message,
        role.adopted ? 'adopted' : '',
        role.launches > 1 ? `launched ${role.launches} times` : '',
        role.role === 'backend' ? `${role.sessions} sessions` : '',
        role.rssBytes > 0 ? `${Math.round(role.rssBytes / 1048576)} MB` : '',
      ]
        .filter(part => part !== '')
        .join(', '),
    ]),
  ];
  const widths = [0, 1, 2].map(column => Math.max(...rows.map(row => row[column]!.length)));
  return rows.map(row => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd());
}
