/**
 * CREATE VIEW: a relation without storage and the rule that says what to read instead.
 */
import {
  pgClass,
  RELKIND_VIEW,
  RelationRelationId,
  RELPERSISTENCE_PERMANENT,
} from '@pgtroupe/catalog/catalogs/pg_class';
import { pgDepend, DependDependerIndexId } from '@pgtroupe/catalog/catalogs/pg_depend';
import { pgRewrite, RewriteOidIndexId, RewriteRelationId } from '@pgtroupe/catalog/catalogs/pg_rewrite';
import type { Form_pg_rewrite } from '@pgtroupe/catalog/catalogs/pg_rewrite';
import type { LockableObject } from '@pgtroupe/catalog/catalogwriter';
import { heapCreateWithCatalog, insertAttribute, type NewColumn } from '@pgtroupe/catalog/heap';
import { objectAddress } from '@pgtroupe/catalog/objectaddress';
import {
  DEPENDENCY_INTERNAL,
  DEPENDENCY_NORMAL,
  recordDependenciesOn,
  recordDependencyOn,
} from '@pgtroupe/catalog/pg_depend';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { RELNAMENSP, RELOID, RULERELNAME, TYPEOID } from '@pgtroupe/catalog/syscache';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { ACCESS_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import { exprCollation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import { nodeToString } from '@pgtroupe/nodes/outfuncs';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { analyze } from '@pgtroupe/parser/analyze';
import { formatType } from '@pgtroupe/parser/format_type';
import { rawStrings } from '@pgtroupe/parser/parse_node';
import { makeViewRule } from '@pgtroupe/parser/rewrite/viewrule';
import { type CommandContext } from './command-context.ts';
import { findQueryReferences } from './exprreferences.ts';
import { lockWhatQueryMeans, neededLocks, type RelationLocker } from './needed-locks.ts';
import { transformRelOptions } from './reloptions.ts';

const VIEW_SELECT_RULE_NAME = '_RETURN';
const EV_SELECT = '1';

/** CREATE [OR REPLACE] VIEW. Returns the view's oid. */
export async function defineView(context: CommandContext, stmt: RawNode): Promise<Oid> {
  const { w, session } = context;
  if (stmt.view.relpersistence === 't') throw notSupported('temporary views');
  if (stmt.view.relpersistence === 'u')
    throw ereport(ERRCODE.SYNTAX_ERROR, 'views cannot be unlogged because they do not have storage');
  const query = await analyzeViewQuery(context, stmt);
  const columns = await w.read(() => viewColumns(context, query));
  const options = withCheckOption(transformRelOptions(null, stmt.options, 'view', ''), stmt.withCheckOption);
  const name: string = stmt.view.relname;
  const namespace = await context.creationNamespace(stmt.view);
  const existing = stmt.replace ? await openView(context, name, namespace) : null;
  let oid: Oid;
  if (existing !== null) {
    oid = existing.oid;
    await replaceView(context, existing, columns, options);
  } else {
    oid = await heapCreateWithCatalog(w, {
      name,
      namespace,
      owner: session.userId,
      relkind: RELKIND_VIEW,
      persistence: RELPERSISTENCE_PERMANENT,
      columns,
      reloptions: options,
      tablespace: 0 as Oid,
    });
  }
  await storeRule(context, await w.relation(oid), query, existing !== null);
  return oid;
}

/** The relation of that name, locked; null: there is none. */
async function openView(context: CommandContext, name: string, namespace: Oid): Promise<RelationDesc | null> {
  const { w } = context;
  const find = async (): Promise<Oid> => (await w.search(RELNAMENSP, name, namespace))?.oid ?? (0 as Oid);
  const oid = await context.lockNamed(RelationRelationId, ACCESS_EXCLUSIVE_LOCK, find, async found => {
    const rel = await w.read(catalog => catalog.relation(found));
    if (rel !== null) await context.checkOwner(rel);
  });
  return oid === 0 ? null : w.relation(oid);
}

async function analyzeViewQuery(context: CommandContext, stmt: RawNode): Promise<Query> {
  const { w, session, sourceText } = context;
  const raw: RawNode = stmt.query;
  if (raw.intoClause) throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'views must not contain SELECT INTO');
  const analyzeNow = (): Query => {
    context.lookAgain();
    return analyze({
      catalog: context.lookup,
      fc: session.fc,
      sourceText,
      stmt: { type: 'RawStmt', stmt: raw, stmt_location: 0, stmt_len: 0 },
    }).query;
  };
  let query!: Query;
  const relation = (objectId: Oid): LockableObject => ({ classId: RelationRelationId, objectId });
  const locker: RelationLocker = {
    lock: (relid, mode) => w.store.lockObject(relation(relid), mode),
    unlock: (relid, mode) => w.store.unlockObject(relation(relid), mode),
  };
  await lockWhatQueryMeans(locker, async () => neededLocks((query = await w.read(analyzeNow))));
  if (query.commandType !== 1) throw ereport(ERRCODE.SYNTAX_ERROR, 'unexpected parse analysis result');
  if (query.hasModifyingCTE)
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'views must not contain data-modifying statements in WITH');
  const aliases = rawStrings(stmt.aliases);
  const visible = query.targetList.filter(entry => !entry.resjunk);
  if (aliases.length > visible.length)
    throw ereport(ERRCODE.SYNTAX_ERROR, 'CREATE VIEW specifies more column names than columns');
  aliases.forEach((alias, n) => {
    visible[n]!.resname = alias;
  });
  return query;
}

function viewColumns(context: CommandContext, query: Query): NewColumn[] {
  return query.targetList
    .filter(entry => !entry.resjunk)
    .map(({ expr, resname }): NewColumn => {
      const typid = exprType(expr) as Oid;
      const collation = exprCollation(expr) as Oid;
      if (collation === 0 && context.lookup.typeIsCollatable(typid)) {
        throw ereport(
          ERRCODE.INDETERMINATE_COLLATION,
          `could not determine which collation to use for view column "${resname}"`,
          {
            hint: 'Use the COLLATE clause to set the collation explicitly.',
          },
        );
      }
      return {
        name: resname ?? '',
        typid,
        typmod: exprTypmod(expr),
        collation,
        notNull: false,
        ndims: 0,
      };
    });
}

function withCheckOption(options: readonly string[] | null, check: string | undefined): readonly string[] | null {
  if (check === undefined || check === 'NO_CHECK_OPTION') return options;
  return [...(options ?? []), `check_option=${check === 'LOCAL_CHECK_OPTION' ? 'local' : 'cascaded'}`];
}

/** OR REPLACE: the old columns stay as they are, new ones may follow. */
async function replaceView(
  context: CommandContext,
  view: RelationDesc,
  columns: readonly NewColumn[],
  options: readonly string[] | null,
): Promise<void> {
  const { w } = context;
  if (view.rel.relkind !== RELKIND_VIEW) throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${view.name}" is not a view`);
  const invalid = (message: string, hint?: string): Error =>
    ereport(ERRCODE.INVALID_TABLE_DEFINITION, message, { hint });
  if (columns.length < view.attributes.length) throw invalid('cannot drop columns from view');
  for (const [n, old] of view.attributes.entries()) {
    const column = columns[n]!;
    if (column.name !== old.attname) {
      throw invalid(
        `cannot change name of view column "${old.attname}" to "${column.name}"`,
        'Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.',
      );
    }
    if (column.typid !== old.atttypid || column.typmod !== old.atttypmod) {
      const [from, to] = await w.read(() => [
        formatType(context.lookup, old.atttypid, { typmod: old.atttypmod }),
        formatType(context.lookup, column.typid, { typmod: column.typmod }),
      ]);
      throw invalid(`cannot change data type of view column "${old.attname}" from ${from} to ${to}`);
    }
    if (column.collation !== old.attcollation) throw invalid(`cannot change collation of view column "${old.attname}"`);
  }
  for (let n = view.attributes.length; n < columns.length; n++) {
    const column = columns[n]!;
    if (columns.findIndex(c => c.name === column.name) !== n)
      throw ereport(ERRCODE.DUPLICATE_COLUMN, `column "${column.name}" specified more than once`);
    await insertAttribute(w, view.oid, n + 1, column, (await w.search(TYPEOID, column.typid))!);
  }
  await w.update(pgClass, view.rel, { relnatts: columns.length, reloptions: options });
  w.commandCounterIncrement();
}

async function storeRule(context: CommandContext, view: RelationDesc, query: Query, replace: boolean): Promise<void> {
  const { w } = context;
  const rule = makeViewRule(query, view.rel, view.attributes);
  const ev_action = nodeToString([rule]);
  const references = await w.read(() => findQueryReferences(context.lookup, rule));
  let oid: Oid;
  if (replace) {
    oid = (await w.search(RULERELNAME, view.oid, VIEW_SELECT_RULE_NAME))!.oid;
    const [row] = await w.scan(pgRewrite, RewriteOidIndexId, oid);
    assert(row !== undefined, 'a view has a rule');
    await w.update(pgRewrite, row, { ev_action });
    for (const dependency of await w.scan(pgDepend, DependDependerIndexId, RewriteRelationId, oid))
      await w.delete(pgDepend, dependency);
  } else {
    oid = await newRuleOid(context);
    await w.insert<Form_pg_rewrite>(pgRewrite, {
      oid,
      rulename: VIEW_SELECT_RULE_NAME,
      ev_class: view.oid,
      ev_type: EV_SELECT,
      ev_enabled: 'O',
      is_instead: true,
      ev_qual: '<>',
      ev_action,
    });
    await w.update(pgClass, (await w.search(RELOID, view.oid))!, { relhasrules: true });
  }
  const self = objectAddress(RewriteRelationId, oid);
  await recordDependencyOn(w, self, objectAddress(RelationRelationId, view.oid), DEPENDENCY_INTERNAL);
  await recordDependenciesOn(w, self, references, DEPENDENCY_NORMAL);
  w.invalidateRelation(view.oid);
  w.commandCounterIncrement();
}

async function newRuleOid(context: CommandContext): Promise<Oid> {
  for (;;) {
    const oid = await context.w.store.newOid();
    if ((await context.w.scan(pgRewrite, RewriteOidIndexId, oid)).length === 0) return oid;
  }
}
