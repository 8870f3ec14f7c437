-- Which file a location lies in, and where in it.
SELECT * FROM pg_walfile_name_offset('0/1000028');
SELECT pg_walfile_name('0/1000000'), o.* FROM pg_walfile_name_offset('0/1000000') o;
SELECT file_offset, file_name = pg_walfile_name(l) FROM (VALUES ('0/1FFFFFF'::pg_lsn), ('0/2000000'), ('AB/CDEF0123')) v(l), pg_walfile_name_offset(l);
SELECT pg_walfile_name_offset('1/2000001');
SELECT file_offset >= 0 FROM pg_walfile_name_offset(pg_current_wal_insert_lsn());
SELECT * FROM pg_walfile_name_offset(NULL);
