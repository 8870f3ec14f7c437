/**
 * Data definition commands by their parse tree.
 */
import { notSupported } from '@pgtroupe/common/ereport';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { alterTable } from './altertable.ts';
import type { CommandContext } from './command-context.ts';
import { commandTag, objectWords } from './commandtag.ts';
import { commentObject } from './comment.ts';
import { alterDatabaseSet, alterRoleSet } from './dbrolesetting.ts';
import { executeDrop } from './dropcmds.ts';
import { alterExtension, createExtension } from './extension.ts';
import { grantObjects } from './grant.ts';
import { defineIndex } from './indexcmds.ts';
import { alterSequence, defineSequence } from './sequence.ts';
import { renameObject } from './renamecmds.ts';
import { createSchema } from './schemacmds.ts';
import { alterEnum, defineCompositeType, defineDomain, defineEnum } from './typecmds.ts';
import { alterRole, createRole, dropRole, grantRole } from './user.ts';
import { defineView } from './view.ts';
import { defineRelation, executeTruncate } from './tablecmds.ts';

type Command = (context: CommandContext, stmt: RawNode) => Promise<unknown>;

const COMMANDS: Readonly<Record<string, readonly [tag: string | ((stmt: RawNode) => string), run: Command]>> = {
  CreateStmt: ['CREATE TABLE', defineRelation],
  IndexStmt: ['CREATE INDEX', defineIndex],
  CreateSchemaStmt: ['CREATE SCHEMA', createSchema],
  CreateExtensionStmt: ['CREATE EXTENSION', createExtension],
  AlterExtensionStmt: ['ALTER EXTENSION', alterExtension],
  ViewStmt: ['CREATE VIEW', defineView],
  TruncateStmt: ['TRUNCATE TABLE', executeTruncate],
  AlterTableStmt: [stmt => `ALTER ${objectWords(stmt.objtype)}`, alterTable],
  RenameStmt: [stmt => `ALTER ${renamed(stmt)}`, renameObject],
  CreateSeqStmt: ['CREATE SEQUENCE', defineSequence],
  AlterSeqStmt: ['ALTER SEQUENCE', alterSequence],
  CreateEnumStmt: ['CREATE TYPE', defineEnum],
  AlterEnumStmt: ['ALTER TYPE', alterEnum],
  CompositeTypeStmt: ['CREATE TYPE', defineCompositeType],
  CreateDomainStmt: ['CREATE DOMAIN', defineDomain],
  CommentStmt: ['COMMENT', commentObject],
  CreateRoleStmt: ['CREATE ROLE', createRole],
  AlterRoleStmt: ['ALTER ROLE', alterRole],
  AlterRoleSetStmt: ['ALTER ROLE', alterRoleSet],
  AlterDatabaseSetStmt: ['ALTER DATABASE', alterDatabaseSet],
  DropRoleStmt: ['DROP ROLE', dropRole],
  GrantRoleStmt: [stmt => (stmt.is_grant ? 'GRANT ROLE' : 'REVOKE ROLE'), grantRole],
  GrantStmt: [stmt => (stmt.is_grant ? 'GRANT' : 'REVOKE'), grantObjects],
  DropStmt: [stmt => `DROP ${objectWords(stmt.removeType)}`, executeDrop],
};

/** Renaming a part is altering the whole. */
function renamed(stmt: RawNode): string {
  if (stmt.renameType === 'OBJECT_COLUMN' || stmt.renameType === 'OBJECT_ATTRIBUTE')
    return objectWords(stmt.relationType);
  if (stmt.renameType === 'OBJECT_DOMCONSTRAINT') return 'DOMAIN';
  return stmt.renameType === 'OBJECT_TABCONSTRAINT' ? 'TABLE' : objectWords(stmt.renameType);
}

export function isDefinitionCommand(stmt: RawNode): boolean {
  return stmt.type in COMMANDS;
}

/** The command's tag, as CommandComplete carries it. */
export function definitionCommandTag(stmt: RawNode): string {
  const tag = COMMANDS[stmt.type]?.[0];
  if (tag === undefined) throw notSupported(commandTag(stmt));
  return typeof tag === 'string' ? tag : tag(stmt);
}

/** Runs the command; afterwards `context.w.invals` is what others must forget at commit. */
export async function runDefinitionCommand(context: CommandContext, stmt: RawNode): Promise<void> {
  const command = COMMANDS[stmt.type];
  if (command === undefined) throw notSupported(commandTag(stmt));
  await command[1](context, stmt);
  context.w.commandCounterIncrement();
}
