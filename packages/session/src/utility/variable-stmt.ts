/**
 * SET, RESET, SHOW and DISCARD.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { findGuc } from '@pgtroupe/common/guc';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { Session } from '../session.ts';
import { timeZoneInterval } from '../settings-timezone.ts';
import { setOfTransaction, shownOfTransaction, transactionOption } from './transaction-stmt.ts';

/** Returns the command tag. */
export async function variableSetStmt(session: Session, raw: RawNode): Promise<string> {
  const { settings, block } = session;
  const { depth } = block.tx;
  if (raw['is_local'] === true && !block.lasts) {
    session.notice('WARNING', ERRCODE.NO_ACTIVE_SQL_TRANSACTION, 'SET LOCAL can only be used in transaction blocks');
  }
  switch (raw['kind']) {
    case 'VAR_SET_VALUE': {
      const name = raw['name'] as string;
      const text = argumentText(name, raw['args']);
      if (setOfTransaction(session, name, text)) return 'SET';
      // Roles are looked up: those of now, not of this session's last statement.
      if (name === 'role' || name === 'session_authorization') await session.runner.analysis.refresh();
      session.remark(await withCatalog(() => settings.set(name, text, { local: raw['is_local'] === true, depth })));
      return 'SET';
    }
    case 'VAR_SET_DEFAULT':
    case 'VAR_RESET':
      await withCatalog(() => settings.reset(raw['name'], depth));
      return raw['kind'] === 'VAR_RESET' ? 'RESET' : 'SET';
    case 'VAR_RESET_ALL':
      settings.resetAll(depth);
      return 'RESET';
    case 'VAR_SET_MULTI':
      return setMulti(session, raw);
    default:
      throw notSupported('SET FROM CURRENT');
  }
}

/** SET TRANSACTION and SET SESSION CHARACTERISTICS. */
function setMulti(session: Session, raw: RawNode): string {
  if (raw['name'] === 'TRANSACTION') {
    if (!session.block.lasts) {
      session.notice(
        'WARNING',
        ERRCODE.NO_ACTIVE_SQL_TRANSACTION,
        'SET TRANSACTION can only be used in transaction blocks',
      );
    }
    for (const option of raw['args']) transactionOption(session, option);
    return 'SET';
  }
  if (raw['name'] === 'SESSION CHARACTERISTICS') {
    for (const option of raw['args'] as RawNode[]) {
      const value = option['arg'];
      session.settings.set(
        `default_${option['defname']}`,
        value.sval?.sval ?? (value.ival?.ival === 1 ? 'on' : 'off'),
        {
          local: false,
          depth: session.block.tx.depth,
        },
      );
    }
    return 'SET';
  }
  throw notSupported(`SET ${raw['name']}`);
}

/** What SET gives the parameter; undefined: the default. */
export function setVariableText(session: Session, raw: RawNode): string | undefined {
  const name = raw['name'] as string;
  switch (raw['kind']) {
    case 'VAR_SET_VALUE':
      return argumentText(name, raw['args']);
    case 'VAR_SET_CURRENT':
      return session.settings.show(name);
    default:
      return undefined;
  }
}

/** The value list of SET as one text: items of list parameters are quoted where they must be. */
function argumentText(name: string, args: readonly RawNode[]): string {
  const flags = findGuc(name)?.flags;
  if (args.length > 1 && flags?.includes('LIST_INPUT') !== true) {
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `SET ${name} takes only one argument`);
  }
  const texts = args.map(arg => {
    if (arg.type === 'TypeCast' && name === 'timezone') return { text: timeZoneInterval(arg), quoted: false };
    if (arg.type !== 'A_Const') throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid value for parameter "${name}"`);
    if (arg['sval'] !== undefined) return { text: (arg['sval'].sval ?? '') as string, quoted: true };
    if (arg['fval'] !== undefined) return { text: arg['fval'].fval as string, quoted: false };
    if (arg['boolval'] !== undefined) return { text: arg['boolval'].boolval ? 'true' : 'false', quoted: true };
    return { text: String(arg['ival']?.ival ?? 0), quoted: false };
  });
  const quotes = flags?.includes('LIST_QUOTE') === true;
  return texts.map(({ text, quoted }) => (quoted && quotes ? quoteIdentifier(text) : text)).join(', ');
}

/** Column names of what SHOW answers. */
export function showColumns(raw: RawNode): readonly string[] {
  return raw['name'] === 'all' ? ['name', 'setting', 'description'] : [showName(raw['name'])];
}

export function showRows(session: Session, raw: RawNode): (readonly string[])[] {
  if (raw['name'] === 'all') return [...session.settings.showAll()].map(row => [...row]);
  return [[shownOfTransaction(session, raw['name']) ?? session.settings.show(raw['name'])]];
}

/** Spelled as PostgreSQL spells the parameter. */
function showName(name: string): string {
  switch (name.toLowerCase()) {
    case 'timezone':
      return 'TimeZone';
    case 'datestyle':
      return 'DateStyle';
    case 'intervalstyle':
      return 'IntervalStyle';
    default:
      return name;
  }
}

export async function discardStmt(session: Session, raw: RawNode): Promise<string> {
  switch (raw['target']) {
    case 'DISCARD_ALL':
      session.block.prevent('DISCARD ALL');
      session.runner.discardAll();
      await withCatalog(() => session.settings.reset('session_authorization', session.block.tx.depth));
      session.settings.resetAll(session.block.tx.depth);
      session.instance.kernel.locks.releaseAllSession(session.owner);
      session.runner.functions.sequences.discard();
      return 'DISCARD ALL';
    case 'DISCARD_PLANS':
      session.runner.discardPlans();
      return 'DISCARD PLANS';
    case 'DISCARD_SEQUENCES':
      session.runner.functions.sequences.discard();
      return 'DISCARD SEQUENCES';
    default:
      return 'DISCARD TEMP';
  }
}
