/**
 * NOT NULL and CHECK of a table, with PostgreSQL's messages; the description of a failing row.
 */
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { NAMESPACEOID } from '@pgtroupe/catalog/syscache';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { makeAndsImplicit } from '@pgtroupe/optimizer/clauses';
import type { ModifyTable } from '@pgtroupe/optimizer/plannodes';
import { lookupBuiltin } from '@pgtroupe/adt/fmgr';
import type { RowReader } from './batch.ts';
import { type EState, storedExpr } from './estate.ts';
import { compileExpr, type ExprScope, makeCall } from './execExpr.ts';

const MAX_FIELD = 64;

/** Text of a value by its type's output function. */
export function outputText(est: EState, typid: number, value: Datum): string {
  const facts = est.env.lookup.type(typid as Oid);
  const output = facts === undefined ? undefined : lookupBuiltin(facts.typoutput);
  if (output === undefined) return '?';
  return Buffer.from(output(makeCall(est, [typid], 2275, 0), value) as Uint8Array).toString('utf8');
}

/** `(1, null, abc)`: what DETAIL says of a row. */
function describeRow(est: EState, relation: RelationDesc, values: readonly Datum[]): string {
  const fields: string[] = [];
  relation.att.attrs.forEach((att, i) => {
    if (att.dropped) return;
    const value = values[i]!;
    const text = value === null ? 'null' : outputText(est, att.typid, value);
    const bytes = Buffer.from(text);
    fields.push(bytes.length > MAX_FIELD ? `${clip(bytes)}...` : text);
  });
  return `(${fields.join(', ')})`;
}

/** The first 64 bytes, not splitting a character. */
function clip(bytes: Buffer): string {
  let end = MAX_FIELD;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end).toString('utf8');
}

export function schemaName(est: EState, relation: RelationDesc): string {
  return est.env.rows.search(NAMESPACEOID, relation.rel.relnamespace)?.nspname ?? '';
}

interface Check {
  readonly name: string;
  readonly clauses: readonly RowReader[];
}

export class TableConstraints {
  readonly #est: EState;
  readonly #relation: RelationDesc;
  readonly #notNull: readonly number[];
  readonly #checks: readonly Check[];

  /** `scope` reads the new row. */
  constructor(est: EState, relation: RelationDesc, scope: ExprScope) {
    this.#est = est;
    this.#relation = relation;
    this.#notNull = relation.att.attrs.flatMap((att, i) => (att.notNull && !att.dropped ? [i] : []));
    const checks =
      relation.rel.relchecks > 0 ? relation.constraints.filter(c => c.contype === 'c' && c.conbin !== null) : [];
    this.#checks = checks
      .map(c => ({
        name: c.conname,
        clauses: makeAndsImplicit(storedExpr(est.env, c.conbin!)).map(e => compileExpr(e, scope)),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  get hasChecks(): boolean {
    return this.#checks.length > 0;
  }

  notNull(values: readonly Datum[]): void {
    for (let i = 0; i < this.#notNull.length; i++) {
      const att = this.#notNull[i]!;
      if (values[att] === null) throw this.#nullViolation(att, values);
    }
  }

  #nullViolation(att: number, values: readonly Datum[]): Error {
    const relation = this.#relation;
    const column = relation.att.attrs[att]!.name;
    return ereport(
      ERRCODE.NOT_NULL_VIOLATION,
      `null value in column "${column}" of relation "${relation.name}" violates not-null constraint`,
      {
        detail: `Failing row contains ${describeRow(this.#est, relation, values)}.`,
        schema: schemaName(this.#est, relation),
        table: relation.name,
        column,
      },
    );
  }

  /** CHECK constraints on the row the scope reads as row 0. */
  check(values: readonly Datum[]): void {
    for (const { name, clauses } of this.#checks) {
      for (const clause of clauses) {
        if (clause(0) !== false) continue;
        const relation = this.#relation;
        throw ereport(
          ERRCODE.CHECK_VIOLATION,
          `new row for relation "${relation.name}" violates check constraint "${name}"`,
          {
            detail: `Failing row contains ${describeRow(this.#est, relation, values)}.`,
            schema: schemaName(this.#est, relation),
            table: relation.name,
            constraint: name,
          },
        );
      }
    }
  }
}

/** WITH CHECK OPTION of the views a row is written through. */
export class CheckOptions {
  readonly #est: EState;
  readonly #relation: RelationDesc;
  readonly #options: readonly { readonly relname: string | null; readonly passes: RowReader }[];

  /** `scope` reads the new row. */
  constructor(est: EState, relation: RelationDesc, options: ModifyTable['withCheckOptions'], scope: ExprScope) {
    this.#est = est;
    this.#relation = relation;
    this.#options = options.map(w => ({ relname: w.relname, passes: compileExpr(w.qual, scope) }));
  }

  /** The row the scope reads as row 0. */
  check(values: readonly Datum[]): void {
    for (const { relname, passes } of this.#options) {
      if (passes(0) === true) continue;
      throw ereport(ERRCODE.WITH_CHECK_OPTION_VIOLATION, `new row violates check option for view "${relname}"`, {
        detail: `Failing row contains ${describeRow(this.#est, this.#relation, values)}.`,
      });
    }
  }
}
