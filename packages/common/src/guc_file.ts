/**
 * postgresql.conf: its grammar and its includes (guc-file.l). What it amounts to is judged in guc_apply.ts.
 *
 *   line := [name ['='] value] ['#' comment]
 *   value := 'quoted' ('' or \-escapes inside) | word | number with unit
 *   include 'file'   include_if_exists 'file'   include_dir 'folder' (its *.conf, in name order)
 *
 * Relative includes start at the including file's folder. A mistake is noted and reading goes on behind its line.
 * Reading files is the caller's business (`ConfigFiles`), so this stays pure.
 */
import { ereport, PgError } from './ereport.ts';
import { ERRCODE, type Sqlstate } from './errcodes.ts';

export interface ConfigFiles {
  /** undefined: there is no such file. Throws a PgError when it cannot be read. */
  read(path: string): string | undefined;
  /** Names in a folder; undefined: there is no such folder. */
  list(path: string): readonly string[] | undefined;
}

/** What stands in a line, or what is wrong with it: a row of pg_file_settings. */
export interface ConfigItem {
  /** undefined: a line that could not be read. */
  readonly name: string | undefined;
  readonly value: string | undefined;
  readonly file: string | undefined;
  readonly line: number;
  error: string | undefined;
  /** A later line says otherwise, or it is no setting. */
  ignore: boolean;
  applied: boolean;
}

export interface ParsedConfig {
  readonly items: ConfigItem[];
  /** For the log; none: the files make sense. */
  readonly complaints: PgError[];
  /** For the log, nothing wrong. */
  readonly remarks: string[];
}

const MAX_INCLUDE_DEPTH = 10;
const MAX_SYNTAX_ERRORS = 100;

/** The main file, which must be there, or one beside it (`optional`) that is skipped if it is missing. */
export function parseConfigFile(
  files: ConfigFiles,
  path: string,
  options: { readonly optional?: boolean } = {},
): ParsedConfig {
  const parser = new ConfigParser(files);
  parser.file(path, options.optional !== true, undefined, 0);
  return parser;
}

export function mistake(error: string, file: string | undefined, line: number): ConfigItem {
  return { name: undefined, value: undefined, file, line, error, ignore: true, applied: false };
}

/** Where an include stands. */
interface Place {
  readonly file: string;
  readonly line: number;
}

class ConfigParser implements ParsedConfig {
  readonly items: ConfigItem[] = [];
  readonly complaints: PgError[] = [];
  readonly remarks: string[] = [];
  readonly #files: ConfigFiles;

  constructor(files: ConfigFiles) {
    this.#files = files;
  }

  file(name: string, strict: boolean, from: Place | undefined, depth: number): void {
    const { INVALID_PARAMETER_VALUE, PROGRAM_LIMIT_EXCEEDED } = ERRCODE;
    if (name.trim() === '') {
      const message = `empty configuration file name: "${name}"`;
      return this.#wrong(INVALID_PARAMETER_VALUE, message, 'empty configuration file name', from);
    }
    if (depth > MAX_INCLUDE_DEPTH) {
      const message = `could not open configuration file "${name}": maximum nesting depth exceeded`;
      return this.#wrong(PROGRAM_LIMIT_EXCEEDED, message, 'nesting depth exceeded', from);
    }
    const path = resolve(from?.file, name);
    if (path === from?.file) {
      const message = `configuration file recursion in "${path}"`;
      return this.#wrong(INVALID_PARAMETER_VALUE, message, 'configuration file recursion', from);
    }
    let text: string | undefined;
    try {
      text = this.#files.read(path);
    } catch (error) {
      if (!(error instanceof PgError)) throw error;
      if (strict) {
        this.complaints.push(error);
        this.#note(`could not open file "${path}"`, from);
      } else this.remarks.push(`skipping missing configuration file "${path}"`);
      return;
    }
    if (text !== undefined) return this.#text(text, path, depth);
    if (!strict) return void this.remarks.push(`skipping missing configuration file "${path}"`);
    const message = `could not open configuration file "${path}": No such file or directory`;
    this.#wrong(ERRCODE.UNDEFINED_FILE, message, `could not open file "${path}"`, from);
  }

  #folder(name: string, from: Place, depth: number): void {
    if (name.trim() === '') {
      const message = `empty configuration directory name: "${name}"`;
      const { INVALID_PARAMETER_VALUE } = ERRCODE;
      return this.#wrong(INVALID_PARAMETER_VALUE, message, 'empty configuration directory name', from);
    }
    const path = resolve(from.file, name);
    const names = this.#files.list(path);
    if (names === undefined) {
      const message = `could not open configuration directory "${path}": No such file or directory`;
      return this.#wrong(ERRCODE.UNDEFINED_FILE, message, `could not open directory "${path}"`, from);
    }
    const included = names.filter(n => n.length >= 6 && n.endsWith('.conf') && !n.startsWith('.')).sort();
    for (const included_ of included) this.file(`${path}/${included_}`, true, from, depth);
  }

  #text(text: string, path: string, depth: number): void {
    const lines = text.split('\n');
    let errors = 0;
    for (const [index, source] of lines.entries()) {
      const line = index + 1;
      const entry = entryOf(source);
      if (entry === undefined) continue;
      if (typeof entry !== 'string' && 'name' in entry) {
        this.#entry(entry.name, entry.value, { file: path, line }, depth);
        continue;
      }
      // PostgreSQL counts a line when it ends; the last one may not.
      const at = entry === 'end of line' && line === lines.length ? line - 1 : line;
      const near = entry === 'end of line' ? entry : `token "${entry.token}"`;
      const message = `syntax error in file "${path}" line ${at}, near ${near}`;
      this.#wrong(ERRCODE.SYNTAX_ERROR, message, 'syntax error', { file: path, line: at });
      if (++errors < MAX_SYNTAX_ERRORS) continue;
      const enough = `too many syntax errors found, abandoning file "${path}"`;
      this.complaints.push(ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, enough));
      return;
    }
  }

  #entry(name: string, value: string, place: Place, depth: number): void {
    switch (name.toLowerCase()) {
      case 'include':
        return this.file(value, true, place, depth + 1);
      case 'include_if_exists':
        return this.file(value, false, place, depth + 1);
      case 'include_dir':
        return this.#folder(value, place, depth + 1);
      default:
        this.items.push({ name, value, ...place, error: undefined, ignore: false, applied: false });
    }
  }

  #wrong(sqlstate: Sqlstate, message: string, noted: string, place: Place | undefined): void {
    this.complaints.push(ereport(sqlstate, message));
    this.#note(noted, place);
  }

  #note(error: string, place: Place | undefined): void {
    this.items.push(mistake(error, place?.file, place?.line ?? 0));
  }
}

type Token = 'name' | 'value' | 'string' | '=' | 'other';

/** Each with what it may be; the longest match wins, among equals the first. */
const TOKENS: readonly (readonly [Token, RegExp])[] = [
  ['name', /[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*(?:\.[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?/y],
  ['string', /'(?:[^'\\\n]|\\.|'')*'/y],
  ['value', /[A-Za-z_\u0080-\uffff][\w\u0080-\uffff\-.:/]*/y],
  ['value', /[-+]?(?:0x[0-9a-fA-F]+|[0-9]+)[A-Za-z]*/y],
  ['value', /[-+]?[0-9]*\.[0-9]*(?:[Ee][-+]?[0-9]+)?/y],
  ['=', /=/y],
  ['other', /./y],
];

function tokensOf(line: string): { readonly kind: Token; readonly text: string }[] {
  const tokens: { kind: Token; text: string }[] = [];
  let at = 0;
  for (;;) {
    while (/[ \t\r]/.test(line[at] ?? '')) at++;
    if (at >= line.length || line[at] === '#') return tokens;
    let best: { kind: Token; text: string } = { kind: 'other', text: line[at]! };
    let length = 0;
    for (const [kind, pattern] of TOKENS) {
      pattern.lastIndex = at;
      const text = pattern.exec(line)?.[0] ?? '';
      if (text.length > length) [best, length] = [{ kind, text }, text.length];
    }
    tokens.push(best);
    at += best.text.length;
  }
}

/** undefined: an empty line. */
function entryOf(
  line: string,
): { readonly name: string; readonly value: string } | { readonly token: string } | 'end of line' | undefined {
  const tokens = tokensOf(line);
  const [first] = tokens;
  if (first === undefined) return undefined;
  if (first.kind !== 'name') return { token: first.text };
  const at = tokens[1]?.kind === '=' ? 2 : 1;
  const value = tokens[at];
  if (value === undefined) return 'end of line';
  if (value.kind === '=' || value.kind === 'other') return { token: value.text };
  const beyond = tokens[at + 1];
  if (beyond !== undefined) return { token: beyond.text };
  return { name: first.text, value: value.kind === 'string' ? unquote(value.text) : value.text };
}

/** Relative to the folder of the file that asks; without one, as it is. */
function resolve(from: string | undefined, path: string): string {
  if (path.startsWith('/') || from === undefined) return path;
  const slash = from.lastIndexOf('/');
  const parts: string[] = [];
  for (const part of `${from.slice(0, slash + 1)}${path}`.split('/')) {
    if (part === '..' && parts.length > 1) parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function unquote(value: string): string {
  return value.slice(1, -1).replace(/''|\\([0-7]{1,3})|\\(.)/g, (whole, octal?: string, escaped?: string) => {
    if (whole === "''") return "'";
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
    return ESCAPES[escaped!] ?? escaped!;
  });
}
