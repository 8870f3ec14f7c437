/**
 * Raw parse trees: what the grammar makes of a statement, before any name is looked up. They come
 * from libpg-query as `{ "SelectStmt": { ... } }`; parser.ts turns each wrapper into one object
 * with a `type`, so that raw and analyzed trees are walked alike. Fields keep PostgreSQL's names;
 * what has its zero value (0, "", false, NULL, NIL) is absent. Only the nodes the analyzer handles get
 * an interface of their own where it helps; the rest are RawNode, read field by field.
 */
export interface RawNode {
  readonly type: string;
  /** Byte offset into the query text; absent means 0 or not applicable. */
  location?: number;
  // biome-ignore lint/suspicious/noExplicitAny: the grammar's output is wide and checked where it is read
  readonly [field: string]: any;
}

export interface RawTypeName extends RawNode {
  readonly type: 'TypeName';
}

/** One statement of a query string, with its place in it (bytes). */
export interface RawStmt {
  readonly type: 'RawStmt';
  readonly stmt: RawNode;
  readonly stmt_location: number;
  /** 0: to the end of the string. */
  readonly stmt_len: number;
}
