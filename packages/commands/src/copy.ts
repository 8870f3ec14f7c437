/**
 * COPY between a table (or a query) and the client.
 */
import { ACL_INSERT } from '@pgtroupe/catalog/acl';
import {
  ROLE_PG_EXECUTE_SERVER_PROGRAM,
  ROLE_PG_READ_SERVER_FILES,
  ROLE_PG_WRITE_SERVER_FILES,
} from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { INVALID_OID } from '@pgtroupe/common/ids';
import { FIRST_UNPINNED_OBJECT_ID } from '@pgtroupe/catalog/pinned';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { permissionDenied } from './permissions.ts';
import { type CopyOptions, copyOptions } from './copyoptions.ts';
import { preventIfReadOnly } from './read-only.ts';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { ACCESS_SHARE_LOCK, ROW_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { copyFrom } from './copyfrom.ts';
import { type CopySource, copyTo } from './copyto.ts';
import { openRangeVar } from './rangevar.ts';
import type { CommandRunner } from './command-runner.ts';

export async function copyStmt(runner: CommandRunner, raw: RawNode, text: string): Promise<string> {
  if (raw['filename'] !== undefined || raw['is_program'] === true) {
    await checkMayUseFiles(runner, raw);
    throw notSupported(raw['is_program'] === true ? 'COPY with a program' : 'COPY with a file on the server');
  }
  const options = copyOptions((raw['options'] as RawNode[] | undefined) ?? [], raw['is_from'] === true, text);
  if (raw['is_from'] !== true) return copyTo(runner, await copySource(runner, raw, options), options, text);
  if (raw['whereClause'] !== undefined) throw notSupported('COPY FROM with WHERE');
  const table = await openRangeVar(runner, raw['relation'] as RawNode, ROW_EXCLUSIVE_LOCK);
  if (table.rel.relkind !== 'r') {
    throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `cannot copy to ${relationKind(table)} "${table.name}"`);
  }
  const columns = columnNumbers(table, attributeNames(raw));
  const forced = {
    notNull: forcedColumns(table, columns, options.forceNotNull, 'FORCE_NOT_NULL'),
    null: forcedColumns(table, columns, options.forceNull, 'FORCE_NULL'),
  };
  await checkMayInsert(runner, table, columns);
  preventIfReadOnly(runner.session.block, 'COPY FROM');
  const tag = await copyFrom(runner, table, columns, { options, forced });
  if (table.oid < FIRST_UNPINNED_OBJECT_ID) await runner.analysis.catalogRowsChanged([table.oid], text);
  return tag;
}

async function checkMayInsert(
  { analysis, functions }: CommandRunner,
  table: RelationDesc,
  columns: readonly number[],
): Promise<void> {
  const use = { requiredPerms: ACL_INSERT, selected: [], inserted: columns.map(n => n + 1), updated: [] };
  if (await withCatalog(() => analysis.acl().relationUse(table.rel, functions.currentUserId, use))) return;
  throw permissionDenied(table.rel.relkind, table.name);
}

/** Files and programs of the server are for those who were given them. */
async function checkMayUseFiles({ analysis, functions }: CommandRunner, raw: RawNode): Promise<void> {
  const from = raw['is_from'] === true;
  const [role, name, what] =
    raw['is_program'] === true
      ? [ROLE_PG_EXECUTE_SERVER_PROGRAM, 'pg_execute_server_program', 'COPY to or from an external program']
      : from
        ? [ROLE_PG_READ_SERVER_FILES, 'pg_read_server_files', 'COPY from a file']
        : [ROLE_PG_WRITE_SERVER_FILES, 'pg_write_server_files', 'COPY to a file'];
  if (await withCatalog(() => analysis.acl().hasPrivsOfRole(functions.currentUserId, role))) return;
  throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `must be superuser or have privileges of the ${name} role to ${what}`, {
    hint: "Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.",
  });
}

/** What COPY TO sends: a SELECT, written out if only a table was named. */
async function copySource(runner: CommandRunner, raw: RawNode, options: CopyOptions): Promise<CopySource> {
  const query = raw['query'] as RawNode | undefined;
  if (query !== undefined) return { source: query, relation: INVALID_OID };
  const relation = raw['relation'] as RawNode;
  const table = await openRangeVar(runner, relation, ACCESS_SHARE_LOCK);
  if (table.rel.relkind !== 'r') {
    throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `cannot copy from ${relationKind(table)} "${table.name}"`, {
      hint: table.rel.relkind === 'v' ? 'Try the COPY (SELECT ...) TO variant.' : undefined,
    });
  }
  const numbers = columnNumbers(table, attributeNames(raw));
  if (options.forceQuote !== 'all') forcedColumns(table, numbers, options.forceQuote, 'FORCE_QUOTE');
  const columns = numbers.map(n => table.att.attrs[n]!.name);
  const column = (name: string): RawNode => ({
    type: 'ColumnRef',
    fields: [{ type: 'String', sval: name }],
    location: -1,
  });
  const source: RawNode = {
    type: 'SelectStmt',
    targetList: columns.map(name => ({ type: 'ResTarget', val: column(name), location: -1 })),
    fromClause: [relation],
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  };
  return { source, relation: table.oid };
}

const isGenerated = (table: RelationDesc, n: number): boolean => table.attributes[n]!.attgenerated !== '';

const attributeNames = (raw: RawNode): readonly string[] | undefined =>
  (raw['attlist'] as { readonly sval: string }[] | undefined)?.map(({ sval }) => sval);

/** 0-based attribute numbers of the named columns, or of all that are not generated. */
function columnNumbers(table: RelationDesc, names: readonly string[] | undefined): readonly number[] {
  const { attrs } = table.att;
  if (names === undefined) return attrs.flatMap((att, n) => (att.dropped || isGenerated(table, n) ? [] : [n]));
  const numbers: number[] = [];
  for (const name of names) {
    const n = attrs.findIndex(att => !att.dropped && att.name === name);
    if (n < 0) throw ereport(ERRCODE.UNDEFINED_COLUMN, `column "${name}" of relation "${table.name}" does not exist`);
    if (isGenerated(table, n)) {
      throw ereport(ERRCODE.INVALID_COLUMN_REFERENCE, `column "${name}" is a generated column`, {
        detail: 'Generated columns cannot be used in COPY.',
      });
    }
    if (numbers.includes(n)) throw ereport(ERRCODE.DUPLICATE_COLUMN, `column "${name}" specified more than once`);
    numbers.push(n);
  }
  return numbers;
}

/** For each column that is copied whether an option names it; the option may name no others. */
function forcedColumns(
  table: RelationDesc,
  columns: readonly number[],
  names: readonly string[],
  option: string,
): readonly boolean[] {
  const forced = columnNumbers(table, names);
  const other = forced.find(n => !columns.includes(n));
  if (other !== undefined) {
    throw ereport(
      ERRCODE.INVALID_COLUMN_REFERENCE,
      `${option} column "${table.att.attrs[other]!.name}" not referenced by COPY`,
    );
  }
  return columns.map(n => forced.includes(n));
}

function relationKind(table: RelationDesc): string {
  switch (table.rel.relkind) {
    case 'v':
      return 'view';
    case 'm':
      return 'materialized view';
    case 'S':
      return 'sequence';
    case 'f':
      return 'foreign table';
    default:
      return 'non-table relation';
  }
}
