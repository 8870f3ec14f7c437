/** What a running statement is called in logs and process titles (CreateCommandTag, utility.c). */
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { selectsInto } from '@pgtroupe/parser/selectinto';
import { commandTag, objectWords } from './commandtag.ts';

type Tag = string | ((stmt: RawNode) => string);

const TRANSACTION_KINDS: Readonly<Record<string, string>> = {
  TRANS_STMT_BEGIN: 'BEGIN',
  TRANS_STMT_START: 'START TRANSACTION',
  TRANS_STMT_COMMIT: 'COMMIT',
  TRANS_STMT_ROLLBACK: 'ROLLBACK',
  TRANS_STMT_ROLLBACK_TO: 'ROLLBACK',
  TRANS_STMT_SAVEPOINT: 'SAVEPOINT',
  TRANS_STMT_RELEASE: 'RELEASE',
  TRANS_STMT_PREPARE: 'PREPARE TRANSACTION',
  TRANS_STMT_COMMIT_PREPARED: 'COMMIT PREPARED',
  TRANS_STMT_ROLLBACK_PREPARED: 'ROLLBACK PREPARED',
};

const alter = (object: string): string => `ALTER ${objectWords(object)}`;

const TAGS: Readonly<Record<string, Tag>> = {
  AlterDatabaseSetStmt: 'ALTER DATABASE',
  AlterEnumStmt: 'ALTER TYPE',
  AlterObjectSchemaStmt: stmt => alter(String(stmt['objectType'])),
  AlterOwnerStmt: stmt => alter(String(stmt['objectType'])),
  AlterRoleSetStmt: 'ALTER ROLE',
  AlterRoleStmt: 'ALTER ROLE',
  AlterSeqStmt: 'ALTER SEQUENCE',
  AlterTableStmt: stmt => alter(String(stmt['objtype'])),
  CheckPointStmt: 'CHECKPOINT',
  CommentStmt: 'COMMENT',
  CompositeTypeStmt: 'CREATE TYPE',
  CopyStmt: 'COPY',
  CreateDomainStmt: 'CREATE DOMAIN',
  CreateEnumStmt: 'CREATE TYPE',
  CreateRangeStmt: 'CREATE TYPE',
  CreateRoleStmt: 'CREATE ROLE',
  CreateSchemaStmt: 'CREATE SCHEMA',
  CreateSeqStmt: 'CREATE SEQUENCE',
  CreateStmt: 'CREATE TABLE',
  DeallocateStmt: stmt => (stmt['name'] === undefined ? 'DEALLOCATE ALL' : 'DEALLOCATE'),
  DeleteStmt: 'DELETE',
  DiscardStmt: stmt => `DISCARD ${String(stmt['target']).replace('DISCARD_', '')}`,
  DropRoleStmt: 'DROP ROLE',
  DropStmt: stmt => `DROP ${objectWords(String(stmt['removeType']))}`,
  ExplainStmt: 'EXPLAIN',
  GrantRoleStmt: stmt => (stmt['is_grant'] === true ? 'GRANT ROLE' : 'REVOKE ROLE'),
  GrantStmt: stmt => (stmt['is_grant'] === true ? 'GRANT' : 'REVOKE'),
  IndexStmt: 'CREATE INDEX',
  InsertStmt: 'INSERT',
  LockStmt: 'LOCK TABLE',
  PrepareStmt: 'PREPARE',
  RenameStmt: stmt => alter(String(stmt['renameType'] === 'OBJECT_COLUMN' ? stmt['relationType'] : stmt['renameType'])),
  SelectStmt: stmt => (selectsInto(stmt) ? 'SELECT INTO' : 'SELECT'),
  TransactionStmt: stmt => TRANSACTION_KINDS[String(stmt['kind'])] ?? 'BEGIN',
  TruncateStmt: 'TRUNCATE TABLE',
  UpdateStmt: 'UPDATE',
  VacuumStmt: stmt => (stmt['is_vacuumcmd'] === true ? 'VACUUM' : 'ANALYZE'),
  VariableSetStmt: stmt => (String(stmt['kind']).startsWith('VAR_RESET') ? 'RESET' : 'SET'),
  VariableShowStmt: 'SHOW',
  ViewStmt: 'CREATE VIEW',
};

export function activityTag(stmt: RawNode): string {
  const tag = TAGS[stmt.type] ?? commandTag(stmt);
  return typeof tag === 'string' ? tag : tag(stmt);
}
