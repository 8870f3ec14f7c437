/** Options in parentheses, `(name value, …)` (define.c). */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';

/** `arg`: the option's value; undefined: it is named alone, which means on. Throws 42601. */
export function defGetBoolean(name: string, arg: RawNode | undefined): boolean {
  if (arg === undefined) return true;
  const value = String(arg['sval'] ?? arg['ival'] ?? arg['boolval'] ?? (arg.type === 'Integer' ? 0 : '')).toLowerCase();
  if (['true', 'on', '1'].includes(value)) return true;
  if (['false', 'off', '0'].includes(value)) return false;
  throw ereport(ERRCODE.SYNTAX_ERROR, `${name} requires a Boolean value`);
}
