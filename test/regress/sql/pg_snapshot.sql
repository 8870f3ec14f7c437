-- What snapshots are as values; after PostgreSQL's xid.sql and txid.sql.
SELECT v, pg_input FROM (VALUES ('12:13:'), ('12:18:14,16'), ('12:16:14,14'), ('-5:-3:'), (' 3:5:4')) AS t(v), LATERAL (SELECT v::pg_snapshot::text) AS s(pg_input);
SELECT '31:12:'::pg_snapshot;
SELECT '0:1:'::pg_snapshot;
SELECT '12:13:0'::pg_snapshot;
SELECT '12:16:14,13'::pg_snapshot;
SELECT '12:16:14;15'::txid_snapshot;
SELECT ''::pg_snapshot;
SELECT pg_snapshot '1:9223372036854775807:3';
SELECT pg_snapshot '1:9223372036854775808:3';
SELECT pg_snapshot '1:9223372036854775809:3', pg_snapshot '1:99999999999999999999:';
SELECT pg_snapshot_xmax('1:18446744073709551615:3'), txid_snapshot_xmax('1:18446744073709551615:3');
CREATE TABLE snapshot_test (nr integer, snap pg_snapshot, old txid_snapshot);
INSERT INTO snapshot_test VALUES (1, '12:13:', '12:13:'), (2, '12:20:13,15,18', '12:20:13,15,18'),
  (3, '100001:100009:100005,100007,100008', '100001:100009:100005,100007,100008');
INSERT INTO snapshot_test SELECT 4, s::pg_snapshot, s::txid_snapshot FROM (SELECT '100:900:' || string_agg(g::text, ',') AS s FROM generate_series(101, 800) g) x;
SELECT nr, length(snap::text) FROM snapshot_test ORDER BY nr;
SELECT nr, snap FROM snapshot_test WHERE nr < 4 ORDER BY nr;
SELECT pg_snapshot_xmin(snap), pg_snapshot_xmax(snap), pg_snapshot_xip(snap) FROM snapshot_test WHERE nr < 4 ORDER BY nr;
SELECT txid_snapshot_xmin(old), txid_snapshot_xmax(old), count(*) FROM snapshot_test, txid_snapshot_xip(old) GROUP BY old::text, 1, 2 ORDER BY 1;
SELECT id, pg_visible_in_snapshot(id::text::xid8, snap) FROM snapshot_test, generate_series(11, 21) id WHERE nr = 2;
SELECT sum(id) FILTER (WHERE txid_visible_in_snapshot(id, old)) FROM snapshot_test, generate_series(90, 910) id WHERE nr = 4;
SELECT pg_snapshot_xmin(pg_current_snapshot()) <= pg_snapshot_xmax(pg_current_snapshot());
SELECT pg_visible_in_snapshot(pg_current_xact_id(), pg_current_snapshot());
SELECT txid_visible_in_snapshot(txid_current() + 100000, txid_current_snapshot());
DROP TABLE snapshot_test;
