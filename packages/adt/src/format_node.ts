/**
 * Format pictures of to_char() and its inverses: a text cut into keywords and literal characters.
 */

export interface FormatNode {
  /** Keyword as written; '' for literal text. */
  readonly key: string;
  /** Literal text, or the keyword's text. */
  readonly text: string;
  readonly fill: boolean;
  readonly localized: boolean;
  /** Ordinal suffix after the keyword. */
  readonly th: '' | 'TH' | 'th';
  /** Literals: true between double quotes. */
  readonly quoted: boolean;
}

/** As keywords are tried: longer ones before those that they begin with. */
export const ROMAN_MONTHS = ['XII', 'XI', 'X', 'IX', 'VIII', 'VII', 'VI', 'V', 'IV', 'III', 'II', 'I'];

const DATE_KEYWORDS = (
  'A.D. A.M. AD AM B.C. BC CC DAY DDD DD DY Day Dy D FF1 FF2 FF3 FF4 FF5 FF6 FX HH24 HH12 HH IDDD ID IW IYYY IYY IY I J MI MM MONTH MON MS Month Mon OF P.M. PM Q ' +
  'RM SSSSS SSSS SS TZH TZM TZ US WW W Y,YYY YYYY YYY YY Y a.d. a.m. ad am b.c. bc cc day ddd dd dy d ff1 ff2 ff3 ff4 ff5 ff6 fx hh24 hh12 hh iddd id iw iyyy iyy ' +
  'iy i j mi mm month mon ms of p.m. pm q rm sssss ssss ss tzh tzm tz us ww w y,yyy yyyy yyy yy y'
).split(' ');
const NUMBER_KEYWORDS =
  ', . 0 9 B C D EEEE FM G L MI PL PR RN SG SP S TH V b c d eeee fm g l mi pl pr rn sg sp s th v'.split(' ');

/** By first character, in the order they are tried. */
function index(keywords: readonly string[]): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const k of keywords) out.set(k[0], [...(out.get(k[0]) ?? []), k]);
  return out;
}

const DATE_INDEX = index(DATE_KEYWORDS);
const NUMBER_INDEX = index(NUMBER_KEYWORDS);

export function parseFormat(format: string, kind: 'date' | 'number'): FormatNode[] {
  const keywords = kind === 'date' ? DATE_INDEX : NUMBER_INDEX;
  const out: FormatNode[] = [];
  const literal = (text: string, quoted: boolean): void => {
    out.push({ key: '', text, fill: false, localized: false, th: '', quoted });
  };
  let at = 0;
  while (at < format.length) {
    let fill = false;
    let localized = false;
    const start = at;
    if (kind === 'date') {
      for (
        let m = /^(?:FM|fm|TM|tm)/.exec(format.slice(at, at + 2));
        m;
        m = /^(?:FM|fm|TM|tm)/.exec(format.slice(at, at + 2))
      ) {
        if (m[0].toUpperCase() === 'FM') fill = true;
        else localized = true;
        at += 2;
      }
    }
    const key = keywords.get(format[at])?.find(k => format.startsWith(k, at));
    if (key !== undefined) {
      at += key.length;
      let th: FormatNode['th'] = '';
      if (kind === 'date') {
        if (format.startsWith('TH', at)) th = 'TH';
        else if (format.startsWith('th', at)) th = 'th';
        if (th !== '') at += 2;
        else if (/^(?:SP|sp)/.test(format.slice(at, at + 2))) at += 2;
      }
      out.push({ key, text: key, fill, localized, th, quoted: false });
      continue;
    }
    if (at > start && at >= format.length) break;
    if (format[at] === '"') {
      for (at++; at < format.length && format[at] !== '"'; ) {
        if (format[at] === '\\' && at + 1 < format.length) at++;
        const ch = String.fromCodePoint(format.codePointAt(at)!);
        literal(ch, true);
        at += ch.length;
      }
      at++;
      continue;
    }
    if (format[at] === '\\' && format[at + 1] === '"') at++;
    const ch = String.fromCodePoint(format.codePointAt(at)!);
    literal(ch, false);
    at += ch.length;
  }
  return out;
}

/** st, nd, rd or th for a number's text. */
export function ordinal(digits: string, upper: boolean): string {
  const last = digits[digits.length - 1];
  const teen = digits.length > 1 && digits[digits.length - 2] === '1';
  const suffix = teen ? 'th' : last === '1' ? 'st' : last === '2' ? 'nd' : last === '3' ? 'rd' : 'th';
  return upper ? suffix.toUpperCase() : suffix;
}
