/**
 * A backend's session, as commands see it that read or write whole relations: COPY, CREATE INDEX, VACUUM. What they may
 * do with it is all here; packages/session implements it with what it has (StatementRunner, Session, TransactionBlock).
 */
import type { HeapRelation } from '@pgtroupe/access/heap/heapam-context';
import type { Caller } from '@pgtroupe/adt/cache/iofunctions';
import type { OutputFunction } from '@pgtroupe/adt/cache/typcache';
import type { CommandProgress } from '@pgtroupe/adt/pgstatfuncs';
import type { AclCheck } from '@pgtroupe/catalog/aclchk';
import type { Catalog } from '@pgtroupe/catalog/catalog';
import type { SearchPath } from '@pgtroupe/catalog/namespace';
import type { SystemCatalog } from '@pgtroupe/catalog/systemcatalog';
import type { ErrorFields, Severity } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { ExecEnv } from '@pgtroupe/executor/estate';
import type { RowSink } from '@pgtroupe/executor/rowsink';
import type { InstanceKernel } from '@pgtroupe/instance/instance-kernel';
import type { LockOwner } from '@pgtroupe/instance/instance-locks';
import type { LiveSnapshot } from '@pgtroupe/instance/instance-transactions';
import type { WalProducer } from '@pgtroupe/instance/wal-credit';
import type { WaitEvent } from '@pgtroupe/instance/wait-event';
import type { Transaction } from '@pgtroupe/instance/xact';
import type { FrameReader } from '@pgtroupe/libpq/frame-reader';
import type { OutBuffer } from '@pgtroupe/libpq/pqformat';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { CatalogLookup } from '@pgtroupe/parser/catalog-lookup';
import type { Arena } from '@pgtroupe/storage/arena';
import type { CommandContext } from './command-context.ts';

/** What runs the session's statements. */
export interface CommandRunner {
  readonly session: BackendSession;
  readonly analysis: CommandCatalogs;
  /** What built-in functions know of this session. */
  readonly functions: Caller & { readonly currentUserId: Oid; readonly databaseId: Oid };
  /** Tables of catalogs. */
  readonly source: { readonly relations: { heap(catalog: Catalog): Promise<HeapRelation> } };
  /** A query of the transaction has rows left to give. */
  readonly hasSuspendedPortal: boolean;
  /** Called when a command that waits for its client is cancelled or the client is gone. */
  interruptible: (() => void) | undefined;
  /** The executor's environment, in the present transaction. */
  execEnv(): ExecEnv;
  /** Shows a type's values. A large one may not be there at once: it throws CatalogMiss, and is asked again with the same value. */
  textOutput(typid: Oid): OutputFunction;
  /** A query of the command's own; fails if it is none. */
  openQuery(raw: RawNode, text: string): Promise<CommandQuery>;
}

export interface CommandQuery {
  /** Undefined if it yields no rows. */
  readonly columns: readonly { readonly name: string; readonly typid: number }[] | undefined;
  /** Runs it to its end; answers the number of rows. */
  run(sink: RowSink): Promise<number>;
}

/** The catalogs as the transaction sees them. */
export interface CommandCatalogs {
  readonly catalog: SystemCatalog;
  lookup(): CatalogLookup;
  searchPathInfo(): SearchPath;
  acl(): AclCheck;
  /** Runs a command that changes catalogs, in the transaction's own view of them. */
  changeCatalogs(text: string, work: (context: CommandContext) => Promise<void>): Promise<void>;
  /** Rows of these catalogs were changed, and by no command that knows what they mean. */
  catalogRowsChanged(catalogs: readonly Oid[], text: string): Promise<void>;
  /** Takes in what others have committed. */
  refresh(): Promise<void>;
}

export interface BackendSession {
  readonly instance: {
    readonly kernel: InstanceKernel;
    /** Memory that pages and tuples are formed in. */
    readonly arena: Arena;
    applyInvalidations(messages: Uint8Array): void;
  };
  readonly block: CommandTransaction;
  readonly database: { readonly oid: number; readonly name: string };
  readonly owner: LockOwner;
  readonly settings: { number(name: string): number };
  /** How far the command under way is, for who asks. */
  progress: (() => CommandProgress) | undefined;
  /** What goes to the client. */
  readonly out: OutBuffer;
  notice(severity: Severity, sqlstate: string, message: string, fields?: ErrorFields): void;
  checkForInterrupts(): void;
  /** Makes this session's transaction the current one, before each synchronous stretch. */
  enter(): void;
  /** Between steps of a long command: lets others run, and stops when it was cancelled. */
  breathe(): Promise<void>;
  /** Ends before when it is cancelled. */
  sleep(ms: number, waitEvent: WaitEvent): Promise<void>;
  write(): void;
  /** Writes when there is much; false when the client must catch up first (`untilDrained`). */
  writeSome(): boolean;
  untilDrained(): Promise<void>;
  /** Until the returned function is called, CopyData and its kin go to `receive`. */
  takeCopyMessages(receive: (message: FrameReader) => void): () => void;
  pauseInput(): void;
  resumeInput(): void;
}

export interface CommandTransaction {
  readonly tx: Transaction;
  readonly producer: WalProducer;
  readonly readOnly: boolean;
  /** Will the transaction go on after this statement? */
  readonly lasts: boolean;
  /** PreventInTransactionBlock. */
  prevent(command: string): void;
  startCommand(): void;
  finishCommand(): Promise<void>;
  statementSnapshot(): Promise<LiveSnapshot>;
  releaseSnapshot(live: LiveSnapshot): void;
}
