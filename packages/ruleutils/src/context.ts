/**
 * What deparsing carries along: the text so far, how it is laid out, and the names in scope.
 */
import type { Query, WindowClause } from '@pgtroupe/nodes/parsenodes';
import type { Expr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import type { CatalogLookup } from '@pgtroupe/parser/catalog-lookup';
import type { ParseState } from '@pgtroupe/parser/parse_node';
import type { FunctionCall } from '@pgtroupe/adt/fmgr';
import type { DeparseNamespace } from './namespace.ts';

export const PRETTYINDENT_STD = 8;
export const PRETTYINDENT_JOIN = 4;
export const PRETTYINDENT_VAR = 4;
/** Deeper levels are indented less and less, so that no query drifts off to the right. */
const PRETTYINDENT_LIMIT = 40;

/** How to lay text out: without needless parentheses, over several lines, without needless schemas. */
export interface PrettyFlags {
  readonly paren: boolean;
  readonly indent: boolean;
  readonly schema: boolean;
}

export const PLAIN: PrettyFlags = { paren: false, indent: false, schema: false };
export const PAREN_ONLY: PrettyFlags = { paren: true, indent: false, schema: false };

/** The layout of the pg_get_ functions: `pretty` is their argument of that name. */
export function prettyFlags(pretty: boolean): PrettyFlags {
  return { paren: pretty, indent: true, schema: pretty };
}

/** Catalogs and conversions a deparse needs; the same for all levels of a query. */
export interface DeparseEnvironment {
  readonly catalog: CatalogLookup;
  readonly fc: FunctionCall;
  /** For the parser's own look-ups: would this name, written here, be found? */
  readonly pstate: ParseState;
  readonly writers: Writers;
}

/** What knows every kind of expression and of query; operands.ts calls it for those within others. */
export interface Writers {
  expr(expr: Expr, context: DeparseContext, showimplicit: boolean): void;
  query(query: Query, buffer: TextBuffer, scope: QueryScope, names: ResultNames, colNamesVisible: boolean): void;
}

/** Where a query stands: what is around it and how it is laid out. */
export interface QueryScope {
  readonly env: DeparseEnvironment;
  readonly namespaces: readonly DeparseNamespace[];
  readonly layout: Layout;
}

export interface Layout {
  readonly pretty: PrettyFlags;
  /** Lists are broken when a line would get longer; 0 breaks after every item, -1 never. */
  readonly wrapColumn: number;
  readonly startIndent: number;
}

/** The buffer is shared by the contexts of nested queries. */
export class TextBuffer {
  text = '';

  removeTrailingSpaces(): void {
    let end = this.text.length;
    while (end > 0 && this.text.charCodeAt(end - 1) === 32) end--;
    if (end < this.text.length) this.text = this.text.slice(0, end);
  }
}

export class DeparseContext {
  readonly env: DeparseEnvironment;
  readonly pretty: PrettyFlags;
  readonly wrapColumn: number;
  buffer: TextBuffer;
  /** Innermost first. */
  namespaces: readonly DeparseNamespace[];
  windowClause: readonly WindowClause[] = [];
  windowTList: readonly TargetEntry[] = [];
  indentLevel: number;
  /** Qualify all columns by their relation? */
  varprefix: boolean;
  /** In GROUP BY, cube and rollup are not functions unless qualified. */
  inGroupBy = false;

  constructor(
    env: DeparseEnvironment,
    namespaces: readonly DeparseNamespace[],
    varprefix: boolean,
    layout: Layout,
    buffer = new TextBuffer(),
  ) {
    this.env = env;
    this.namespaces = namespaces;
    this.varprefix = varprefix;
    this.pretty = layout.pretty;
    this.wrapColumn = layout.wrapColumn;
    this.indentLevel = layout.startIndent;
    this.buffer = buffer;
  }

  get catalog(): CatalogLookup {
    return this.env.catalog;
  }

  get namespace(): DeparseNamespace {
    return this.namespaces[0] as DeparseNamespace;
  }

  /** The layout of a query nested here. */
  get layout(): Layout {
    return { pretty: this.pretty, wrapColumn: this.wrapColumn, startIndent: this.indentLevel };
  }

  append(text: string): void {
    this.buffer.text += text;
  }

  /** What `write` appends, kept apart. */
  captured(write: () => void): string {
    const outer = this.buffer;
    const inner = new TextBuffer();
    this.buffer = inner;
    try {
      write();
    } finally {
      this.buffer = outer;
    }
    return inner.text;
  }

  /** A keyword that starts a line when the layout has lines. */
  keyword(text: string, indentBefore: number, indentAfter: number, indentPlus: number): void {
    if (!this.pretty.indent) {
      this.append(text);
      return;
    }
    this.indentLevel += indentBefore;
    this.buffer.removeTrailingSpaces();
    this.append(`\n${' '.repeat(this.#indentAmount() + indentPlus)}${text}`);
    this.indentLevel = Math.max(this.indentLevel + indentAfter, 0);
  }

  /** A keyword of a clause of a query: one standard step to the left of what it introduces. */
  clause(text: string, indentPlus = 0): void {
    this.keyword(text, -PRETTYINDENT_STD, PRETTYINDENT_STD, indentPlus);
  }

  #indentAmount(): number {
    if (this.indentLevel < PRETTYINDENT_LIMIT) return Math.max(this.indentLevel, 0);
    const beyond = Math.trunc((this.indentLevel - PRETTYINDENT_LIMIT) / (PRETTYINDENT_STD / 2));
    return (PRETTYINDENT_LIMIT + beyond) % PRETTYINDENT_LIMIT;
  }

  /** The next item of a list, on a new line if the current one would get too long (or `force`). */
  appendWrapped(item: string, first: boolean, force: boolean): void {
    if (this.pretty.indent && this.wrapColumn >= 0) {
      if (item.startsWith('\n')) this.buffer.removeTrailingSpaces();
      else if (!first && (force || this.#lineLength() + Buffer.byteLength(item) > this.wrapColumn)) {
        this.clause('', PRETTYINDENT_VAR);
      }
    }
    this.append(item);
  }

  #lineLength(): number {
    const { text } = this.buffer;
    return Buffer.byteLength(text.slice(text.lastIndexOf('\n') + 1));
  }

  list<T>(items: Iterable<T>, write: (item: T) => void, separator = ', '): void {
    let first = true;
    for (const item of items) {
      if (!first) this.append(separator);
      first = false;
      write(item);
    }
  }

  parenthesized(when: boolean, write: () => void): void {
    if (when) this.append('(');
    write();
    if (when) this.append(')');
  }
}

/** Columns of the relation a rule belongs to: their names win over those in the tree. */
export type ResultNames = readonly string[] | null;
