/**
 * Functions about extensions (extension.c): which there are.
 */
import { EXTENSIONS } from '@pgtroupe/catalog/extensions';
import type { Datum } from '@pgtroupe/common/datum';
import type { SetFunctionTable } from './fmgr.ts';
import { stringToText } from './mb/mbutils.ts';

function* availableExtensions(): Iterable<Datum[]> {
  for (const control of EXTENSIONS)
    yield [stringToText(control.name), stringToText(control.version), stringToText(control.comment)];
}

function* availableVersions(): Iterable<Datum[]> {
  for (const { name: extname, version, trusted, relocatable, schema, comment } of EXTENSIONS) {
    yield [
      stringToText(extname),
      stringToText(version),
      true,
      trusted,
      relocatable,
      schema === undefined ? null : stringToText(schema),
      null,
      stringToText(comment),
    ];
  }
}

/** Of each extension there is one version: no way leads from one to another. */
const updatePaths = (): Iterable<Datum[]> => [];

export const extensionSetFunctions: SetFunctionTable = {
  pg_available_extensions: availableExtensions,
  pg_available_extension_versions: availableVersions,
  pg_extension_update_paths: updatePaths,
};
