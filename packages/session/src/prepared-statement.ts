/**
 * Prepared statements and portals: what the extended protocol (and PREPARE, DECLARE) can name.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { type Oid } from '@pgtroupe/common/ids';
import { UNKNOWNOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { LiteralParam, ParserNotice } from '@pgtroupe/parser/parse_node';
import type { LookedUp } from '@pgtroupe/parser/statement';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import type { Jumble } from '@pgtroupe/parser/queryjumble';
import type { FoldedColumns } from './folded-columns.ts';
import type { NeededLock } from '@pgtroupe/commands/needed-locks';
import type { CachedPlan, RunningPortal } from './query-execution.ts';
import type { StatementEntry } from './statement-statistics.ts';

/** A result column as RowDescription tells it. */
export interface ColumnInfo {
  readonly name: string;
  readonly tableOid: number;
  readonly attnum: number;
  readonly typid: number;
  readonly typlen: number;
  readonly typmod: number;
}

/** What analysis made of one statement. */
export type Analyzed =
  | { readonly kind: 'empty' }
  | { readonly kind: 'utility'; readonly raw: RawNode; readonly columns: readonly ColumnInfo[] | undefined }
  | {
      readonly kind: 'query';
      readonly query: Query;
      readonly locks: readonly NeededLock[];
      readonly columns: readonly ColumnInfo[] | undefined;
      /** What columns are computed from that constants may change. */
      readonly folded: FoldedColumns | undefined;
      plan: CachedPlan | undefined;
      /** Before it was rewritten, for its identifier; parameters from `literalBase` on stand for literals. */
      readonly source: Query;
      readonly literalBase: number;
      jumble: Jumble | undefined;
      /** Where it was counted last. */
      entry: StatementEntry | undefined;
    };

/** One analysis, shared by every statement of an instance that means the same. */
export interface SharedAnalysis {
  readonly analyzed: Analyzed;
  readonly paramTypes: readonly Oid[];
  /** Literals of the text that became parameters behind the client's own. */
  readonly literals: readonly LiteralParam[];
  /** What analysis tells the client, again each time it would have been done. */
  readonly notices: readonly ParserNotice[];
}

export interface PreparedStatement {
  readonly name: string;
  /** The parsed text and the values of its literals. What was parsed may be another text, with other literals. */
  parsed: LookedUp;
  /** Which statement of the text. */
  readonly index: number;
  /** As the client sent it; for messages. */
  readonly text: string;
  /** undefined: an empty query string. */
  raw: RawNode | undefined;
  /** Types the client gave; 0 = find out. */
  readonly givenTypes: readonly Oid[];
  /** undefined: $n is an error (the simple protocol). */
  readonly allowParams: boolean;
  paramTypes: readonly Oid[];
  analyzed: Analyzed;
  /** Values of literals that became parameters. */
  literals: readonly Datum[];
  /** What it was analyzed under. */
  validity: string;
  /** Executions whose constant expressions were computed with the client's parameters. */
  customPlans: number;
}

/** A statement not analyzed yet. */
export function unanalyzed(
  parsed: LookedUp,
  index: number,
  text: string,
  options: {
    readonly name?: string;
    readonly givenTypes?: readonly Oid[];
    readonly allowParams: boolean;
    readonly raw?: RawNode;
  },
): PreparedStatement {
  const givenTypes = options.givenTypes ?? [];
  return {
    name: options.name ?? '',
    parsed,
    index,
    text,
    raw: options.raw ?? parsed.statement.stmts[index]?.stmt,
    givenTypes,
    allowParams: options.allowParams,
    paramTypes: givenTypes,
    analyzed: { kind: 'empty' },
    literals: [],
    validity: '',
    customPlans: 0,
  };
}

/** The client's parameters of a utility statement; only EXPLAIN has any. */
export interface BoundParameters {
  readonly types: readonly Oid[];
  readonly values: readonly Datum[];
}

export const NO_PARAMETERS: BoundParameters = { types: [], values: [] };

export interface Portal {
  readonly name: string;
  readonly statement: PreparedStatement;
  readonly params: readonly Datum[];
  /** One per column, or one for all, or none (text). */
  readonly resultFormats: readonly number[];
  /** How deep in savepoints it was made: 1 in the transaction proper. */
  depth: number;
  state:
    | { readonly kind: 'ready' }
    /** Row limit reached; goes on with the next Execute. */
    | { readonly kind: 'suspended'; readonly run: RunningPortal }
    /** An error ended it. */
    | { readonly kind: 'failed' }
    /** `tag`: what a utility statement that answered rows says again. */
    | { readonly kind: 'done'; readonly tag?: string };
}

/** A tree that is not a text of its own, as the statement cache would give it: nothing of it is shared. */
export function withoutLiterals(raw: RawNode, text: string): LookedUp {
  return {
    statement: {
      text,
      stmts: [{ type: 'RawStmt', stmt: raw, stmt_location: 0, stmt_len: 0 }],
      notices: [],
      literalBase: 1 << 16,
      shared: false,
      cached: undefined,
    },
    literals: { values: [], offsets: [] },
  };
}

/** Format of column `n` when a client gave one, none or all. */
export function formatOf(formats: readonly number[], n: number): number {
  if (formats.length === 0) return 0;
  return formats.length === 1 ? formats[0]! : formats[n]!;
}

/** Every parameter must have got a type, from the client or from its use. */
export function refuseUndetermined({ paramTypes }: PreparedStatement): void {
  const n = paramTypes.findIndex(type => type === 0 || type === UNKNOWNOID);
  if (n >= 0) {
    throw ereport(ERRCODE.INDETERMINATE_DATATYPE, `could not determine data type of parameter $${n + 1}`);
  }
}
