/** What DECLARE CURSOR may ask for, and of which queries (transformDeclareCursorStmt). */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { ParseState } from './parse_node.ts';

const CURSOR_OPT_SCROLL = 2;
const CURSOR_OPT_NO_SCROLL = 4;
const CURSOR_OPT_INSENSITIVE = 8;
const CURSOR_OPT_ASENSITIVE = 16;
const CURSOR_OPT_HOLD = 32;
const STRENGTH_NAMES = ['', 'FOR KEY SHARE', 'FOR SHARE', 'FOR NO KEY UPDATE', 'FOR UPDATE'];

export function checkCursorOptions(pstate: ParseState, raw: RawNode): void {
  const options: number = raw.options ?? 0;
  const both = (a: number, b: number, names: string) => {
    if (options & a && options & b)
      throw pstate.error(ERRCODE.INVALID_CURSOR_DEFINITION, `cannot specify both ${names}`);
  };
  both(CURSOR_OPT_SCROLL, CURSOR_OPT_NO_SCROLL, 'SCROLL and NO SCROLL');
  both(CURSOR_OPT_ASENSITIVE, CURSOR_OPT_INSENSITIVE, 'ASENSITIVE and INSENSITIVE');
}

export function checkCursorQuery(pstate: ParseState, raw: RawNode, query: Query): void {
  const options: number = raw.options ?? 0;
  if (query.hasModifyingCTE) {
    throw pstate.error(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      'DECLARE CURSOR must not contain data-modifying statements in WITH',
    );
  }
  const [mark] = query.rowMarks;
  if (mark) {
    const lock = STRENGTH_NAMES[mark.strength];
    if (options & CURSOR_OPT_HOLD) {
      throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, `DECLARE CURSOR WITH HOLD ... ${lock} is not supported`, -1, {
        detail: 'Holdable cursors must be READ ONLY.',
      });
    }
    if (options & CURSOR_OPT_SCROLL) {
      throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, `DECLARE SCROLL CURSOR ... ${lock} is not supported`, -1, {
        detail: 'Scrollable cursors must be READ ONLY.',
      });
    }
    if (options & CURSOR_OPT_INSENSITIVE) {
      throw pstate.error(ERRCODE.INVALID_CURSOR_DEFINITION, `DECLARE INSENSITIVE CURSOR ... ${lock} is not valid`, -1, {
        detail: 'Insensitive cursors must be READ ONLY.',
      });
    }
  }
}
