/**
 * to_ascii(): the letters of four encodings without what is above them. It works on bytes, whatever the database's
 * encoding is; UTF8, the encoding of every database here, is none of the four.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { textToString } from './mb/mbutils.ts';
import { charToEncoding, encodingToChar } from './misc.ts';

/** What the last bytes of an encoding look like in ASCII; the non-ASCII bytes before them are blanks. */
const LOOK_ALIKES: Readonly<Record<string, string>> = {
  LATIN1: '  cL Y  "Ca  -R     \'u .,      ?AAAAAAACEEEEIIII NOOOOOxOUUUUYTBaaaaaaaceeeeiiii nooooo/ouuuuyty',
  LATIN2: ' A L LS "SSTZ-ZZ a,l\'ls ,sstz"zzRAAAALCCCEEEEIIDDNNOOOOxRUUUUYTBraaaalccceeeeiiddnnoooo/ruuuuyt.',
  LATIN9: '  cL YS sCa  -R     Zu .z   EeY?AAAAAAACEEEEIIII NOOOOOxOUUUUYTBaaaaaaaceeeeiiii nooooo/ouuuuyty',
  WIN1250:
    '  \' "    %S<STZZ `\'"".--  s>stzz   L A  "CS  -RZ  ,l\'u .,as L"lzRAAAALCCCEEEEIIDDNNOOOOxRUUUUYTBraaaalccceeeeiiddnnoooo/ruuuuyt ',
};

function toAscii(text: Uint8Array, encoding: string): Uint8Array {
  const table = LOOK_ALIKES[encoding];
  if (table === undefined)
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `encoding conversion from ${encoding} to ASCII not supported`);
  const first = 256 - table.length;
  return text.map(byte => (byte < 128 ? byte : byte < first ? 32 : table.charCodeAt(byte - first)));
}

export const asciiFunctions: FunctionTable = {
  to_ascii_default: (_fc: FunctionCall, text: Uint8Array) => toAscii(text, 'UTF8'),
  to_ascii_encname: (_fc: FunctionCall, text: Uint8Array, name: Uint8Array) => {
    const encoding = charToEncoding(textToString(name));
    if (encoding < 0) throw ereport(ERRCODE.UNDEFINED_OBJECT, `${textToString(name)} is not a valid encoding name`);
    return toAscii(text, encodingToChar(encoding));
  },
  to_ascii_enc: (_fc: FunctionCall, text: Uint8Array, encoding: number) => {
    const name = encodingToChar(encoding);
    if (name === '') throw ereport(ERRCODE.UNDEFINED_OBJECT, `${encoding} is not a valid encoding code`);
    return toAscii(text, name);
  },
};
