/**
 * What the configuration files amount to (ProcessConfigFile): which lines hold, what changes, what is wrong, what waits
 * for a restart. Pure; the wording of every line for the log is PostgreSQL's.
 *
 * A line that makes no sense, or an unknown name, leaves everything as it is. A value that is none leaves its
 * parameter as it is; the others change.
 */
import { ereport, PgError } from './ereport.ts';
import { ERRCODE } from './errcodes.ts';
import { findGuc, type GucFacts, gucSetting, parseGuc, unknownGuc } from './guc.ts';
import { withoutEffect } from './guc_effectless.ts';
import { type ConfigItem, mistake, type ParsedConfig } from './guc_file.ts';
import { unsupportedValue } from './guc_unsupported.ts';

/** Where a setting comes from, as pg_settings names it; the stronger ones are not changed by the files. */
export interface SettingOrigin {
  readonly source: 'configuration file' | 'command line' | 'override';
  readonly file?: string | undefined;
  readonly line?: number | undefined;
}

export interface Configuration {
  /** `setting` text by canonical name. */
  readonly settings: Readonly<Record<string, string>>;
  readonly origins: Readonly<Record<string, SettingOrigin>>;
  /** Parameters that the files set to something else, which only a restart can do. */
  readonly pendingRestart: readonly string[];
}

export interface ConfigLogLine {
  readonly level: 'LOG' | 'WARNING';
  readonly message: string;
  readonly hint?: string | undefined;
}

export interface AppliedConfig {
  /** Every line, and what became of it. */
  readonly items: readonly ConfigItem[];
  readonly configuration: Configuration;
  readonly complaints: readonly PgError[];
  readonly log: readonly ConfigLogLine[];
  /** Where the last mistake is, and whether others were applied all the same. */
  readonly trouble: { readonly file: string; readonly applied: boolean } | undefined;
}

/** Settings whose only effect would be to lose data: accepted, because test tools pass them, but on. */
const ALWAYS_ON: ReadonlySet<string> = new Set(['fsync', 'full_page_writes']);

/** `running` is what holds now; at the start that is what the command line says. */
export function applyConfig(
  parsed: ParsedConfig,
  running: Configuration,
  { mainFile, context }: { readonly mainFile: string; readonly context: 'start' | 'reload' },
): AppliedConfig {
  const application = new Application(parsed, running, context, mainFile);
  return application.run();
}

/** `name=value` of the command line. Throws what is wrong with it. */
export function applyOptions(options: readonly (readonly [name: string, value: string])[]): Configuration {
  const items = options.map(([name, value]) => {
    return { name, value, file: '', line: 0, error: undefined, ignore: false, applied: false };
  });
  const nothing: Configuration = { settings: {}, origins: {}, pendingRestart: [] };
  const parsed = { items, complaints: [], remarks: [] };
  const { configuration, complaints } = applyConfig(parsed, nothing, { mainFile: '', context: 'start' });
  if (complaints.length > 0) throw complaints[0]!;
  const origins = Object.keys(configuration.settings).map(name => [name, { source: 'command line' }] as const);
  return { ...configuration, origins: Object.fromEntries(origins) };
}

class Application {
  readonly #parsed: ParsedConfig;
  readonly #running: Configuration;
  readonly #isReload: boolean;
  readonly #items: ConfigItem[];
  readonly #complaints: PgError[];
  readonly #log: ConfigLogLine[] = [];
  readonly #settings: Record<string, string>;
  readonly #origins: Record<string, SettingOrigin>;
  readonly #pending: Set<string>;
  #fileWithError: string;

  constructor(parsed: ParsedConfig, running: Configuration, context: 'start' | 'reload', mainFile: string) {
    this.#parsed = parsed;
    this.#running = running;
    this.#isReload = context === 'reload';
    this.#items = [...parsed.items];
    this.#complaints = [...parsed.complaints];
    this.#settings = { ...running.settings };
    this.#origins = { ...running.origins };
    this.#pending = new Set(running.pendingRestart);
    this.#fileWithError = mainFile;
  }

  run(): AppliedConfig {
    for (const message of this.#parsed.remarks) this.#log.push({ level: 'LOG', message });
    const inFile = this.#complaints.length === 0 ? this.#names() : new Set<string>();
    if (this.#complaints.length > 0) return this.#result(false);
    if (this.#isReload) this.#removed(inFile);
    for (const item of this.#parsed.items) if (!item.ignore) this.#apply(item);
    return this.#result(true);
  }

  #result(applied: boolean): AppliedConfig {
    return {
      items: this.#items,
      configuration: {
        settings: this.#settings,
        origins: this.#origins,
        pendingRestart: [...this.#pending].sort(),
      },
      complaints: this.#complaints,
      log: this.#log,
      trouble: this.#complaints.length === 0 ? undefined : { file: this.#fileWithError, applied },
    };
  }

  #complain(error: PgError): void {
    this.#complaints.push(error);
    this.#log.push({ level: 'LOG', message: error.message, hint: error.fields.hint });
  }

  /** Looks at names only. Of several lines for one parameter the last holds. */
  #names(): ReadonlySet<string> {
    const last = new Map<string, ConfigItem>();
    for (const item of this.#parsed.items) {
      const name = item.name!;
      const facts = findGuc(name);
      const unknown = facts === undefined ? unknownGuc(name, place(item)) : undefined;
      if (unknown !== undefined) {
        this.#complain(unknown);
        item.error = 'unrecognized configuration parameter';
        this.#fileWithError = item.file!;
        continue;
      }
      const earlier = last.get(facts?.name ?? name);
      if (earlier !== undefined) earlier.ignore = true;
      last.set(facts?.name ?? name, item);
    }
    return new Set(last.keys());
  }

  #removed(inFile: ReadonlySet<string>): void {
    for (const [name, origin] of Object.entries(this.#running.origins)) {
      if (origin.source !== 'configuration file' || inFile.has(name)) continue;
      if (findGuc(name)?.context === 'postmaster') {
        const error = needsRestart(name);
        this.#pending.add(name);
        this.#complain(error);
        this.#items.push(mistake(error.message, undefined, 0));
        continue;
      }
      delete this.#settings[name];
      delete this.#origins[name];
      const message = `parameter "${name}" removed from configuration file, reset to default`;
      this.#log.push({ level: 'LOG', message });
    }
  }

  #apply(item: ConfigItem): void {
    const name = item.name!;
    try {
      const facts = findGuc(name);
      if (facts === undefined) this.#take(name, item, item.value!);
      else this.#applyKnown(facts, item);
      item.applied = true;
    } catch (error) {
      if (!(error instanceof PgError)) throw error;
      this.#complain(error);
      item.error = 'setting could not be applied';
      this.#fileWithError = item.file!;
    }
  }

  #applyKnown(facts: GucFacts, item: ConfigItem): void {
    const { name } = facts;
    if (facts.context === 'internal' || facts.flags?.includes('DISALLOW_IN_FILE') === true) {
      throw ereport(ERRCODE.CANT_CHANGE_RUNTIME_PARAM, `parameter "${name}" cannot be changed`);
    }
    const value = parseGuc(facts, item.value!);
    const unsupported = unsupportedValue(facts, value);
    if (unsupported !== undefined) {
      throw ereport(unsupported.sqlstate, `${unsupported.message}${place(item)}`);
    }
    const setting = gucSetting(facts, value);
    if (ALWAYS_ON.has(name) && setting === 'off') {
      const message = `"${name}" stays on: pgtroupe never gives up durability`;
      return void this.#log.push({ level: 'WARNING', message });
    }
    const before = this.#running.settings[name] ?? facts.boot ?? '';
    if (facts.context === 'postmaster' && this.#isReload) {
      // Also where the command line is stronger.
      if (setting !== before) {
        this.#pending.add(name);
        throw needsRestart(name);
      }
      this.#pending.delete(name);
      if (this.#origins[name]?.source === 'configuration file') this.#take(name, item, setting);
      return;
    }
    const source = this.#origins[name]?.source;
    if (source === 'command line' || source === 'override') return;
    this.#take(name, item, setting);
    const isNew = !this.#isReload || setting !== before;
    const message = isNew ? withoutEffect(facts, value) : undefined;
    if (message !== undefined) this.#log.push({ level: 'WARNING', message });
  }

  #take(name: string, item: ConfigItem, setting: string): void {
    const before = this.#running.settings[name] ?? findGuc(name)?.boot ?? '';
    this.#settings[name] = setting;
    this.#origins[name] = { source: 'configuration file', file: item.file, line: item.line };
    if (!this.#isReload || before === setting) return;
    this.#log.push({ level: 'LOG', message: `parameter "${item.name}" changed to "${item.value}"` });
  }
}

function needsRestart(name: string): PgError {
  return ereport(
    ERRCODE.CANT_CHANGE_RUNTIME_PARAM,
    `parameter "${name}" cannot be changed without restarting the server`,
  );
}

/** Where it stands; the command line has no lines. */
function place({ file, line }: ConfigItem): string {
  return file === '' || file === undefined ? '' : ` in file "${file}" line ${line}`;
}
