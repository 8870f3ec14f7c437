/**
 * md5() and the sha*() functions.
 */
import { createHash } from 'node:crypto';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { stringToText } from './mb/mbutils.ts';

const hash =
  (algorithm: string) =>
  (_fc: FunctionCall, bytes: Uint8Array): Uint8Array =>
    new Uint8Array(createHash(algorithm).update(bytes).digest());
const md5 = (_fc: FunctionCall, bytes: Uint8Array): Uint8Array =>
  stringToText(createHash('md5').update(bytes).digest('hex'));

export const cryptohashFunctions: FunctionTable = {
  md5_text: md5,
  md5_bytea: md5,
  sha224_bytea: hash('sha224'),
  sha256_bytea: hash('sha256'),
  sha384_bytea: hash('sha384'),
  sha512_bytea: hash('sha512'),
};
