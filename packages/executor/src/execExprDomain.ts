/**
 * Casts to domains: NOT NULL and CHECK of the domain and of the domains below it.
 */
import { formatType } from '@pgtroupe/adt/format_type';
import { TEXTOID } from '@pgtroupe/common/oids';
import { CONRELID, NAMESPACEOID, TYPEOID } from '@pgtroupe/catalog/syscache';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { type ErrorFields, ereport } from '@pgtroupe/common/ereport';
import type { CoerceToDomain } from '@pgtroupe/nodes/primnodes';
import { storedExpr } from './estate.ts';
import type { RowReader } from './batch.ts';
import { compileExpr, type ExprScope, innerScope, makeCall } from './execExpr.ts';

interface DomainCheck {
  readonly name: string;
  readonly read: RowReader;
}

export function compileDomainCoercion(expr: CoerceToDomain, scope: ExprScope): RowReader {
  const { rows } = scope.est.env;
  const arg = compileExpr(expr.arg, scope);
  const cell: { value: Datum } = { value: null };
  const checks: DomainCheck[] = [];
  let notNullDomain: string | undefined;
  const outermost = rows.search(TYPEOID, expr.resulttype)!;
  for (let type = outermost; type.typtype === 'd'; type = rows.search(TYPEOID, type.typbasetype)!) {
    if (type.typnotnull) notNullDomain = type.typname;
    const own: DomainCheck[] = [];
    for (const constraint of rows.searchList(CONRELID, 0, type.oid)) {
      if (constraint.contype !== 'c' || constraint.conbin === null) continue;
      const check = storedExpr(scope.est.env, constraint.conbin);
      own.push({ name: constraint.conname, read: compileExpr(check, innerScope(scope, { domainValue: cell })) });
    }
    // Constraints of inner domains come first, each domain's own in name order.
    checks.unshift(...own.sort((a, b) => (a.name < b.name ? -1 : 1)));
  }
  // Shown as the search path wants it.
  const shown = (): string => formatType(makeCall(scope.est, [], TEXTOID, 0), outermost.oid);
  const names = (): ErrorFields => ({
    schema: rows.search(NAMESPACEOID, outermost.typnamespace)?.nspname,
    dataType: outermost.typname,
  });
  return row => {
    const value = arg(row);
    if (value === null && notNullDomain !== undefined) {
      throw ereport(ERRCODE.NOT_NULL_VIOLATION, `domain ${shown()} does not allow null values`, names());
    }
    cell.value = value;
    for (const check of checks) {
      if (check.read(row) === false) {
        throw ereport(
          ERRCODE.CHECK_VIOLATION,
          `value for domain ${shown()} violates check constraint "${check.name}"`,
          { ...names(), constraint: check.name },
        );
      }
    }
    return value;
  };
}
