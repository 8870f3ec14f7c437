/**
 * What this instance knows of one B-tree index: its shape, compiled from the catalogs, and two hints
 * (where the root is, where the last rightmost insertion went) that are checked on each use.
 *
 * One object per index and relcache entry; make a new one when the entry is invalidated.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { BlockNumber } from '@pgtroupe/common/ids';
import type { PageAccess, SmgrRelation } from '@pgtroupe/storage/buffer/pages';
import { pageGetSpecial } from '@pgtroupe/storage/page/bufpage';
import { type TupleLayout, tupleLayout } from '../common/heaptuple.ts';
import type { TupleDesc } from '../common/tupdesc.ts';
import {
  ATT_BOOL,
  ATT_CHAR,
  ATT_CSTRING,
  ATT_FIXED,
  ATT_INT2,
  ATT_INT4,
  ATT_INT8,
  ATT_NAME,
  ATT_UINT4,
  ATT_VARLENA,
} from '../common/tupmacs.ts';
import { BT_SPECIAL, BTREE_DEFAULT_FILLFACTOR } from './nbtree.ts';
import { btSupportProc, type Compare } from './nbtcompare.ts';

/** pg_index.indoption */
export const INDOPTION_DESC = 1;
export const INDOPTION_NULLS_FIRST = 2;

export interface BTKeyColumn {
  /** prosrc of support function 1. */
  readonly orderProc: string;
  /** pg_index.indoption. */
  readonly option: number;
  /** For types that nbtcompare.ts does not know; never taken for equal-image. */
  readonly compare?: Compare | undefined;
}

export interface BTIndexInfo {
  readonly rel: SmgrRelation;
  readonly name: string;
  /** For messages. */
  readonly tableName: string;
  /** All columns, INCLUDE columns behind the keys. */
  readonly att: TupleDesc;
  readonly keys: readonly BTKeyColumn[];
  readonly unique: boolean;
  readonly nullsNotDistinct?: boolean;
  readonly fillfactor?: number;
  /** deduplicate_items, on by default. */
  readonly deduplicate?: boolean;
}

/** How two values of a column are compared: on page bytes where the type allows it. */
export const CMP_FUNCTION = 0;
export const CMP_INT4 = 1;
export const CMP_OID = 2;
export const CMP_INT8 = 3;
export const CMP_INT2 = 4;
/** One unsigned byte: "char" and bool. */
export const CMP_BYTE = 5;
export const CMP_VARLENA = 6;
/** name, and name as indexes store it (cstring). */
export const CMP_CSTRING = 7;
export const CMP_FIXED = 8;

export class BTIndex {
  readonly rel: SmgrRelation;
  readonly name: string;
  readonly tableName: string;
  readonly att: TupleDesc;
  readonly layout: TupleLayout;
  readonly natts: number;
  readonly nkeyatts: number;
  readonly unique: boolean;
  readonly nullsNotDistinct: boolean;
  readonly fillfactor: number;
  readonly deduplicate: boolean;
  /** Of a newly built index; an existing one has its own in the metapage. */
  readonly allequalimage: boolean;
  /** By key column. */
  readonly mode: Uint8Array;
  readonly compare: readonly Compare[];
  readonly option: Uint8Array;

  /** May the existing index have posting lists? From its metapage; set before any page of it is changed. */
  postingLists = false;
  /** Fast root found last, P_NONE unknown. */
  rootBlock = 0;
  rootLevel = 0;
  /** Deleted pages that the free space map named, to be looked at before they are used. */
  readonly freeBlocks: number[] = [];
  /** The map knew none: so many new pages are taken before it is asked again, of a run that was so long. */
  extend = 0;
  extendRun = 0;
  /** Rightmost leaf inserted into last, 0 none. */
  targetBlock = 0;

  constructor(info: BTIndexInfo) {
    this.rel = info.rel;
    this.name = info.name;
    this.tableName = info.tableName;
    this.att = info.att;
    this.layout = tupleLayout(info.att);
    this.natts = info.att.attrs.length;
    this.nkeyatts = info.keys.length;
    this.unique = info.unique;
    this.nullsNotDistinct = info.nullsNotDistinct ?? false;
    this.fillfactor = info.fillfactor ?? BTREE_DEFAULT_FILLFACTOR;
    this.mode = new Uint8Array(this.nkeyatts);
    this.option = Uint8Array.from(info.keys, key => key.option);
    let equalImage = this.nkeyatts === this.natts;
    this.compare = info.keys.map((key, i) => {
      if (key.compare !== undefined) {
        equalImage = false;
        return key.compare;
      }
      const proc = btSupportProc(key.orderProc);
      if (proc === undefined) throw notSupported(`btree support function ${key.orderProc}`);
      this.mode[i] = compareMode(this.layout.kind[i]!, proc.order);
      equalImage &&= proc.equalImage;
      return proc.compare;
    });
    this.allequalimage = equalImage;
    this.deduplicate = equalImage && !info.unique && (info.deduplicate ?? true);
  }
}

function compareMode(kind: number, order: 'scalar' | 'bytes' | 'other'): number {
  if (order === 'scalar') {
    switch (kind) {
      case ATT_INT4:
        return CMP_INT4;
      case ATT_UINT4:
        return CMP_OID;
      case ATT_INT8:
        return CMP_INT8;
      case ATT_INT2:
        return CMP_INT2;
      case ATT_BOOL:
      case ATT_CHAR:
        return CMP_BYTE;
      default:
        return CMP_FUNCTION;
    }
  }
  if (order === 'other') return CMP_FUNCTION;
  if (kind === ATT_VARLENA) return CMP_VARLENA;
  if (kind === ATT_NAME || kind === ATT_CSTRING) return CMP_CSTRING;
  return kind === ATT_FIXED ? CMP_FIXED : CMP_FUNCTION;
}

/** A page of the index must look like one before anything else is read from it. */
export function btCheckPage(index: BTIndex, pages: PageAccess, page: number, blk: number): void {
  const special = pageGetSpecial(pages.mem, page);
  if (special === BT_SPECIAL) return;
  const what =
    special === 0 ? `contains unexpected zero page at block ${blk}` : `contains corrupted page at block ${blk}`;
  throw ereport(ERRCODE.INDEX_CORRUPTED, `index "${index.name}" ${what}`, { hint: 'Please REINDEX it.' });
}

/** A page for reading; MISS as usual. */
export function btShare(index: BTIndex, pages: PageAccess, blk: number): number {
  const page = pages.share(index.rel, 0, blk as BlockNumber);
  if (page >= 0) btCheckPage(index, pages, page, blk);
  return page;
}

/** A page for changing; MISS as usual. */
export function btExclusive(index: BTIndex, pages: PageAccess, blk: number): number {
  const page = pages.exclusive(index.rel, 0, blk as BlockNumber);
  if (page >= 0) btCheckPage(index, pages, page, blk);
  return page;
}
