/**
 * PostgreSQL's system caches by name: each is a unique index of a catalog, whose columns are the key.
 * Lists (`searchList`) may use a prefix of any of them, and of the further indexes at the end.
 */
import type { Oid } from '@pgtroupe/common/ids';
import { assert } from '@pgtroupe/common/assert';
import type { Catalog, CatalogIndex, CatalogRow } from './catalog.ts';
import { AggregateFnoidIndexId, pgAggregate } from './catalogs/pg_aggregate.ts';
import { AmNameIndexId, AmOidIndexId, pgAm } from './catalogs/pg_am.ts';
import { AccessMethodOperatorIndexId, AccessMethodStrategyIndexId, pgAmop } from './catalogs/pg_amop.ts';
import { AccessMethodProcedureIndexId, pgAmproc } from './catalogs/pg_amproc.ts';
import { AttributeRelidNameIndexId, AttributeRelidNumIndexId, pgAttribute } from './catalogs/pg_attribute.ts';
import { AuthMemMemRoleIndexId, AuthMemRoleMemIndexId, pgAuthMembers } from './catalogs/pg_auth_members.ts';
import { AuthIdOidIndexId, AuthIdRolnameIndexId, pgAuthid } from './catalogs/pg_authid.ts';
import { ClassNameNspIndexId, ClassOidIndexId, pgClass } from './catalogs/pg_class.ts';
import { CastSourceTargetIndexId, pgCast } from './catalogs/pg_cast.ts';
import { CollationNameEncNspIndexId, CollationOidIndexId, pgCollation } from './catalogs/pg_collation.ts';
import { ConstraintOidIndexId, ConstraintRelidTypidNameIndexId, pgConstraint } from './catalogs/pg_constraint.ts';
import {
  ConversionDefaultIndexId,
  ConversionNameNspIndexId,
  ConversionOidIndexId,
  pgConversion,
} from './catalogs/pg_conversion.ts';
import { DatabaseNameIndexId, DatabaseOidIndexId, pgDatabase } from './catalogs/pg_database.ts';
import { DefaultAclRoleNspObjIndexId, pgDefaultAcl } from './catalogs/pg_default_acl.ts';
import { EnumOidIndexId, EnumTypIdLabelIndexId, pgEnum } from './catalogs/pg_enum.ts';
import { EventTriggerNameIndexId, EventTriggerOidIndexId, pgEventTrigger } from './catalogs/pg_event_trigger.ts';
import { ExtensionNameIndexId, ExtensionOidIndexId, pgExtension } from './catalogs/pg_extension.ts';
import {
  ForeignDataWrapperNameIndexId,
  ForeignDataWrapperOidIndexId,
  pgForeignDataWrapper,
} from './catalogs/pg_foreign_data_wrapper.ts';
import { ForeignServerNameIndexId, ForeignServerOidIndexId, pgForeignServer } from './catalogs/pg_foreign_server.ts';
import { ForeignTableRelidIndexId, pgForeignTable } from './catalogs/pg_foreign_table.ts';
import { IndexIndrelidIndexId, IndexRelidIndexId, pgIndex } from './catalogs/pg_index.ts';
import { LanguageNameIndexId, LanguageOidIndexId, pgLanguage } from './catalogs/pg_language.ts';
import { NamespaceNameIndexId, NamespaceOidIndexId, pgNamespace } from './catalogs/pg_namespace.ts';
import { OpclassAmNameNspIndexId, OpclassOidIndexId, pgOpclass } from './catalogs/pg_opclass.ts';
import { OperatorNameNspIndexId, OperatorOidIndexId, pgOperator } from './catalogs/pg_operator.ts';
import { OpfamilyAmNameNspIndexId, OpfamilyOidIndexId, pgOpfamily } from './catalogs/pg_opfamily.ts';
import { ParameterAclOidIndexId, ParameterAclParnameIndexId, pgParameterAcl } from './catalogs/pg_parameter_acl.ts';
import { PartitionedRelidIndexId, pgPartitionedTable } from './catalogs/pg_partitioned_table.ts';
import { pgProc, ProcedureNameArgsNspIndexId, ProcedureOidIndexId } from './catalogs/pg_proc.ts';
import { pgPublication, PublicationNameIndexId, PublicationObjectIndexId } from './catalogs/pg_publication.ts';
import {
  pgPublicationNamespace,
  PublicationNamespaceObjectIndexId,
  PublicationNamespacePnnspidPnpubidIndexId,
} from './catalogs/pg_publication_namespace.ts';
import {
  pgPublicationRel,
  PublicationRelObjectIndexId,
  PublicationRelPrrelidPrpubidIndexId,
} from './catalogs/pg_publication_rel.ts';
import { pgRange, RangeMultirangeTypidIndexId, RangeTypidIndexId } from './catalogs/pg_range.ts';
import {
  pgReplicationOrigin,
  ReplicationOriginIdentIndex,
  ReplicationOriginNameIndex,
} from './catalogs/pg_replication_origin.ts';
import { pgRewrite, RewriteOidIndexId, RewriteRelRulenameIndexId } from './catalogs/pg_rewrite.ts';
import { pgSequence, SequenceRelidIndexId } from './catalogs/pg_sequence.ts';
import { pgStatistic, StatisticRelidAttnumInhIndexId } from './catalogs/pg_statistic.ts';
import { pgStatisticExt, StatisticExtNameIndexId, StatisticExtOidIndexId } from './catalogs/pg_statistic_ext.ts';
import { pgStatisticExtData, StatisticExtDataStxoidInhIndexId } from './catalogs/pg_statistic_ext_data.ts';
import { pgSubscription, SubscriptionNameIndexId, SubscriptionObjectIndexId } from './catalogs/pg_subscription.ts';
import { pgSubscriptionRel, SubscriptionRelSrrelidSrsubidIndexId } from './catalogs/pg_subscription_rel.ts';
import { pgTablespace, TablespaceNameIndexId, TablespaceOidIndexId } from './catalogs/pg_tablespace.ts';
import { pgTransform, TransformOidIndexId, TransformTypeLangIndexId } from './catalogs/pg_transform.ts';
import { pgTsConfig, TSConfigNameNspIndexId, TSConfigOidIndexId } from './catalogs/pg_ts_config.ts';
import { pgTsConfigMap, TSConfigMapIndexId } from './catalogs/pg_ts_config_map.ts';
import { pgTsDict, TSDictionaryNameNspIndexId, TSDictionaryOidIndexId } from './catalogs/pg_ts_dict.ts';
import { pgTsParser, TSParserNameNspIndexId, TSParserOidIndexId } from './catalogs/pg_ts_parser.ts';
import { pgTsTemplate, TSTemplateNameNspIndexId, TSTemplateOidIndexId } from './catalogs/pg_ts_template.ts';
import { pgType, TypeNameNspIndexId, TypeOidIndexId } from './catalogs/pg_type.ts';
import { pgUserMapping, UserMappingOidIndexId, UserMappingUserServerIndexId } from './catalogs/pg_user_mapping.ts';
import { AttrDefaultIndexId, AttrDefaultOidIndexId, pgAttrdef } from './catalogs/pg_attrdef.ts';
import { InheritsParentIndexId, InheritsRelidSeqnoIndexId, pgInherits } from './catalogs/pg_inherits.ts';
import { pgTrigger, TriggerOidIndexId, TriggerRelidNameIndexId } from './catalogs/pg_trigger.ts';
import { DependReferenceIndexId, pgDepend } from './catalogs/pg_depend.ts';
import { DescriptionObjIndexId, pgDescription } from './catalogs/pg_description.ts';
import { DbRoleSettingDatidRolidIndexId, pgDbRoleSetting } from './catalogs/pg_db_role_setting.ts';

export interface SysCache<Row extends CatalogRow = CatalogRow> {
  readonly catalog: Catalog<Row>;
  readonly index: CatalogIndex;
  /** Names of the key columns. */
  readonly key: readonly string[];
  /** The key is one number: looked up without forming a string. */
  readonly numeric: boolean;
}

/** What the catalog cache offers to those who only read; CatCache is one. */
export interface SysCacheReader {
  search<Row extends CatalogRow>(cache: SysCache<Row>, ...key: (number | string)[]): Row | null;
  searchList<Row extends CatalogRow>(cache: SysCache<Row>, ...prefix: (number | string)[]): readonly Row[];
}

const NUMERIC: ReadonlySet<string> = new Set(['oid', 'regproc', 'int2', 'int4', 'int8']);
const byIndex = new Map<Oid, SysCache>();
const byCatalog = new Map<Oid, readonly SysCache[]>();

function syscache<Row extends CatalogRow>(catalog: Catalog<Row>, indexOid: Oid): SysCache<Row> {
  const index = catalog.indexes.find(i => i.oid === indexOid);
  assert(index !== undefined, `${catalog.name} has no index ${indexOid}`);
  const columns = index.keys.map(attnum => catalog.columns[attnum - 1]!);
  const cache = {
    catalog,
    index,
    key: columns.map(c => c.name),
    numeric: columns.length === 1 && NUMERIC.has(columns[0]!.type),
  };
  byIndex.set(indexOid, cache);
  return cache;
}

/** The cache over an index; undefined when nothing is looked up by it. */
export function sysCacheOfIndex(indexOid: Oid): SysCache | undefined {
  return byIndex.get(indexOid);
}

/** The caches over a catalog's indexes. */
export function sysCachesOf(catalog: Catalog): readonly SysCache[] {
  let caches = byCatalog.get(catalog.oid);
  if (caches === undefined) {
    caches = catalog.indexes.flatMap(index => byIndex.get(index.oid) ?? []);
    byCatalog.set(catalog.oid, caches);
  }
  return caches;
}

export const AGGFNOID = syscache(pgAggregate, AggregateFnoidIndexId);
export const AMNAME = syscache(pgAm, AmNameIndexId);
export const AMOID = syscache(pgAm, AmOidIndexId);
export const AMOPOPID = syscache(pgAmop, AccessMethodOperatorIndexId);
export const AMOPSTRATEGY = syscache(pgAmop, AccessMethodStrategyIndexId);
export const AMPROCNUM = syscache(pgAmproc, AccessMethodProcedureIndexId);
export const ATTNAME = syscache(pgAttribute, AttributeRelidNameIndexId);
export const ATTNUM = syscache(pgAttribute, AttributeRelidNumIndexId);
export const AUTHMEMMEMROLE = syscache(pgAuthMembers, AuthMemMemRoleIndexId);
export const AUTHMEMROLEMEM = syscache(pgAuthMembers, AuthMemRoleMemIndexId);
export const AUTHNAME = syscache(pgAuthid, AuthIdRolnameIndexId);
export const AUTHOID = syscache(pgAuthid, AuthIdOidIndexId);
export const CASTSOURCETARGET = syscache(pgCast, CastSourceTargetIndexId);
export const CLAAMNAMENSP = syscache(pgOpclass, OpclassAmNameNspIndexId);
export const CLAOID = syscache(pgOpclass, OpclassOidIndexId);
export const COLLNAMEENCNSP = syscache(pgCollation, CollationNameEncNspIndexId);
export const COLLOID = syscache(pgCollation, CollationOidIndexId);
export const CONDEFAULT = syscache(pgConversion, ConversionDefaultIndexId);
export const CONNAMENSP = syscache(pgConversion, ConversionNameNspIndexId);
export const CONSTROID = syscache(pgConstraint, ConstraintOidIndexId);
export const CONVOID = syscache(pgConversion, ConversionOidIndexId);
export const DATABASEOID = syscache(pgDatabase, DatabaseOidIndexId);
export const DEFACLROLENSPOBJ = syscache(pgDefaultAcl, DefaultAclRoleNspObjIndexId);
export const ENUMOID = syscache(pgEnum, EnumOidIndexId);
export const ENUMTYPOIDNAME = syscache(pgEnum, EnumTypIdLabelIndexId);
export const EVENTTRIGGERNAME = syscache(pgEventTrigger, EventTriggerNameIndexId);
export const EVENTTRIGGEROID = syscache(pgEventTrigger, EventTriggerOidIndexId);
export const FOREIGNDATAWRAPPERNAME = syscache(pgForeignDataWrapper, ForeignDataWrapperNameIndexId);
export const FOREIGNDATAWRAPPEROID = syscache(pgForeignDataWrapper, ForeignDataWrapperOidIndexId);
export const FOREIGNSERVERNAME = syscache(pgForeignServer, ForeignServerNameIndexId);
export const FOREIGNSERVEROID = syscache(pgForeignServer, ForeignServerOidIndexId);
export const FOREIGNTABLEREL = syscache(pgForeignTable, ForeignTableRelidIndexId);
export const INDEXRELID = syscache(pgIndex, IndexRelidIndexId);
export const LANGNAME = syscache(pgLanguage, LanguageNameIndexId);
export const LANGOID = syscache(pgLanguage, LanguageOidIndexId);
export const NAMESPACENAME = syscache(pgNamespace, NamespaceNameIndexId);
export const NAMESPACEOID = syscache(pgNamespace, NamespaceOidIndexId);
export const OPERNAMENSP = syscache(pgOperator, OperatorNameNspIndexId);
export const OPEROID = syscache(pgOperator, OperatorOidIndexId);
export const OPFAMILYAMNAMENSP = syscache(pgOpfamily, OpfamilyAmNameNspIndexId);
export const OPFAMILYOID = syscache(pgOpfamily, OpfamilyOidIndexId);
export const PARAMETERACLNAME = syscache(pgParameterAcl, ParameterAclParnameIndexId);
export const PARAMETERACLOID = syscache(pgParameterAcl, ParameterAclOidIndexId);
export const PARTRELID = syscache(pgPartitionedTable, PartitionedRelidIndexId);
export const PROCNAMEARGSNSP = syscache(pgProc, ProcedureNameArgsNspIndexId);
export const PROCOID = syscache(pgProc, ProcedureOidIndexId);
export const PUBLICATIONNAME = syscache(pgPublication, PublicationNameIndexId);
export const PUBLICATIONNAMESPACE = syscache(pgPublicationNamespace, PublicationNamespaceObjectIndexId);
export const PUBLICATIONNAMESPACEMAP = syscache(pgPublicationNamespace, PublicationNamespacePnnspidPnpubidIndexId);
export const PUBLICATIONOID = syscache(pgPublication, PublicationObjectIndexId);
export const PUBLICATIONREL = syscache(pgPublicationRel, PublicationRelObjectIndexId);
export const PUBLICATIONRELMAP = syscache(pgPublicationRel, PublicationRelPrrelidPrpubidIndexId);
export const RANGEMULTIRANGE = syscache(pgRange, RangeMultirangeTypidIndexId);
export const RANGETYPE = syscache(pgRange, RangeTypidIndexId);
export const RELNAMENSP = syscache(pgClass, ClassNameNspIndexId);
export const RELOID = syscache(pgClass, ClassOidIndexId);
export const REPLORIGIDENT = syscache(pgReplicationOrigin, ReplicationOriginIdentIndex);
export const REPLORIGNAME = syscache(pgReplicationOrigin, ReplicationOriginNameIndex);
export const RULERELNAME = syscache(pgRewrite, RewriteRelRulenameIndexId);
export const SEQRELID = syscache(pgSequence, SequenceRelidIndexId);
export const STATEXTDATASTXOID = syscache(pgStatisticExtData, StatisticExtDataStxoidInhIndexId);
export const STATEXTNAMENSP = syscache(pgStatisticExt, StatisticExtNameIndexId);
export const STATEXTOID = syscache(pgStatisticExt, StatisticExtOidIndexId);
export const STATRELATTINH = syscache(pgStatistic, StatisticRelidAttnumInhIndexId);
export const SUBSCRIPTIONNAME = syscache(pgSubscription, SubscriptionNameIndexId);
export const SUBSCRIPTIONOID = syscache(pgSubscription, SubscriptionObjectIndexId);
export const SUBSCRIPTIONRELMAP = syscache(pgSubscriptionRel, SubscriptionRelSrrelidSrsubidIndexId);
export const TABLESPACEOID = syscache(pgTablespace, TablespaceOidIndexId);
export const TRFOID = syscache(pgTransform, TransformOidIndexId);
export const TRFTYPELANG = syscache(pgTransform, TransformTypeLangIndexId);
export const TSCONFIGMAP = syscache(pgTsConfigMap, TSConfigMapIndexId);
export const TSCONFIGNAMENSP = syscache(pgTsConfig, TSConfigNameNspIndexId);
export const TSCONFIGOID = syscache(pgTsConfig, TSConfigOidIndexId);
export const TSDICTNAMENSP = syscache(pgTsDict, TSDictionaryNameNspIndexId);
export const TSDICTOID = syscache(pgTsDict, TSDictionaryOidIndexId);
export const TSPARSERNAMENSP = syscache(pgTsParser, TSParserNameNspIndexId);
export const TSPARSEROID = syscache(pgTsParser, TSParserOidIndexId);
export const TSTEMPLATENAMENSP = syscache(pgTsTemplate, TSTemplateNameNspIndexId);
export const TSTEMPLATEOID = syscache(pgTsTemplate, TSTemplateOidIndexId);
export const TYPENAMENSP = syscache(pgType, TypeNameNspIndexId);
export const TYPEOID = syscache(pgType, TypeOidIndexId);
export const USERMAPPINGOID = syscache(pgUserMapping, UserMappingOidIndexId);
export const USERMAPPINGUSERSERVER = syscache(pgUserMapping, UserMappingUserServerIndexId);
export const EXTENSIONOID = syscache(pgExtension, ExtensionOidIndexId);

// ---- indexes that PostgreSQL reads without a system cache ------------------------------------------

export const ATTRDEFNUM = syscache(pgAttrdef, AttrDefaultIndexId);
export const ATTRDEFOID = syscache(pgAttrdef, AttrDefaultOidIndexId);
export const CONRELID = syscache(pgConstraint, ConstraintRelidTypidNameIndexId);
export const INDEXINDRELID = syscache(pgIndex, IndexIndrelidIndexId);
export const INHRELID = syscache(pgInherits, InheritsRelidSeqnoIndexId);
export const INHPARENT = syscache(pgInherits, InheritsParentIndexId);
export const RULEOID = syscache(pgRewrite, RewriteOidIndexId);
export const TRIGGEROID = syscache(pgTrigger, TriggerOidIndexId);
export const TRIGGERRELID = syscache(pgTrigger, TriggerRelidNameIndexId);
export const DATABASENAME = syscache(pgDatabase, DatabaseNameIndexId);
export const DESCRIPTIONOBJ = syscache(pgDescription, DescriptionObjIndexId);
export const DBROLESETTING = syscache(pgDbRoleSetting, DbRoleSettingDatidRolidIndexId);
/** What depends on an object (and column): class, object and sub-object referred to. */
export const DEPENDREFERENCE = syscache(pgDepend, DependReferenceIndexId);
export const EXTENSIONNAME = syscache(pgExtension, ExtensionNameIndexId);
export const TABLESPACENAME = syscache(pgTablespace, TablespaceNameIndexId);
