/**
 * What a utility command works with: the catalogs of its transaction, the session's names and rights,
 * and the steps every command begins with (finding, locking and checking a relation).
 *
 * Commands are asynchronous: pure work over the catalogs runs in `w.read`, changes are awaited one by
 * one. A command that fails leaves its transaction to be rolled back.
 */
import { PG_CATALOG_NAMESPACE, PG_TOAST_NAMESPACE } from '@pgtroupe/common/oids';
import { ACL_CREATE, ACL_USAGE } from '@pgtroupe/catalog/acl';
import { AclCheck, type OwnedObject } from '@pgtroupe/catalog/aclchk';
import { NamespaceRelationId } from '@pgtroupe/catalog/catalogs/pg_namespace';
import { RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import type { CatalogStore } from '@pgtroupe/catalog/catalogwriter';
import { CatalogWriter } from '@pgtroupe/catalog/catalogwriter';
import { creationNamespace, rangeVarGetRelid, rangeVarText, type SearchPath } from '@pgtroupe/catalog/namespace';
import { FIRST_UNPINNED_OBJECT_ID } from '@pgtroupe/catalog/pinned';
import type { Form_pg_type } from '@pgtroupe/catalog/catalogs/pg_type';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import type { SystemCatalog } from '@pgtroupe/catalog/systemcatalog';
import { NAMESPACENAME } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { CatalogLookup } from '@pgtroupe/parser/catalog-lookup';
import { makeParseState } from '@pgtroupe/parser/analyze';
import { formatType } from '@pgtroupe/parser/format_type';
import type { ParseState } from '@pgtroupe/parser/parse_node';
import type { FunctionCall } from '@pgtroupe/adt/fmgr';
import { ACCESS_SHARE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { SequenceIo } from './sequence-io.ts';
import { lockWhatIsMeant } from './lockedlookup.ts';
import { checkSchema } from './permissions.ts';
import { getObjectDescription } from './objectdescription.ts';

/** The session, as a command sees it. */
export interface CommandSession {
  readonly databaseName: string;
  readonly userId: Oid;
  readonly userName: string;
  readonly superuser: boolean;
  /** As the catalogs are now. May throw a CatalogMiss. */
  readonly searchPath: () => SearchPath;
  readonly tempNamespace: Oid;
  /** Without it parameters of roles and databases are refused. */
  readonly stored?: StoredSettings;
  /** Cryptographically strong; without it passwords are refused. */
  readonly saltBytes?: (n: number) => Uint8Array;
  /** Runs a raw SELECT in this transaction and gives all its rows. */
  readonly select?: (raw: RawNode) => Promise<readonly (readonly Datum[])[]>;
  /** An expression as the planner leaves it: constants folded, SQL functions written out. May throw a CatalogMiss. */
  readonly simplify?: (expr: Expr) => Expr;
  /** Pages of sequences; without it commands that need one are refused. */
  readonly sequences?: SequenceIo;
  /** For calling input functions and typmod functions. */
  readonly fc: FunctionCall;
}

/** Configuration parameters that are to be stored for later sessions. The first two may throw a CatalogMiss. */
export interface StoredSettings {
  /** May the user set it, and is the value one (undefined: RESET)? Returns the name as it is stored. */
  check(name: string, value: string | undefined): string;
  /** Does RESET ALL of this user reset it? */
  mayReset(name: string): boolean;
  /** What SET of the command gives the parameter; undefined: RESET. */
  value(setstmt: RawNode): string | undefined;
}

/** Words for relation kinds in "x" is not a ... messages. */
const KIND_WORDS: Readonly<Record<string, string>> = {
  r: 'a table',
  p: 'a table',
  i: 'an index',
  S: 'a sequence',
  v: 'a view',
  m: 'a materialized view',
  c: 'a composite type',
  f: 'a foreign table',
  t: 'a TOAST table',
};

export function relkindWords(relkind: string): string {
  return KIND_WORDS[relkind] ?? 'a relation';
}

/** "must be owner of ..." */
function relkindWord(relkind: string): string {
  return (
    { i: 'index', I: 'index', S: 'sequence', v: 'view', m: 'materialized view', f: 'foreign table' }[relkind] ?? 'table'
  );
}

/** Throws when the user must not even wait for a lock of the relation: who has no rights keeps nobody waiting. */
type MayLock = (rel: RelationDesc) => Promise<void>;

export class CommandContext {
  readonly session: CommandSession;
  readonly w: CatalogWriter;
  /** The query text, for error positions. */
  readonly sourceText: string;
  lookup: CatalogLookup;

  /** May throw a CatalogMiss. */
  constructor(session: CommandSession, catalog: SystemCatalog, store: CatalogStore, sourceText: string) {
    this.session = session;
    this.sourceText = sourceText;
    this.lookup = this.makeLookup(catalog, session.searchPath());
    this.w = new CatalogWriter(catalog, store, (w, object) => getObjectDescription(w, this.lookup, object));
  }

  private makeLookup(catalog: SystemCatalog, { path, mayUse }: SearchPath): CatalogLookup {
    const { databaseName, userId, tempNamespace } = this.session;
    return new CatalogLookup(catalog, path, { databaseName, userId, mayUse }, tempNamespace);
  }

  /** Before a name is looked up: the schemas of the search path may be others since the last wait for a lock. */
  lookAgain(): SearchPath {
    const searchPath = this.session.searchPath();
    if (searchPath.path !== this.lookup.searchPath) this.lookup = this.makeLookup(this.w.catalog, searchPath);
    return searchPath;
  }

  /** For analyzing expressions and type names of the command. */
  parseState(): ParseState {
    return makeParseState({
      catalog: this.lookup,
      fc: this.session.fc,
      sourceText: this.sourceText,
    });
  }

  /** Schema that a new object goes to; the user must be allowed to create there. Errors point at
   *  `location` unless that is negative. */
  creationNamespace(rangeVar: RawNode, location = -1): Promise<Oid> {
    return this.lockNamed(NamespaceRelationId, ACCESS_SHARE_LOCK, () =>
      this.w.read(catalog =>
        this.parseState().withPosition(location, () => {
          const namespace = creationNamespace(catalog, this.lookAgain(), rangeVarName(rangeVar));
          checkSchema(catalog, this.w.databaseOid, this.session.userId, namespace, ACL_CREATE);
          return namespace;
        }),
      ),
    );
  }

  /** OID of a relation, 0 when there is none. */
  relid(rangeVar: RawNode): Promise<Oid> {
    const { databaseName } = this.session;
    return this.w.read(catalog => rangeVarGetRelid(catalog, this.lookAgain(), rangeVarName(rangeVar), databaseName));
  }

  /** An object by its name, 0 when there is none, locked. */
  lockNamed(classId: Oid, mode: number, find: () => Promise<Oid>, mayLock?: (oid: Oid) => Promise<void>): Promise<Oid> {
    const { store } = this.w;
    return lockWhatIsMeant({
      find,
      mayLock,
      lock: objectId => store.lockObject({ classId, objectId }, mode),
      unlock: objectId => store.unlockObject({ classId, objectId }, mode),
    });
  }

  /** The relation, locked; names are looked up again after waiting for the lock. */
  async openRelation(rangeVar: RawNode, lockMode: number, mayLock?: MayLock): Promise<RelationDesc> {
    const rel = await this.tryOpenRelation(rangeVar, lockMode, mayLock);
    if (rel !== null) return rel;
    await this.checkSchemaExists(rangeVar);
    throw ereport(ERRCODE.UNDEFINED_TABLE, `relation "${rangeVarText(rangeVarName(rangeVar))}" does not exist`);
  }

  /** Of a relation that is not there: its schema may not be there either. */
  async checkSchemaExists(rangeVar: RawNode): Promise<void> {
    const { schemaname } = rangeVarName(rangeVar);
    if (schemaname !== '' && (await this.w.search(NAMESPACENAME, schemaname)) === null)
      throw ereport(ERRCODE.UNDEFINED_SCHEMA, `schema "${schemaname}" does not exist`);
  }

  /** null: there is none. */
  async tryOpenRelation(rangeVar: RawNode, lockMode: number, mayLock?: MayLock): Promise<RelationDesc | null> {
    const check = async (oid: Oid): Promise<void> => {
      const rel = mayLock === undefined ? null : await this.w.read(catalog => catalog.relation(oid));
      if (rel !== null) await mayLock!(rel);
    };
    const relid = await this.lockNamed(RelationRelationId, lockMode, () => this.relid(rangeVar), check);
    return relid === 0 ? null : this.w.relation(relid);
  }

  /** An error with the position of the node in the query text. */
  error(sqlstate: Parameters<typeof ereport>[0], message: string, node: RawNode): Error {
    return this.parseState().error(sqlstate, message, node.location ?? -1);
  }

  /** The same for what PostgreSQL analyzes without knowing the text: errors have no place in it. */
  withoutPlaces(): CommandContext {
    return Object.create(this, { sourceText: { value: '' } }) as CommandContext;
  }

  notice(message: string, sqlstate?: Parameters<typeof ereport>[0]): void {
    this.w.store.notice(message, sqlstate === undefined ? {} : { sqlstate });
  }

  /** Asks the judge of rights. */
  judge<T>(question: (acl: AclCheck, userId: Oid) => T): Promise<T> {
    return this.w.read(catalog => question(new AclCheck(catalog, this.w.databaseOid), this.session.userId));
  }

  /** Fails unless the user has the right on the object. */
  async checkRight(kind: OwnedObject, oid: Oid, right: number, name: string): Promise<void> {
    if (await this.judge((acl, userId) => acl.objectCheck(kind, oid, userId, right))) return;
    throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied for ${kind} ${name}`);
  }

  /** Fails unless the user may use the type in what is made. */
  async checkTypeUsage(type: Oid): Promise<void> {
    const name = await this.judge((acl, userId) =>
      acl.objectCheck('type', type, userId, ACL_USAGE)
        ? undefined
        : formatType(this.lookup, acl.permissionType(type)?.oid ?? type),
    );
    if (name !== undefined) throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied for type ${name}`);
  }

  /** Only who has the owner's rights may change an object. */
  async checkOwnership(owner: Oid, what: string): Promise<void> {
    if (await this.judge((acl, userId) => acl.hasPrivsOfRole(userId, owner))) return;
    throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `must be owner of ${what}`);
  }

  /** ... a type. */
  async checkTypeOwner(type: Form_pg_type): Promise<void> {
    const name = await this.w.read(() => formatType(this.lookup, type.oid));
    await this.checkOwnership(type.typowner, `type ${name}`);
  }

  /** ... a relation; and nobody changes the catalogs. */
  async checkOwner(rel: RelationDesc, word = relkindWord(rel.rel.relkind)): Promise<void> {
    await this.checkOwnership(rel.rel.relowner, `${word} ${rel.name}`);
    this.checkNotCatalog(rel);
  }

  checkNotCatalog(rel: RelationDesc): void {
    const { relnamespace } = rel.rel;
    if (
      rel.oid < FIRST_UNPINNED_OBJECT_ID &&
      (relnamespace === PG_CATALOG_NAMESPACE || relnamespace === PG_TOAST_NAMESPACE)
    ) {
      throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied: "${rel.name}" is a system catalog`);
    }
  }
}

export function rangeVarName(rangeVar: RawNode): {
  readonly catalogname: string;
  readonly schemaname: string;
  readonly relname: string;
} {
  return {
    catalogname: rangeVar.catalogname ?? '',
    schemaname: rangeVar.schemaname ?? '',
    relname: rangeVar.relname,
  };
}

/** A RangeVar from a dotted name, as DROP and COMMENT give it. */
export function rangeVarOfNames(names: readonly string[]): RawNode {
  if (names.length > 3)
    throw ereport(ERRCODE.SYNTAX_ERROR, `improper relation name (too many dotted names): ${names.join('.')}`);
  const [relname, schemaname, catalogname] = [...names].reverse();
  return {
    type: 'RangeVar',
    relname,
    schemaname: schemaname ?? '',
    catalogname: catalogname ?? '',
    location: -1,
  };
}
