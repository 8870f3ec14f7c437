/** Finds a worker's module and its `main`. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { BackgroundWorker } from './worker.ts';

/** Those that come with pgtroupe. */
const LIBDIR = '$libdir/';

type Main = (worker: BackgroundWorker) => unknown;

/** A relative path begins at the data directory, which is where the process is. */
export async function loadMain(module: string): Promise<Main> {
  const url = module.startsWith(LIBDIR)
    ? new URL(`./examples/${module.slice(LIBDIR.length).replace(/\.js$/, '')}.js`, import.meta.url)
    : pathToFileURL(resolve(module));
  let loaded: { readonly main?: unknown; readonly default?: unknown };
  try {
    loaded = (await import(url.href)) as typeof loaded;
  } catch (error) {
    const { code, url: missing } = error as { readonly code?: string; readonly url?: string };
    if (code !== 'ERR_MODULE_NOT_FOUND' || (missing !== undefined && missing !== url.href)) throw error;
    throw ereport(ERRCODE.UNDEFINED_FILE, `could not access file "${module}": No such file or directory`);
  }
  const main = loaded.main ?? loaded.default;
  if (typeof main === 'function') return main as Main;
  throw ereport(ERRCODE.UNDEFINED_FUNCTION, `could not find function "main" in file "${module}"`);
}
