/**
 * What the grammar of later versions accepts without a new word, refused in PostgreSQL 15's words: a walk over the raw tree
 * that looks for the few nodes in question, and over the tokens for the place to point at.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { type Token, tokensOf } from './pg15grammar.ts';

/** Texts without any of these need no look. */
const SUSPECT =
  /\(\s*(?:select|values|with|table|\()|\b(?:merge|at\s+local|inherit|admin|expression|default|vacuum|analyze|not\s+null|generated|storage|statistics|reindex|returning\s+with|large)\b/i;

type Tree = Readonly<Record<string, unknown>>;

class Checker {
  readonly text: string;
  readonly tokens: readonly Token[];

  constructor(text: string) {
    this.text = text;
    this.tokens = tokensOf(text);
  }

  /** 1-based character position of a byte offset. */
  position(offset: number): number {
    return Buffer.from(this.text, 'utf8').toString('utf8', 0, offset).length + 1;
  }

  syntaxError(index: number): PgError {
    const token = this.tokens[index];
    if (token === undefined || token.text === ';')
      return ereport(
        ERRCODE.SYNTAX_ERROR,
        token === undefined ? 'syntax error at end of input' : 'syntax error at or near ";"',
        { position: token === undefined ? this.text.length + 1 : this.position(token.start) },
      );
    const word = Buffer.from(this.text, 'utf8').toString('utf8', token.start, token.end);
    return ereport(ERRCODE.SYNTAX_ERROR, `syntax error at or near "${word}"`, { position: this.position(token.start) });
  }

  /** Index of the first token of a run of words, at or after a byte offset; -1 if there is none. */
  find(words: readonly string[], from = 0): number {
    return this.tokens.findIndex(
      (token, i) => token.start >= from && words.every((word, k) => word === '' || this.tokens[i + k]?.text === word),
    );
  }

  /** Index of the parenthesis that closes the one at `open`. */
  closing(open: number): number {
    let depth = 0;
    for (let i = open; i < this.tokens.length; i++) {
      if (this.tokens[i]!.text === '(') depth++;
      else if (this.tokens[i]!.text === ')' && --depth === 0) return i;
    }
    return -1;
  }

  refuseAt(words: readonly string[], which: number, from = 0): void {
    const at = this.find(words, from);
    if (at >= 0) throw this.syntaxError(at + which);
  }

  /** FROM (SELECT …) without an alias: the one that ends first is complained about. */
  subqueryAlias(): PgError | undefined {
    let first = Number.POSITIVE_INFINITY;
    let found: { readonly open: number; readonly values: boolean } | undefined;
    this.tokens.forEach((token, i) => {
      if (token.text !== '(') return;
      const before = this.tokens[i - 1]?.text ?? '';
      if (before !== 'from' && before !== ',' && before !== 'join' && before !== 'lateral') return;
      const inside = this.tokens[i + 1]?.text ?? '';
      if (!/^(?:select|values|with|table|\()$/.test(inside)) return;
      const close = this.closing(i);
      const after = this.tokens[close + 1]?.text ?? '';
      const alias = /^["a-z_\u0080-\uffff]/i.test(after) && !NO_ALIAS.has(after);
      if (close < 0 || close >= first || alias) return;
      first = close;
      found = { open: i, values: inside === 'values' };
    });
    if (found === undefined) return undefined;
    const { open, values } = found as { open: number; values: boolean };
    return ereport(ERRCODE.SYNTAX_ERROR, `${values ? 'VALUES' : 'subquery'} in FROM must have an alias`, {
      hint: `For example, FROM (${values ? 'VALUES' : 'SELECT'} ...) [AS] foo.`,
      position: this.position(this.tokens[open]!.start),
    });
  }

  node(type: string, node: Tree): void {
    switch (type) {
      case 'RangeSubselect':
        if (node['alias'] === undefined) {
          const error = this.subqueryAlias();
          if (error !== undefined) throw error;
        }
        return;
      case 'MergeStmt':
        if (node['returningClause'] !== undefined || node['returningList'] !== undefined) {
          const at = this.tokens.map(token => token.text).lastIndexOf('returning');
          throw this.syntaxError(at);
        }
        return;
      case 'GrantRoleStmt':
        for (const option of ['inherit', 'set']) {
          this.refuseAt(['with', option], 1);
          this.refuseAt([option, 'option', 'for'], 1);
        }
        for (const value of ['true', 'false']) this.refuseAt(['admin', value], 1);
        return;
      case 'AlterTableStmt':
        this.refuseAt(['set', 'expression'], 1);
        for (const what of ['statistics', 'storage']) this.refuseAt(['set', what, 'default'], 2);
        this.refuseAt(['access', 'method', 'default'], 2);
        return;
      case 'VacuumStmt':
        for (const word of ['vacuum', 'analyze', 'verbose', 'full', 'freeze', ')', ','])
          this.refuseAt([word, 'only'], 1);
        return;
      case 'AlterDefaultPrivilegesStmt':
        this.refuseAt(['on', 'large'], 1);
        return;
      case 'CreateStatsStmt':
        if (node['defnames'] === undefined) this.refuseAt(['statistics', 'on'], 1);
        return;
      case 'ReindexStmt':
        if (node['relation'] === undefined && node['name'] === undefined) throw this.syntaxError(this.endOf('reindex'));
        return;
      case 'ReturningClause':
        if (node['options'] !== undefined) this.refuseAt(['returning', 'with'], 1);
        return;
      case 'ColumnDef':
        if (node['storage_name'] !== undefined) this.refuseAt(['storage'], 0, Number(node['location'] ?? 0));
        return;
      case 'Constraint':
        this.constraint(node);
        return;
      case 'FuncCall':
        if (node['funcformat'] === 'COERCE_SQL_SYNTAX')
          this.refuseAt(['at', 'local'], 1, Number(node['location'] ?? 0));
        return;
      default:
    }
  }

  /** The token that ends the statement which begins with a word. */
  private endOf(word: string): number {
    let at = this.find([word]);
    while (at < this.tokens.length && this.tokens[at]!.text !== ';') at++;
    return at;
  }

  private constraint(node: Tree): void {
    const from = Number(node['location'] ?? 0);
    if (node['contype'] === 'CONSTR_GENERATED' && node['generated_kind'] === 'v') {
      const open = this.find(['as', '('], from) + 1;
      if (open > 0) throw this.syntaxError(this.closing(open) + 1);
    }
    // NOT NULL as a constraint of the table names its column.
    if (node['contype'] === 'CONSTR_NOTNULL' && node['keys'] !== undefined) this.refuseAt(['not', 'null'], 0, from);
  }
}

/** Words that may follow a FROM item and are no alias. */
const NO_ALIAS = new Set(
  (
    'where group having order limit offset fetch for union intersect except window join inner left right full cross natural ' +
    'on using returning set tablesample when with'
  ).split(' '),
);

/** Throws what PostgreSQL 15 says of a text that only a later version understands. `tree` is as the library made it. */
export function checkGrammar(text: string, tree: unknown): void {
  if (!SUSPECT.test(text)) return;
  let checker: Checker | undefined;
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const item of value) walk(item);
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    for (const key in value) {
      const child = (value as Tree)[key];
      if (typeof child !== 'object' || child === null) continue;
      // A wrapped node is { Type: {…} }; a field that is always a returning clause comes without.
      const c = key.charCodeAt(0);
      if (c >= 65 && c <= 90 && INTERESTING.has(key)) (checker ??= new Checker(text)).node(key, child as Tree);
      else if (key === 'returningClause') (checker ??= new Checker(text)).node('ReturningClause', child as Tree);
      walk(child);
    }
  };
  walk(tree);
}

const INTERESTING = new Set([
  'RangeSubselect',
  'MergeStmt',
  'GrantRoleStmt',
  'AlterTableStmt',
  'VacuumStmt',
  'AlterDefaultPrivilegesStmt',
  'CreateStatsStmt',
  'ReindexStmt',
  'ColumnDef',
  'Constraint',
  'FuncCall',
]);
