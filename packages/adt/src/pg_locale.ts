/**
 * Which functions cannot work without a collation, and what they say when the expression's collation could not be
 * determined (columns of different collations in it). Raised when the function is called, not before: a strict
 * one that sees a null, or no row at all, says nothing.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';

const USERS: readonly (readonly [use: string, prosrcs: string])[] = [
  [
    'string comparison',
    `texteq textne text_lt text_le text_gt text_ge bttextcmp text_larger text_smaller text_starts_with
     bpchareq bpcharne bpcharlt bpcharle bpchargt bpcharge bpcharcmp bpchar_larger bpchar_smaller
     nameeqtext namenetext nameletext namegttext namegetext btnametextcmp
     namelttext texteqname textnename textltname textlename textgtname textgename bttextnamecmp
     namelt namele namegt namege btnamecmp
     textpos replace_text split_part text_to_array text_to_array_null text_to_table text_to_table_null`,
  ],
  ['string hashing', 'hashtext hashtextextended hashbpchar hashbpcharextended'],
  ['lower() function', 'lower'],
  ['upper() function', 'upper'],
  ['initcap() function', 'initcap'],
  ['ILIKE', 'texticlike texticnlike nameiclike nameicnlike'],
  [
    'regular expression',
    `textregexeq textregexne texticregexeq texticregexne nameregexeq nameregexne nameicregexeq nameicregexne
     textregexsubstr textregexreplace_noopt
     textregexreplace textregexreplace_extended textregexreplace_extended_no_n textregexreplace_extended_no_flags
     regexp_count regexp_count_no_start regexp_count_no_flags regexp_instr regexp_instr_no_start
     regexp_instr_no_n regexp_instr_no_endoption regexp_instr_no_flags regexp_instr_no_subexpr
     regexp_like regexp_like_no_flags regexp_match regexp_match_no_flags regexp_matches regexp_matches_no_flags
     regexp_split_to_table regexp_split_to_table_no_flags regexp_split_to_array regexp_split_to_array_no_flags
     regexp_substr regexp_substr_no_start regexp_substr_no_n regexp_substr_no_flags regexp_substr_no_subexpr`,
  ],
];

const uses = new Map(USERS.flatMap(([use, prosrcs]) => prosrcs.split(/\s+/).map(prosrc => [prosrc, use] as const)));

/** What to call instead of a function whose collation is not known; undefined if it does without. */
export function indeterminateCollation(prosrc: string, collation: number): (() => never) | undefined {
  if (collation !== 0) return undefined;
  const use = uses.get(prosrc);
  if (use === undefined) return undefined;
  return () => {
    throw indeterminate(use);
  };
}

export function indeterminate(use: string): PgError {
  return ereport(ERRCODE.INDETERMINATE_COLLATION, `could not determine which collation to use for ${use}`, {
    hint: 'Use the COLLATE clause to set the collation explicitly.',
  });
}
