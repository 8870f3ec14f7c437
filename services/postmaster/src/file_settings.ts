/** pg_file_settings: what the configuration files say now, and what would become of it. */
import { rereadConfiguration } from '@pgtroupe/actor/node/datadir';
import type { Configuration } from '@pgtroupe/common/guc_apply';
import type { FileSetting } from '@pgtroupe/rpc/generated/postmaster';

export function fileSettings(dataDirectory: string, running: Configuration): FileSetting[] {
  return rereadConfiguration(dataDirectory, running).items.map(({ file, line, name, value, applied, error }) => {
    return { file, line, name, setting: value, applied, error };
  });
}
