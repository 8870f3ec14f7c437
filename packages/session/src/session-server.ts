/**
 * What built-in functions may ask about the server: lengths of files, configuration, time.
 */
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { NEVER_RESTART, parseWorkers } from '@pgtroupe/actor/background-worker';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { GucFacts } from '@pgtroupe/common/guc';
import { BLCKSZ, type ForkNumber, type Oid, type TransactionId, xidFromFull } from '@pgtroupe/common/ids';
import type { Transaction } from '@pgtroupe/instance/xact';
import { hbaRules, identMappings } from '@pgtroupe/libpq/hba_rules';
import type { ServerFacts } from '@pgtroupe/adt/serverfuncs';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { configure } from './configure.ts';
import type { Session } from './session.ts';

const KINDS_WITH_FILES = 'rtmiS';

async function authFile(session: Session, parameter: string): Promise<string> {
  const reply = await configure(session, { $case: 'readAuthFile', value: { parameter } });
  return reply.$case === 'authFile' ? reply.value.text : '';
}

/** pgtroupe_launch_worker(). */
async function launchWorker(session: Session, text: string): Promise<string> {
  const { database, runner, instance } = session;
  const defaults = { database: database.name, role: runner.functions.currentUser, restartSeconds: NEVER_RESTART };
  const workers = parseWorkers(text, defaults);
  if (workers.length !== 1) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'one background worker at a time');
  const id = Buffer.from(instance.env.random.bytes(16)).toString('hex');
  const reply = await configure(session, { $case: 'launchWorker', value: { ...workers[0]!, id } });
  return reply.$case === 'workerLaunched' ? reply.value.name : '';
}

export function sessionServer(session: Session): ServerFacts {
  const { kernel } = session.instance;
  const find = (oid: Oid): RelationDesc | undefined => {
    return session.runner.analysis.catalog.relation(oid) ?? undefined;
  };
  let stableXid: { readonly tx: Transaction; readonly xid: TransactionId } | undefined;
  let stableMulti: { readonly statement: number; readonly next: number } | undefined;
  return {
    launchWorker: text => launchWorker(session, text),
    relationSize: (oid, fork) => {
      const rel = find(oid);
      if (rel === undefined) return undefined;
      if (!KINDS_WITH_FILES.includes(rel.rel.relkind)) return 0;
      const blocks = kernel.pages.nblocks(rel.smgr, fork as ForkNumber);
      if (blocks !== MISS) return blocks * BLCKSZ;
      const { want } = kernel.pages;
      throw new CatalogMiss(() => kernel.satisfy(want, session.owner));
    },
    companions: oid => {
      const rel = find(oid);
      if (rel === undefined) return undefined;
      return {
        toast: rel.rel.reltoastrelid,
        indexes: rel.rel.relkind === 'r' || rel.rel.relkind === 't' ? rel.indexes.map(i => i.index.indexrelid) : [],
      };
    },
    folderSize: (tablespace, database) => kernel.folderSize(tablespace, database),
    latestXid: () => {
      const { tx } = session.block;
      if (tx.topXid !== 0) return xidFromFull(tx.topXid);
      if (stableXid?.tx !== tx) stableXid = { tx, xid: xidFromFull(kernel.shared.nextXid) };
      return stableXid.xid;
    },
    nextMulti: () => {
      const statement = session.runner.functions.statementTimestamp;
      if (stableMulti?.statement === statement) return stableMulti.next;
      throw new CatalogMiss(async () => {
        stableMulti = { statement, next: (await kernel.multixacts.horizon()).next };
      });
    },
    cast: async () => {
      const reply = await configure(session, { $case: 'readCast', value: {} });
      assert(reply.$case === 'cast', 'the answer to readCast');
      return reply.value;
    },
    blockingPids: pid => kernel.blockingPids(pid >>> 0),
    sleep: ms => session.sleep(ms, 'Timeout/PgSleep'),
    reloadConfiguration: async () => void (await configure(session, { $case: 'reload', value: {} })),
    setting: (facts: GucFacts) => session.settings.describe(facts),
    mayExamineAll: () => session.settings.mayExamineAll(),
    hbaRules: async () => hbaRules(await authFile(session, 'hba_file')),
    identMappings: async () => identMappings(await authFile(session, 'ident_file')),
    fileSettings: async () => {
      const reply = await configure(session, { $case: 'readFileSettings', value: {} });
      return reply.$case === 'fileSettings' ? reply.value.rows : [];
    },
  };
}
