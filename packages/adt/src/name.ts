/**
 * Type name: an identifier of at most 63 bytes, compared bytewise (collation C). Input longer than
 * that is cut at a character boundary without a word, as in PostgreSQL.
 */
import { bytesCmp, bytesEq, bytesGe, bytesGt, bytesLe, bytesLt, bytesNe } from './bytescompare.ts';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { concatBytes, invalidUtf8At, mbCliplen, stringToText } from './mb/mbutils.ts';
import { buildTextArray } from './arrayutils.ts';
import { invalidByteSequence } from './varlena.ts';

export const NAMEDATALEN = 64;

export function clipName(bytes: Uint8Array): Uint8Array {
  return bytes.length < NAMEDATALEN ? bytes : bytes.subarray(0, mbCliplen(bytes, NAMEDATALEN - 1));
}

export const nameFunctions: FunctionTable = {
  namein: (_fc: FunctionCall, text: Uint8Array) => clipName(text),
  nameout: (_fc: FunctionCall, name: Uint8Array) => name,
  namerecv: (_fc: FunctionCall, bytes: Uint8Array) => {
    if (invalidUtf8At(bytes) >= 0) throw invalidByteSequence(bytes);
    if (bytes.length >= NAMEDATALEN) {
      throw ereport(ERRCODE.NAME_TOO_LONG, 'identifier too long', {
        detail: 'Identifier must be less than 64 characters.',
      });
    }
    return bytes;
  },
  namesend: (_fc: FunctionCall, name: Uint8Array) => name,
  nameeq: bytesEq,
  namene: bytesNe,
  namelt: bytesLt,
  namele: bytesLe,
  namegt: bytesGt,
  namege: bytesGe,
  btnamecmp: bytesCmp,
  nameeqtext: bytesEq,
  namenetext: bytesNe,
  namelttext: bytesLt,
  nameletext: bytesLe,
  namegttext: bytesGt,
  namegetext: bytesGe,
  btnametextcmp: bytesCmp,
  texteqname: bytesEq,
  textnename: bytesNe,
  textltname: bytesLt,
  textlename: bytesLe,
  textgtname: bytesGt,
  textgename: bytesGe,
  bttextnamecmp: bytesCmp,
  nameconcatoid: (_fc: FunctionCall, name: Uint8Array, oid: number) => {
    const suffix = stringToText(`_${oid >>> 0}`);
    return concatBytes(name.subarray(0, mbCliplen(name, NAMEDATALEN - 1 - suffix.length)), suffix);
  },
  name_text: (_fc: FunctionCall, name: Uint8Array) => name,
  text_name: (_fc: FunctionCall, text: Uint8Array) => clipName(text),
  name_bpchar: (_fc: FunctionCall, name: Uint8Array) => name,
  current_user: (fc: FunctionCall) => stringToText(fc.settings.currentUser),
  session_user: (fc: FunctionCall) => stringToText(fc.settings.sessionUser),
  current_schema: (fc: FunctionCall) =>
    fc.settings.searchPath.length === 0 ? null : stringToText(fc.settings.searchPath[0]),
  current_schemas: (fc: FunctionCall, implicit: boolean) => {
    const path = fc.settings.searchPath;
    const names = implicit && !path.includes('pg_catalog') ? ['pg_catalog', ...path] : path;
    return buildTextArray(names.map(stringToText), 19 as Oid);
  },
};
