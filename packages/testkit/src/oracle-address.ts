/**
 * Where the real PostgreSQL 15 is that everything here is compared with; whoever compares takes it from here. A server that listens at
 * PGTROUPE_ORACLE_HOST and PGTROUPE_ORACLE_PORT, user postgres, trusted; its programs in PG_BIN, their files in PG_SHARE.
 */
export const ORACLE_HOST = process.env['PGTROUPE_ORACLE_HOST'] ?? '127.0.0.1';
export const ORACLE_PORT = Number(process.env['PGTROUPE_ORACLE_PORT'] ?? '5555');
/** Where Debian and the PostgreSQL project put version 15's programs. */
export const PG_BIN = process.env['PG_BIN'] ?? '/usr/lib/postgresql/15/bin';
/** What comes with them: the SQL that initdb runs. */
export const PG_SHARE = process.env['PG_SHARE'] ?? '/usr/share/postgresql/15';
