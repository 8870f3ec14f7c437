/**
 * Tables whose rows COPY FROM cannot take as they come: columns with defaults that are left out, CHECK constraints.
 * All others have no rules, and pay for none.
 */
import { VOIDOID } from '@pgtroupe/common/oids';
import { DETOAST_MISS } from '@pgtroupe/access/common/detoast';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Datum } from '@pgtroupe/common/datum';
import { type OmittedColumn, RowRules } from '@pgtroupe/executor/rowrules';
import { makeParseState } from '@pgtroupe/parser/analyze';
import { buildColumnDefault } from '@pgtroupe/parser/rewrite/rewriteTargetList';
import type { LiveSnapshot } from '@pgtroupe/instance/instance-transactions';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { CommandRunner } from './command-runner.ts';
import { simplified } from '@pgtroupe/executor/estate';

export class CopyRules {
  readonly #runner: CommandRunner;
  readonly #rules: RowRules;
  readonly #live: LiveSnapshot;

  private constructor(runner: CommandRunner, rules: RowRules, live: LiveSnapshot) {
    this.#runner = runner;
    this.#rules = rules;
    this.#live = live;
  }

  /** The table's, or undefined when rows may be stored as they come (but for NOT NULL). */
  static async of(
    runner: CommandRunner,
    table: RelationDesc,
    columns: readonly number[],
  ): Promise<CopyRules | undefined> {
    const { analysis, functions, session } = runner;
    const env = runner.execEnv();
    const omitted = await withCatalog(() => {
      const pstate = makeParseState({ catalog: analysis.lookup(), fc: functions.call([], VOIDOID), sourceText: '' });
      return table.attributes.flatMap((attribute, att): OmittedColumn[] => {
        if (attribute.attisdropped || columns.includes(att)) return [];
        const expr = buildColumnDefault(pstate, attribute);
        return expr === null ? [] : [{ att, default: simplified(env, expr) }];
      });
    });
    if (omitted.length === 0 && table.rel.relchecks === 0) return undefined;
    const live = await session.block.statementSnapshot();
    try {
      return new CopyRules(runner, await withCatalog(() => new RowRules(env, table, omitted, live.snapshot)), live);
    } catch (error) {
      session.block.releaseSnapshot(live);
      throw error;
    }
  }

  /** Completes and checks a row; a promise when something must be read for it first. */
  apply(values: Datum[]): Promise<void> | undefined {
    try {
      this.#rules.complete(values);
      return undefined;
    } catch (error) {
      if (error instanceof CatalogMiss) return error.load().then(() => this.#again(values));
      if (error !== DETOAST_MISS) throw error;
      const { kernel } = this.#runner.session.instance;
      return kernel.satisfy(kernel.pages.want, this.#runner.session.owner).then(() => this.#again(values));
    }
  }

  #again(values: Datum[]): Promise<void> | undefined {
    this.#runner.session.enter();
    return this.apply(values);
  }

  close(): void {
    this.#rules.close();
    this.#runner.session.block.releaseSnapshot(this.#live);
  }
}
