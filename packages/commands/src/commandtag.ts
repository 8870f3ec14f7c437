/**
 * What statements and their parts are called: PostgreSQL's command tags (cmdtaglist.h) and the words of its grammar, for 0A000 and whoever
 * else must name what was written.
 */
import type { RawNode } from '@pgtroupe/nodes/rawnodes';

const OBJECT_WORDS: Readonly<Record<string, string>> = {
  OBJECT_FDW: 'FOREIGN DATA WRAPPER',
  OBJECT_FOREIGN_SERVER: 'SERVER',
  OBJECT_MATVIEW: 'MATERIALIZED VIEW',
  OBJECT_OPCLASS: 'OPERATOR CLASS',
  OBJECT_OPFAMILY: 'OPERATOR FAMILY',
  OBJECT_STATISTIC_EXT: 'STATISTICS',
  OBJECT_TSCONFIGURATION: 'TEXT SEARCH CONFIGURATION',
  OBJECT_TSDICTIONARY: 'TEXT SEARCH DICTIONARY',
  OBJECT_TSPARSER: 'TEXT SEARCH PARSER',
  OBJECT_TSTEMPLATE: 'TEXT SEARCH TEMPLATE',
};

/** `OBJECT_MATVIEW` in the words of command tags. */
export function objectWords(object: string): string {
  return OBJECT_WORDS[object] ?? object.replace('OBJECT_', '').replaceAll('_', ' ');
}

type Tag = string | ((stmt: RawNode) => string);
const alter = (stmt: RawNode): string => `ALTER ${objectWords(stmt.objectType ?? stmt.objtype)}`;

/** Statements that are not there yet. */
const TAGS: Readonly<Record<string, Tag>> = {
  AlterCollationStmt: 'ALTER COLLATION',
  AlterDatabaseRefreshCollStmt: 'ALTER DATABASE',
  AlterDatabaseStmt: 'ALTER DATABASE',
  AlterDefaultPrivilegesStmt: 'ALTER DEFAULT PRIVILEGES',
  AlterDomainStmt: 'ALTER DOMAIN',
  AlterEventTrigStmt: 'ALTER EVENT TRIGGER',
  AlterExtensionContentsStmt: 'ALTER EXTENSION',
  AlterExtensionStmt: 'ALTER EXTENSION',
  AlterFdwStmt: 'ALTER FOREIGN DATA WRAPPER',
  AlterForeignServerStmt: 'ALTER SERVER',
  AlterFunctionStmt: alter,
  AlterObjectDependsStmt: alter,
  AlterObjectSchemaStmt: stmt => `${alter(stmt)} SET SCHEMA`,
  AlterOpFamilyStmt: 'ALTER OPERATOR FAMILY',
  AlterOperatorStmt: 'ALTER OPERATOR',
  AlterOwnerStmt: stmt => `${alter(stmt)} OWNER`,
  AlterPolicyStmt: 'ALTER POLICY',
  AlterPublicationStmt: 'ALTER PUBLICATION',
  AlterStatsStmt: 'ALTER STATISTICS',
  AlterSubscriptionStmt: 'ALTER SUBSCRIPTION',
  AlterSystemStmt: 'ALTER SYSTEM',
  AlterTSConfigurationStmt: 'ALTER TEXT SEARCH CONFIGURATION',
  AlterTSDictionaryStmt: 'ALTER TEXT SEARCH DICTIONARY',
  AlterTableMoveAllStmt: stmt => `${alter(stmt)} ALL IN TABLESPACE`,
  AlterTableSpaceOptionsStmt: 'ALTER TABLESPACE',
  AlterTypeStmt: 'ALTER TYPE',
  AlterUserMappingStmt: 'ALTER USER MAPPING',
  CallStmt: 'CALL',
  ClosePortalStmt: 'CLOSE',
  ClusterStmt: 'CLUSTER',
  ConstraintsSetStmt: 'SET CONSTRAINTS',
  CreateAmStmt: 'CREATE ACCESS METHOD',
  CreateCastStmt: 'CREATE CAST',
  CreateConversionStmt: 'CREATE CONVERSION',
  CreateEventTrigStmt: 'CREATE EVENT TRIGGER',
  CreateExtensionStmt: 'CREATE EXTENSION',
  CreateFdwStmt: 'CREATE FOREIGN DATA WRAPPER',
  CreateForeignServerStmt: 'CREATE SERVER',
  CreateForeignTableStmt: 'CREATE FOREIGN TABLE',
  CreateFunctionStmt: stmt => (stmt['is_procedure'] ? 'CREATE PROCEDURE' : 'CREATE FUNCTION'),
  CreateOpClassStmt: 'CREATE OPERATOR CLASS',
  CreateOpFamilyStmt: 'CREATE OPERATOR FAMILY',
  CreatePLangStmt: 'CREATE LANGUAGE',
  CreatePolicyStmt: 'CREATE POLICY',
  CreatePublicationStmt: 'CREATE PUBLICATION',
  CreateRangeStmt: 'CREATE TYPE AS RANGE',
  CreateStatsStmt: 'CREATE STATISTICS',
  CreateSubscriptionStmt: 'CREATE SUBSCRIPTION',
  CreateTableAsStmt: stmt =>
    stmt.objtype === 'OBJECT_MATVIEW'
      ? 'CREATE MATERIALIZED VIEW'
      : stmt.is_select_into
        ? 'SELECT INTO'
        : 'CREATE TABLE AS',
  CreateTableSpaceStmt: 'CREATE TABLESPACE',
  CreateTransformStmt: 'CREATE TRANSFORM',
  CreateTrigStmt: 'CREATE TRIGGER',
  CreateUserMappingStmt: 'CREATE USER MAPPING',
  CreatedbStmt: 'CREATE DATABASE',
  DeclareCursorStmt: 'DECLARE CURSOR',
  DefineStmt: stmt => `CREATE ${objectWords(stmt['kind'] as string)}`,
  DoStmt: 'DO',
  DropOwnedStmt: 'DROP OWNED',
  DropSubscriptionStmt: 'DROP SUBSCRIPTION',
  DropTableSpaceStmt: 'DROP TABLESPACE',
  DropUserMappingStmt: 'DROP USER MAPPING',
  DropdbStmt: 'DROP DATABASE',
  ExecuteStmt: 'EXECUTE',
  FetchStmt: stmt => (stmt['ismove'] ? 'MOVE' : 'FETCH'),
  ImportForeignSchemaStmt: 'IMPORT FOREIGN SCHEMA',
  ListenStmt: 'LISTEN',
  LoadStmt: 'LOAD',
  MergeStmt: 'MERGE',
  NotifyStmt: 'NOTIFY',
  ReassignOwnedStmt: 'REASSIGN OWNED',
  RefreshMatViewStmt: 'REFRESH MATERIALIZED VIEW',
  ReindexStmt: 'REINDEX',
  RuleStmt: 'CREATE RULE',
  SecLabelStmt: 'SECURITY LABEL',
  UnlistenStmt: 'UNLISTEN',
};

/** A statement that is refused, by its name. */
export function commandTag(stmt: RawNode): string {
  const tag = TAGS[stmt.type] ?? stmt.type;
  return typeof tag === 'string' ? tag : tag(stmt);
}

/** Actions of ALTER TABLE that are not there yet, in the words of its grammar. */
const ALTER_TABLE_ACTIONS: Readonly<Record<string, string>> = {
  AT_AddIdentity: 'ALTER COLUMN ... ADD GENERATED AS IDENTITY',
  AT_AddInherit: 'INHERIT',
  AT_AddOf: 'OF',
  AT_AlterColumnGenericOptions: 'ALTER COLUMN ... OPTIONS',
  AT_AlterColumnType: 'ALTER COLUMN ... TYPE',
  AT_AlterConstraint: 'ALTER CONSTRAINT',
  AT_AttachPartition: 'ATTACH PARTITION',
  AT_ClusterOn: 'CLUSTER ON',
  AT_DetachPartition: 'DETACH PARTITION',
  AT_DetachPartitionFinalize: 'DETACH PARTITION ... FINALIZE',
  AT_DisableRowSecurity: 'DISABLE ROW SECURITY',
  AT_DisableRule: 'DISABLE RULE',
  AT_DisableTrig: 'DISABLE TRIGGER',
  AT_DisableTrigAll: 'DISABLE TRIGGER ALL',
  AT_DisableTrigUser: 'DISABLE TRIGGER USER',
  AT_DropCluster: 'SET WITHOUT CLUSTER',
  AT_DropExpression: 'ALTER COLUMN ... DROP EXPRESSION',
  AT_DropIdentity: 'ALTER COLUMN ... DROP IDENTITY',
  AT_DropInherit: 'NO INHERIT',
  AT_DropOf: 'NOT OF',
  AT_DropOids: 'SET WITHOUT OIDS',
  AT_EnableAlwaysRule: 'ENABLE ALWAYS RULE',
  AT_EnableAlwaysTrig: 'ENABLE ALWAYS TRIGGER',
  AT_EnableReplicaRule: 'ENABLE REPLICA RULE',
  AT_EnableReplicaTrig: 'ENABLE REPLICA TRIGGER',
  AT_EnableRowSecurity: 'ENABLE ROW SECURITY',
  AT_EnableRule: 'ENABLE RULE',
  AT_EnableTrig: 'ENABLE TRIGGER',
  AT_EnableTrigAll: 'ENABLE TRIGGER ALL',
  AT_EnableTrigUser: 'ENABLE TRIGGER USER',
  AT_ForceRowSecurity: 'FORCE ROW SECURITY',
  AT_GenericOptions: 'OPTIONS',
  AT_NoForceRowSecurity: 'NO FORCE ROW SECURITY',
  AT_ReplaceRelOptions: 'SET',
  AT_ReplicaIdentity: 'REPLICA IDENTITY',
  AT_ResetOptions: 'ALTER COLUMN ... RESET',
  AT_SetAccessMethod: 'SET ACCESS METHOD',
  AT_SetCompression: 'ALTER COLUMN ... SET COMPRESSION',
  AT_SetIdentity: 'ALTER COLUMN ... SET',
  AT_SetLogged: 'SET LOGGED',
  AT_SetOptions: 'ALTER COLUMN ... SET',
  AT_SetTableSpace: 'SET TABLESPACE',
  AT_SetUnLogged: 'SET UNLOGGED',
  AT_ValidateConstraint: 'VALIDATE CONSTRAINT',
};

/** `AT_AlterColumnType` in the words of ALTER TABLE. */
export function alterTableAction(subtype: string): string {
  return ALTER_TABLE_ACTIONS[subtype] ?? subtype;
}

/** Constraints that are not there yet. */
export function constraintWords({ contype }: RawNode): string {
  return contype === 'CONSTR_EXCLUSION' ? 'EXCLUDE' : String(contype).replace('CONSTR_', '').replaceAll('_', ' ');
}
