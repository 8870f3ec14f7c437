/**
 * Where a real PostgreSQL 15 listens that tests compare with: PGTROUPE_ORACLE_HOST and PGTROUPE_ORACLE_PORT, user postgres,
 * trusted. Whoever asks it takes the address from here.
 */
export const ORACLE_HOST = process.env['PGTROUPE_ORACLE_HOST'] ?? '127.0.0.1';
export const ORACLE_PORT = Number(process.env['PGTROUPE_ORACLE_PORT'] ?? '5555');
