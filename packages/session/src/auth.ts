/** Lets a client in, or not, as pg_hba.conf says (auth.c). */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { type HbaClient, type HbaFile, matchHba } from '@pgtroupe/libpq/hba';

/** Throws what ends the session (FATAL) if it may not come in. */
export function authenticate(hba: HbaFile, client: HbaClient): void {
  const { address, user, database } = client;
  const line = matchHba(hba, client);
  const from = address === undefined ? 'host "[local]"' : `host "${address}"`;
  const whose = `for ${from}, user "${user}", database "${database}", no encryption`;
  const refused = (message: string): Error =>
    ereport(ERRCODE.INVALID_AUTHORIZATION_SPECIFICATION, message, { severity: 'FATAL' });
  if (line === undefined) throw refused(`no pg_hba.conf entry ${whose}`);
  switch (line.method) {
    case 'trust':
      return;
    case 'reject':
      throw refused(`pg_hba.conf rejects connection ${whose}`);
    default:
      throw ereport(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        `authentication method "${line.method}" is not supported by pgtroupe yet`,
        { severity: 'FATAL', hint: `Use "trust" or "reject" in line ${line.lineNumber} of pg_hba.conf.` },
      );
  }
}
