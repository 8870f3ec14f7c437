/**
 * postgresql.conf: its grammar, includes, and the judgement of what it says.
 *
 *   line := [name ['='] value] ['#' comment]
 *   value := 'quoted' ('' or \-escapes inside) | word
 *   include 'file'   include_if_exists 'file'   include_dir 'folder' (its *.conf, in name order)
 *
 * Later entries win. Relative includes start at the including file's folder. Reading files is the
 * caller's business (`ConfigFiles`), so this stays pure.
 */
import { ereport } from './ereport.ts';
import { ERRCODE } from './errcodes.ts';
import { findGuc, gucSetting, parseGuc, unknownGuc } from './guc.ts';
import { withoutEffect } from './guc_effectless.ts';
import { unsupportedValue } from './guc_unsupported.ts';

export interface ConfigFiles {
  /** undefined: there is no such file. */
  read(path: string): string | undefined;
  /** Names in a folder; undefined: there is no such folder. */
  list(path: string): readonly string[] | undefined;
}

export interface ConfigEntry {
  readonly name: string;
  readonly value: string;
  readonly file: string;
  readonly line: number;
}

const MAX_INCLUDE_DEPTH = 10;
const LINE =
  /^\s*(?:(?<name>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*(?:\.[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)*)(?:\s*=\s*|\s+|(?='))(?<value>'(?:[^'\\\n]|''|\\.)*'|[^\s#'=]+)\s*)?(?:#.*)?$/;

/** Every entry in order, includes unfolded. Throws F0000 at the first line that makes no sense. */
export function parseConfigFile(files: ConfigFiles, path: string, depth = 0): ConfigEntry[] {
  if (depth > MAX_INCLUDE_DEPTH) {
    throw ereport(
      ERRCODE.PROGRAM_LIMIT_EXCEEDED,
      `could not open configuration file "${path}": maximum nesting depth exceeded`,
    );
  }
  const text = files.read(path);
  if (text === undefined) {
    throw ereport(ERRCODE.CONFIG_FILE_ERROR, `could not open configuration file "${path}": No such file or directory`);
  }
  const entries: ConfigEntry[] = [];
  text.split('\n').forEach((raw, index) => {
    const line = index + 1;
    const match = LINE.exec(raw.replace(/\r$/, ''));
    if (match === null) {
      const near = /^\s*[\w.$]+\s*=?\s*('?[^\s]*)/.exec(raw)?.[1] || raw.trim();
      throw ereport(ERRCODE.SYNTAX_ERROR, `syntax error in file "${path}" line ${line}, near token "${near}"`);
    }
    const name = match.groups?.['name'];
    if (name === undefined) return;
    const value = unquote(match.groups!['value']!);
    switch (name.toLowerCase()) {
      case 'include':
        return void entries.push(...parseConfigFile(files, resolve(path, value), depth + 1));
      case 'include_if_exists':
        if (files.read(resolve(path, value)) !== undefined) {
          entries.push(...parseConfigFile(files, resolve(path, value), depth + 1));
        }
        return;
      case 'include_dir': {
        const folder = resolve(path, value);
        const names = files.list(folder);
        if (names === undefined) {
          throw ereport(ERRCODE.CONFIG_FILE_ERROR, `could not open configuration directory "${folder}"`);
        }
        const included = names.filter(n => n.endsWith('.conf') && !n.startsWith('.')).sort();
        for (const n of included) entries.push(...parseConfigFile(files, `${folder}/${n}`, depth + 1));
        return;
      }
      default:
        entries.push({ name, value, file: path, line });
    }
  });
  return entries;
}

function resolve(from: string, path: string): string {
  if (path.startsWith('/')) return path;
  const slash = from.lastIndexOf('/');
  return slash < 0 ? path : `${from.slice(0, slash)}/${path}`;
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function unquote(value: string): string {
  if (!value.startsWith("'")) return value;
  return value.slice(1, -1).replace(/''|\\([0-7]{1,3})|\\(.)/g, (whole, octal?: string, escaped?: string) => {
    if (whole === "''") return "'";
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
    return ESCAPES[escaped!] ?? escaped!;
  });
}

/**
 * What the entries amount to, as `setting` text by canonical name. The first thing wrong is thrown,
 * in PostgreSQL's words, with where it stands.
 */
export function applyConfig(entries: readonly ConfigEntry[]): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const { name, value, file, line } of entries) {
    const where = file === '' ? '' : ` in file "${file}" line ${line}`;
    const facts = findGuc(name);
    if (facts === undefined) {
      const unknown = unknownGuc(name, where);
      if (unknown !== undefined) throw unknown;
      settings[name] = value;
      continue;
    }
    if (facts.context === 'internal' || facts.flags?.includes('DISALLOW_IN_FILE') === true) {
      throw ereport(ERRCODE.CANT_CHANGE_RUNTIME_PARAM, `parameter "${facts.name}" cannot be changed`);
    }
    const parsed = parseGuc(facts, value);
    const unsupported = unsupportedValue(facts, parsed);
    if (unsupported !== undefined) throw ereport(unsupported.sqlstate, `${unsupported.message}${where}`);
    settings[facts.name] = gucSetting(facts, parsed);
  }
  return settings;
}

/** A line for each setting that does nothing. */
export function effectlessSettings(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, text]) => {
    const facts = findGuc(name);
    const message = facts === undefined ? undefined : withoutEffect(facts, parseGuc(facts, text));
    return message === undefined ? [] : [message];
  });
}

/** Settings whose only effect would be to lose data: accepted, because test tools pass them, but on. */
const ALWAYS_ON = ['fsync', 'full_page_writes'] as const;

/** Returns a warning for each that was switched off, and switches it on again. */
export function keepDurable(settings: Record<string, string>): string[] {
  const warnings: string[] = [];
  for (const name of ALWAYS_ON) {
    if (settings[name] !== 'off') continue;
    delete settings[name];
    warnings.push(`"${name}" stays on: pgtroupe never gives up durability`);
  }
  return warnings;
}
