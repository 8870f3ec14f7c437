/**
 * pg_type facts of the types PostgreSQL is born with, so that arrays of them need no catalog.
 * Taken from PostgreSQL 15's pg_type, pg_opclass and pg_amproc; array types are derived.
 *
 * oid name len byval align typtype category delim elem array in out recv send typmodout collation isArray cmp eq hash
 */
import { PG_CATALOG_NAMESPACE } from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import type { Oid } from '@pgtroupe/common/ids';
import type { TypeFacts } from './functioncatalog.ts';

const LINES = [
  '16 bool 1 t c b B , 0 1000 boolin boolout boolrecv boolsend - 0 f btboolcmp booleq hashchar',
  '17 bytea -1 f i b U , 0 1001 byteain byteaout bytearecv byteasend - 0 f byteacmp byteaeq hashvarlena',
  '18 char 1 t c b Z , 0 1002 charin charout charrecv charsend - 0 f btcharcmp chareq hashchar',
  '19 name 64 f c b S , 18 1003 namein nameout namerecv namesend - 950 f btnamecmp nameeq hashname',
  '20 int8 8 t d b N , 0 1016 int8in int8out int8recv int8send - 0 f btint8cmp int8eq hashint8',
  '21 int2 2 t s b N , 0 1005 int2in int2out int2recv int2send - 0 f btint2cmp int2eq hashint2',
  '22 int2vector -1 f i b A , 21 1006 int2vectorin int2vectorout int2vectorrecv int2vectorsend - 0 t - - -',
  '23 int4 4 t i b N , 0 1007 int4in int4out int4recv int4send - 0 f btint4cmp int4eq hashint4',
  '24 regproc 4 t i b N , 0 1008 regprocin regprocout regprocrecv regprocsend - 0 f btoidcmp oideq hashoid',
  '25 text -1 f i b S , 0 1009 textin textout textrecv textsend - 100 f bttextcmp texteq hashtext',
  '26 oid 4 t i b N , 0 1028 oidin oidout oidrecv oidsend - 0 f btoidcmp oideq hashoid',
  '27 tid 6 f s b U , 0 1010 tidin tidout tidrecv tidsend - 0 f bttidcmp tideq hashtid',
  '28 xid 4 t i b U , 0 1011 xidin xidout xidrecv xidsend - 0 f - xideq hashint4',
  '29 cid 4 t i b U , 0 1012 cidin cidout cidrecv cidsend - 0 f - cideq hashint4',
  '30 oidvector -1 f i b A , 26 1013 oidvectorin oidvectorout oidvectorrecv oidvectorsend - 0 t btoidvectorcmp oidvectoreq hashoidvector',
  '32 pg_ddl_command 8 t d p P , 0 0 pg_ddl_command_in pg_ddl_command_out pg_ddl_command_recv pg_ddl_command_send - 0 f - - -',
  '114 json -1 f i b U , 0 199 json_in json_out json_recv json_send - 0 f - - -',
  '142 xml -1 f i b U , 0 143 xml_in xml_out xml_recv xml_send - 0 f - - -',
  '194 pg_node_tree -1 f i b Z , 0 0 pg_node_tree_in pg_node_tree_out pg_node_tree_recv pg_node_tree_send - 100 f - - -',
  '269 table_am_handler 4 t i p P , 0 0 table_am_handler_in table_am_handler_out - - - 0 f - - -',
  '325 index_am_handler 4 t i p P , 0 0 index_am_handler_in index_am_handler_out - - - 0 f - - -',
  '600 point 16 f d b G , 701 1017 point_in point_out point_recv point_send - 0 f - - -',
  '601 lseg 32 f d b G , 600 1018 lseg_in lseg_out lseg_recv lseg_send - 0 f - - -',
  '602 path -1 f d b G , 0 1019 path_in path_out path_recv path_send - 0 f - - -',
  '603 box 32 f d b G ; 600 1020 box_in box_out box_recv box_send - 0 f - - -',
  '604 polygon -1 f d b G , 0 1027 poly_in poly_out poly_recv poly_send - 0 f - - -',
  '628 line 24 f d b G , 701 629 line_in line_out line_recv line_send - 0 f - - -',
  '650 cidr -1 f i b I , 0 651 cidr_in cidr_out cidr_recv cidr_send - 0 f network_cmp network_eq hashinet',
  '700 float4 4 t i b N , 0 1021 float4in float4out float4recv float4send - 0 f btfloat4cmp float4eq hashfloat4',
  '701 float8 8 t d b N , 0 1022 float8in float8out float8recv float8send - 0 f btfloat8cmp float8eq hashfloat8',
  '705 unknown -2 f c p X , 0 0 unknownin unknownout unknownrecv unknownsend - 0 f - - -',
  '718 circle 24 f d b G , 0 719 circle_in circle_out circle_recv circle_send - 0 f - - -',
  '774 macaddr8 8 f i b U , 0 775 macaddr8_in macaddr8_out macaddr8_recv macaddr8_send - 0 f macaddr8_cmp macaddr8_eq hashmacaddr8',
  '790 money 8 t d b N , 0 791 cash_in cash_out cash_recv cash_send - 0 f cash_cmp cash_eq -',
  '829 macaddr 6 f i b U , 0 1040 macaddr_in macaddr_out macaddr_recv macaddr_send - 0 f macaddr_cmp macaddr_eq hashmacaddr',
  '869 inet -1 f i b I , 0 1041 inet_in inet_out inet_recv inet_send - 0 f network_cmp network_eq hashinet',
  '1033 aclitem 12 f i b U , 0 1034 aclitemin aclitemout - - - 0 f - aclitem_eq hash_aclitem',
  '1042 bpchar -1 f i b S , 0 1014 bpcharin bpcharout bpcharrecv bpcharsend bpchartypmodout 100 f bpcharcmp bpchareq hashbpchar',
  '1043 varchar -1 f i b S , 0 1015 varcharin varcharout varcharrecv varcharsend varchartypmodout 100 f bttextcmp texteq hashtext',
  '1082 date 4 t i b D , 0 1182 date_in date_out date_recv date_send - 0 f date_cmp date_eq hashint4',
  '1083 time 8 t d b D , 0 1183 time_in time_out time_recv time_send timetypmodout 0 f time_cmp time_eq time_hash',
  '1114 timestamp 8 t d b D , 0 1115 timestamp_in timestamp_out timestamp_recv timestamp_send timestamptypmodout 0 f timestamp_cmp timestamp_eq timestamp_hash',
  '1184 timestamptz 8 t d b D , 0 1185 timestamptz_in timestamptz_out timestamptz_recv timestamptz_send timestamptztypmodout 0 f timestamp_cmp timestamp_eq timestamp_hash',
  '1186 interval 16 f d b T , 0 1187 interval_in interval_out interval_recv interval_send intervaltypmodout 0 f interval_cmp interval_eq interval_hash',
  '1263 _cstring -1 f i b A , 2275 0 array_in array_out array_recv array_send - 0 t - - -',
  '1266 timetz 12 f d b D , 0 1270 timetz_in timetz_out timetz_recv timetz_send timetztypmodout 0 f timetz_cmp timetz_eq timetz_hash',
  '1560 bit -1 f i b V , 0 1561 bit_in bit_out bit_recv bit_send bittypmodout 0 f bitcmp biteq -',
  '1562 varbit -1 f i b V , 0 1563 varbit_in varbit_out varbit_recv varbit_send varbittypmodout 0 f bitcmp biteq -',
  '1700 numeric -1 f i b N , 0 1231 numeric_in numeric_out numeric_recv numeric_send numerictypmodout 0 f numeric_cmp numeric_eq hash_numeric',
  '1790 refcursor -1 f i b U , 0 2201 textin textout textrecv textsend - 0 f - - -',
  '2202 regprocedure 4 t i b N , 0 2207 regprocedurein regprocedureout regprocedurerecv regproceduresend - 0 f btoidcmp oideq hashoid',
  '2203 regoper 4 t i b N , 0 2208 regoperin regoperout regoperrecv regopersend - 0 f btoidcmp oideq hashoid',
  '2204 regoperator 4 t i b N , 0 2209 regoperatorin regoperatorout regoperatorrecv regoperatorsend - 0 f btoidcmp oideq hashoid',
  '2205 regclass 4 t i b N , 0 2210 regclassin regclassout regclassrecv regclasssend - 0 f btoidcmp oideq hashoid',
  '2206 regtype 4 t i b N , 0 2211 regtypein regtypeout regtyperecv regtypesend - 0 f btoidcmp oideq hashoid',
  '2249 record -1 f d p P , 0 2287 record_in record_out record_recv record_send - 0 f btrecordcmp record_eq hash_record',
  '2275 cstring -2 f c p P , 0 1263 cstring_in cstring_out cstring_recv cstring_send - 0 f - - -',
  '2276 any 4 t i p P , 0 0 any_in any_out - - - 0 f - - -',
  '2277 anyarray -1 f d p P , 0 0 anyarray_in anyarray_out anyarray_recv anyarray_send - 0 f btarraycmp array_eq hash_array',
  '2278 void 4 t i p P , 0 0 void_in void_out void_recv void_send - 0 f - - -',
  '2279 trigger 4 t i p P , 0 0 trigger_in trigger_out - - - 0 f - - -',
  '2280 language_handler 4 t i p P , 0 0 language_handler_in language_handler_out - - - 0 f - - -',
  '2281 internal 8 t d p P , 0 0 internal_in internal_out - - - 0 f - - -',
  '2283 anyelement 4 t i p P , 0 0 anyelement_in anyelement_out - - - 0 f - - -',
  '2287 _record -1 f d p P , 2249 0 array_in array_out array_recv array_send - 0 t - - -',
  '2776 anynonarray 4 t i p P , 0 0 anynonarray_in anynonarray_out - - - 0 f - - -',
  '2950 uuid 16 f c b U , 0 2951 uuid_in uuid_out uuid_recv uuid_send - 0 f uuid_cmp uuid_eq uuid_hash',
  '2970 txid_snapshot -1 f d b U , 0 2949 pg_snapshot_in pg_snapshot_out pg_snapshot_recv pg_snapshot_send - 0 f - - -',
  '3115 fdw_handler 4 t i p P , 0 0 fdw_handler_in fdw_handler_out - - - 0 f - - -',
  '3220 pg_lsn 8 t d b U , 0 3221 pg_lsn_in pg_lsn_out pg_lsn_recv pg_lsn_send - 0 f pg_lsn_cmp pg_lsn_eq pg_lsn_hash',
  '3310 tsm_handler 4 t i p P , 0 0 tsm_handler_in tsm_handler_out - - - 0 f - - -',
  '3361 pg_ndistinct -1 f i b Z , 0 0 pg_ndistinct_in pg_ndistinct_out pg_ndistinct_recv pg_ndistinct_send - 100 f - - -',
  '3402 pg_dependencies -1 f i b Z , 0 0 pg_dependencies_in pg_dependencies_out pg_dependencies_recv pg_dependencies_send - 100 f - - -',
  '3500 anyenum 4 t i p P , 0 0 anyenum_in anyenum_out - - - 0 f enum_cmp enum_eq hashenum',
  '3614 tsvector -1 f i b U , 0 3643 tsvectorin tsvectorout tsvectorrecv tsvectorsend - 0 f tsvector_cmp tsvector_eq -',
  '3615 tsquery -1 f i b U , 0 3645 tsqueryin tsqueryout tsqueryrecv tsquerysend - 0 f tsquery_cmp tsquery_eq -',
  '3642 gtsvector -1 f i b U , 0 3644 gtsvectorin gtsvectorout - - - 0 f - - -',
  '3734 regconfig 4 t i b N , 0 3735 regconfigin regconfigout regconfigrecv regconfigsend - 0 f btoidcmp oideq hashoid',
  '3769 regdictionary 4 t i b N , 0 3770 regdictionaryin regdictionaryout regdictionaryrecv regdictionarysend - 0 f btoidcmp oideq hashoid',
  '3802 jsonb -1 f i b U , 0 3807 jsonb_in jsonb_out jsonb_recv jsonb_send - 0 f jsonb_cmp jsonb_eq jsonb_hash',
  '3831 anyrange -1 f d p P , 0 0 anyrange_in anyrange_out - - - 0 f range_cmp range_eq hash_range',
  '3838 event_trigger 4 t i p P , 0 0 event_trigger_in event_trigger_out - - - 0 f - - -',
  '3904 int4range -1 f i r R , 0 3905 range_in range_out range_recv range_send - 0 f range_cmp range_eq hash_range',
  '3906 numrange -1 f i r R , 0 3907 range_in range_out range_recv range_send - 0 f range_cmp range_eq hash_range',
  '3908 tsrange -1 f d r R , 0 3909 range_in range_out range_recv range_send - 0 f range_cmp range_eq hash_range',
  '3910 tstzrange -1 f d r R , 0 3911 range_in range_out range_recv range_send - 0 f range_cmp range_eq hash_range',
  '3912 daterange -1 f i r R , 0 3913 range_in range_out range_recv range_send - 0 f range_cmp range_eq hash_range',
  '3926 int8range -1 f d r R , 0 3927 range_in range_out range_recv range_send - 0 f range_cmp range_eq hash_range',
  '4072 jsonpath -1 f i b U , 0 4073 jsonpath_in jsonpath_out jsonpath_recv jsonpath_send - 0 f - - -',
  '4089 regnamespace 4 t i b N , 0 4090 regnamespacein regnamespaceout regnamespacerecv regnamespacesend - 0 f btoidcmp oideq hashoid',
  '4096 regrole 4 t i b N , 0 4097 regrolein regroleout regrolerecv regrolesend - 0 f btoidcmp oideq hashoid',
  '4191 regcollation 4 t i b N , 0 4192 regcollationin regcollationout regcollationrecv regcollationsend - 0 f btoidcmp oideq hashoid',
  '4451 int4multirange -1 f i m R , 0 6150 multirange_in multirange_out multirange_recv multirange_send - 0 f multirange_cmp multirange_eq hash_multirange',
  '4532 nummultirange -1 f i m R , 0 6151 multirange_in multirange_out multirange_recv multirange_send - 0 f multirange_cmp multirange_eq hash_multirange',
  '4533 tsmultirange -1 f d m R , 0 6152 multirange_in multirange_out multirange_recv multirange_send - 0 f multirange_cmp multirange_eq hash_multirange',
  '4534 tstzmultirange -1 f d m R , 0 6153 multirange_in multirange_out multirange_recv multirange_send - 0 f multirange_cmp multirange_eq hash_multirange',
  '4535 datemultirange -1 f i m R , 0 6155 multirange_in multirange_out multirange_recv multirange_send - 0 f multirange_cmp multirange_eq hash_multirange',
  '4536 int8multirange -1 f d m R , 0 6157 multirange_in multirange_out multirange_recv multirange_send - 0 f multirange_cmp multirange_eq hash_multirange',
  '4537 anymultirange -1 f d p P , 0 0 anymultirange_in anymultirange_out - - - 0 f multirange_cmp multirange_eq hash_multirange',
  '4538 anycompatiblemultirange -1 f d p P , 0 0 anycompatiblemultirange_in anycompatiblemultirange_out - - - 0 f - - -',
  '4600 pg_brin_bloom_summary -1 f i b Z , 0 0 brin_bloom_summary_in brin_bloom_summary_out brin_bloom_summary_recv brin_bloom_summary_send - 100 f - - -',
  '4601 pg_brin_minmax_multi_summary -1 f i b Z , 0 0 brin_minmax_multi_summary_in brin_minmax_multi_summary_out brin_minmax_multi_summary_recv brin_minmax_multi_summary_send - 100 f - - -',
  '5017 pg_mcv_list -1 f i b Z , 0 0 pg_mcv_list_in pg_mcv_list_out pg_mcv_list_recv pg_mcv_list_send - 100 f - - -',
  '5038 pg_snapshot -1 f d b U , 0 5039 pg_snapshot_in pg_snapshot_out pg_snapshot_recv pg_snapshot_send - 0 f - - -',
  '5069 xid8 8 t d b U , 0 271 xid8in xid8out xid8recv xid8send - 0 f xid8cmp xid8eq hashint8',
  '5077 anycompatible 4 t i p P , 0 0 anycompatible_in anycompatible_out - - - 0 f - - -',
  '5078 anycompatiblearray -1 f d p P , 0 0 anycompatiblearray_in anycompatiblearray_out anycompatiblearray_recv anycompatiblearray_send - 0 f - - -',
  '5079 anycompatiblenonarray 4 t i p P , 0 0 anycompatiblenonarray_in anycompatiblenonarray_out - - - 0 f - - -',
  '5080 anycompatiblerange -1 f d p P , 0 0 anycompatiblerange_in anycompatiblerange_out - - - 0 f - - -',
];

function align(code: string): TypeFacts['typalign'] {
  assert(code === 'c' || code === 's' || code === 'i' || code === 'd', `alignment ${code}`);
  return code;
}

function parseLine(line: string): TypeFacts {
  const f = line.split(' ').map(word => (word === '-' ? '' : word));
  return {
    oid: Number(f[0]) as Oid,
    typname: f[1],
    typnamespace: PG_CATALOG_NAMESPACE,
    typlen: Number(f[2]),
    typbyval: f[3] === 't',
    typalign: align(f[4]),
    typtype: f[5],
    typcategory: f[6],
    typdelim: line.includes(' ; ') ? ';' : ',',
    typrelid: 0 as Oid,
    typelem: Number(f[8]) as Oid,
    typarray: Number(f[9]) as Oid,
    typinput: f[10],
    typoutput: f[11],
    typreceive: f[12],
    typsend: f[13],
    typmodout: f[14],
    typbasetype: 0 as Oid,
    typtypmod: -1,
    typcollation: Number(f[15]) as Oid,
    isArray: f[16] === 't',
    cmp: f[17],
    eq: f[18],
    hash: f[19],
  };
}

function arrayOf(element: TypeFacts): TypeFacts {
  return {
    ...element,
    oid: element.typarray,
    typname: `_${element.typname}`,
    typlen: -1,
    typbyval: false,
    typalign: element.typalign === 'd' ? 'd' : 'i',
    typtype: 'b',
    typcategory: 'A',
    typelem: element.oid,
    typarray: 0 as Oid,
    typinput: 'array_in',
    typoutput: 'array_out',
    typreceive: 'array_recv',
    typsend: 'array_send',
    isArray: true,
    cmp: 'btarraycmp',
    eq: 'array_eq',
    hash: 'hash_array',
  };
}

let byOid: Map<number, TypeFacts> | undefined;

export function builtinTypes(): ReadonlyMap<number, TypeFacts> {
  if (byOid) return byOid;
  byOid = new Map();
  for (const line of LINES) {
    const type = parseLine(line);
    if (type.typarray !== 0) byOid.set(type.typarray, arrayOf(type));
  }
  for (const line of LINES) {
    const type = parseLine(line);
    byOid.set(type.oid, type);
  }
  return byOid;
}
