/** 2000-01-01, from where PostgreSQL counts: in microseconds since 1970-01-01 (timestamp.h, POSTGRES_EPOCH_JDATE). */
export const POSTGRES_EPOCH_MICROS = 946_684_800_000_000;
