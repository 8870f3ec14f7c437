/**
 * A session's configuration parameters: SET, SET LOCAL and what the client asked for at start-up, laid
 * over the instance's configuration. Changes belong to the transaction: rolled back with it,
 * and those of SET LOCAL end with it either way.
 */
import type { ServerSetting } from '@pgtroupe/adt/serverfuncs';
import { ACL_ALTER_SYSTEM, ACL_SET } from '@pgtroupe/catalog/acl';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, PgError, type Severity } from '@pgtroupe/common/ereport';
import {
  allGucs,
  findGuc,
  type GucFacts,
  type GucName,
  type GucValue,
  gucSetting,
  isCustomGucName,
  parseGuc,
  showGuc,
  unknownGuc,
  unrecognizedGuc,
  isGucOf,
} from '@pgtroupe/common/guc';
import { withoutEffect } from '@pgtroupe/common/guc_effectless';
import { ROLE_PG_READ_ALL_SETTINGS } from '@pgtroupe/common/oids';
import type { Settings, SettingsVersion } from '@pgtroupe/common/settings';
import { NO_ROLE, SessionUser } from './session-user.ts';
import { checkDateStyle, checkHook } from './settings-hooks.ts';
import type { IsolationLevel } from './transaction-block.ts';

/** PostgreSQL's order at start-up. */
const REPORTED = [
  'application_name',
  'client_encoding',
  'DateStyle',
  'default_transaction_read_only',
  'in_hot_standby',
  'integer_datetimes',
  'IntervalStyle',
  'is_superuser',
  'server_encoding',
  'server_version',
  'session_authorization',
  'standard_conforming_strings',
  'TimeZone',
] as const;
/** Every transaction begins with them. */
const OVERRIDDEN = /^transaction_/;
const REPORTED_SET: ReadonlySet<string> = new Set(REPORTED);

/** Durability is not for sale: accepted from test tools, and stays on. */
const ALWAYS_ON: ReadonlySet<string> = new Set(['fsync', 'full_page_writes']);

const SEVERITY_RANK: Readonly<Record<string, number>> = {
  debug5: 0,
  debug4: 1,
  debug3: 2,
  debug2: 3,
  debug1: 4,
  debug: 4,
  log: 5,
  info: 6,
  notice: 7,
  warning: 8,
  error: 9,
};

/** Settings that decide what names and literals mean. */
const ANALYSIS_SETTINGS = [
  'search_path',
  'session_authorization',
  'role',
  'DateStyle',
  'IntervalStyle',
  'TimeZone',
  'standard_conforming_strings',
  'array_nulls',
  'transform_null_equals',
  'xmloption',
  'enable_hashagg',
  'enable_hashjoin',
  'enable_indexscan',
  'enable_material',
  'enable_nestloop',
  'enable_seqscan',
  'enable_tidscan',
] as const;

interface Undo {
  readonly name: string;
  readonly previous: GucValue | undefined;
  /** Was it set by SET LOCAL already, and what it returns to in that case. */
  readonly wasLocal: boolean;
  readonly outside: GucValue | undefined;
  depth: number;
}

/** Where a session's default comes from that is not the server's, as pg_settings calls it. */
export type SessionSource = 'global' | 'database' | 'user' | 'database user' | 'client';

/** A parameter that ALTER ROLE or ALTER DATABASE … SET has stored: `name=value`. */
export interface StoredDefault {
  readonly source: SessionSource;
  readonly item: string;
}

/** What a database was made with. */
export interface DatabaseLocale {
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
}

export interface Remark {
  readonly severity: 'NOTICE' | 'WARNING';
  readonly message: string;
  /** Default: that of the severity. */
  readonly sqlstate?: string;
}

export class SessionSettings {
  readonly #server: Settings;
  /** The server's configuration that the session knows, and as what it takes it: parameters that hold from the
   *  connection's start keep their values. */
  #known: SettingsVersion;
  #base: SettingsVersion;
  /** Values that differ from the base, by canonical name. */
  readonly #values = new Map<string, GucValue>();
  /** What RESET goes back to: values of the start-up packet, and stored ones. */
  readonly #defaults = new Map<string, GucValue>();
  readonly #sources = new Map<string, SessionSource>();
  #undo: Undo[] = [];
  /** SET LOCAL in this transaction: the value to return to at its end. */
  readonly #locals = new Map<string, GucValue | undefined>();
  #user: SessionUser | undefined;
  /** Parameters of the start-up packet that cannot be judged before there are catalogs to look at. */
  #late: (readonly [name: string, text: string])[] = [];
  /** A parameter the client is kept informed of has changed. */
  onReported: (name: string) => void = () => {};
  /** As setseed(). */
  onSeed: (seed: number) => void = () => {};
  /** Counts changes, so that what was derived from settings can be kept until the next one. */
  version = 0;

  constructor(server: Settings) {
    this.#server = server;
    this.#known = server.version;
    this.#base = server.version;
  }

  /** Before each of the client's messages: the configuration may have been loaded again. */
  followConfiguration(): void {
    const { version } = this.#server;
    if (version === this.#known) return;
    const before = this.#base;
    this.#known = version;
    this.#base = version.keeping(before, isFixedAtStart);
    this.version++;
    for (const name of REPORTED) {
      if (!this.#values.has(name) && before.value(name) !== this.#base.value(name)) this.onReported(name);
    }
  }

  authenticated(user: SessionUser, { encoding, collate, ctype }: DatabaseLocale): void {
    this.#user = user;
    const { name, superuser } = user.authenticated;
    this.#put('client_encoding', encoding);
    this.#defaults.set('client_encoding', encoding);
    const presets = {
      server_encoding: encoding,
      lc_collate: collate,
      lc_ctype: ctype,
      // Pages always have them.
      data_checksums: true,
    };
    for (const [preset, value] of Object.entries(presets)) {
      this.#put(preset, value);
    }
    this.#put('session_authorization', name);
    this.#defaults.set('session_authorization', name);
    this.#put('is_superuser', superuser);
  }

  /** Whose rights the session has. */
  get user(): SessionUser {
    assert(this.#user !== undefined, 'the client is authenticated');
    return this.#user;
  }

  /** Parameters of the start-up packet, `options` among them. */
  fromStartup(parameters: ReadonlyMap<string, string>): void {
    for (const [name, value] of parameters) {
      if (name === 'user' || name === 'database' || name === 'replication') continue;
      if (name === 'options') {
        for (const [option, text] of parseOptions(value)) this.#startupValue(option, text);
      } else this.#startupValue(name, value);
    }
  }

  /** What start-up had to leave until now. May throw CatalogMiss, and is called again then. */
  lateStartup(): void {
    const late = this.#late;
    while (late.length > 0) {
      const [name, text] = late[0]!;
      this.#startupValue(name, text);
      late.shift();
    }
  }

  #startupValue(name: string, text: string): void {
    try {
      const facts = this.#find(name);
      if (facts !== undefined && isIdentity(facts.name) && this.user.catalog === undefined) {
        this.#late.push([facts.name, text]);
        return;
      }
      const value = this.#check(facts, text, 'backend');
      this.#put(facts?.name ?? name, value);
      this.#defaults.set(facts?.name ?? name, value);
      this.#sources.set(facts?.name ?? name, 'client');
    } catch (error) {
      if (!(error instanceof PgError)) throw error;
      throw ereport(error.sqlstate, error.message, { ...error.fields, severity: 'FATAL' });
    }
  }

  /**
   * What was stored for this role and database, the strongest first: it holds where the start-up packet and stronger
   * ones say nothing. What is done is taken out of `left`; `refused` hears of values that are none any more. May throw
   * CatalogMiss, and is called again then.
   */
  storedDefaults(left: StoredDefault[], refused: (error: PgError) => void): void {
    for (; left.length > 0; left.shift()) {
      const { source, item } = left[0]!;
      const at = item.indexOf('=');
      const name = item.slice(0, at);
      try {
        const facts = this.#find(name);
        const canonical = facts?.name ?? name;
        const value = this.#check(facts, item.slice(at + 1), 'stored');
        if (this.#sources.has(canonical)) continue;
        this.#sources.set(canonical, source);
        this.#put(canonical, value);
        this.#defaults.set(canonical, value);
      } catch (error) {
        if (!(error instanceof PgError)) throw error;
        refused(error);
      }
    }
  }

  // ---- for later sessions ------------------------------------------------------------------------------

  /** Checks a value that is to be stored (undefined: RESET) and tells the name it is stored by, and what the client
   *  is to be told. May throw CatalogMiss. */
  checkStored(asked: string, text: string | undefined): { readonly name: string; readonly remark?: Remark } {
    const facts = text === undefined && isCustomGucName(asked) ? findGuc(asked) : this.#find(asked);
    if (facts === undefined) {
      if (!this.#maySet(asked))
        throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied to set parameter "${asked}"`);
      return { name: asked };
    }
    const { name } = facts;
    try {
      const value = this.#check(facts, text, 'set', asked);
      const message = text === undefined ? undefined : withoutEffect(facts, value);
      return message === undefined ? { name } : { name, remark: { severity: 'NOTICE', message } };
    } catch (error) {
      // Until then the role may be there, and be one of this user's.
      if (!isIdentity(name) || !(error instanceof PgError)) throw error;
      const message = error.message.replace(/^permission denied/, 'permission will be denied');
      return { name, remark: { severity: 'NOTICE', message, sqlstate: error.sqlstate } };
    }
  }

  /** Checks what ALTER SYSTEM is to write (undefined: RESET) and tells what the client is to be told. May throw
   *  CatalogMiss. */
  checkSystem(asked: string, text: string | undefined): Remark | undefined {
    if (!this.#may(asked, ACL_ALTER_SYSTEM)) {
      throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied to set parameter "${asked}"`);
    }
    const facts = this.#find(asked);
    if (facts === undefined) {
      // One of no module's making is known only where somebody has set it.
      if ((this.#values.get(asked) ?? this.#base.custom(asked)) === undefined) throw unrecognizedGuc(asked);
    } else if (facts.context === 'internal' || facts.flags?.includes('DISALLOW_IN_FILE') || isElsewhere(facts.name)) {
      throw ereport(ERRCODE.CANT_CHANGE_RUNTIME_PARAM, `parameter "${asked}" cannot be changed`);
    }
    if (text === undefined) return undefined;
    const value = facts === undefined ? text : this.#judge(facts, text, asked);
    if (text.includes('\n')) {
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'parameter value for ALTER SYSTEM must not contain a newline');
    }
    if (facts !== undefined && ALWAYS_ON.has(facts.name) && value === false) return staysOn(facts.name);
    const message = facts === undefined ? undefined : withoutEffect(facts, value);
    return message === undefined ? undefined : { severity: 'NOTICE', message };
  }

  /** Does RESET ALL by this user remove it from what is stored? May throw CatalogMiss. */
  mayResetStored(asked: string): boolean {
    // Superusers reset what they may not set, too.
    if (this.user.current.superuser) return true;
    const facts = findGuc(asked);
    return facts?.context === 'user' || ((facts?.context ?? 'superuser') === 'superuser' && this.#maySet(asked));
  }

  #analysisKey = '';
  #analysisKeyAt = -1;

  /** Everything that analysis depends on, as one text: equal texts, equal meaning. */
  analysisKey(): string {
    if (this.#analysisKeyAt !== this.version) {
      this.#analysisKeyAt = this.version;
      this.#analysisKey = ANALYSIS_SETTINGS.map(name => this.string(name)).join('\0');
    }
    return this.#analysisKey;
  }

  // ---- reading ---------------------------------------------------------------------------------------

  value(name: GucName): GucValue {
    return this.#values.get(name) ?? this.#baseValue(name);
  }

  #baseValue(name: GucName): GucValue {
    const base = this.#base.value(name);
    // The configuration file may spell it otherwise than functions expect ("iso, mdy").
    return name === 'DateStyle' ? canonicalDateStyle(String(base)) : base;
  }

  number(name: GucName): number {
    return this.value(name) as number;
  }

  bool(name: GucName): boolean {
    return this.value(name) as boolean;
  }

  string(name: GucName): string {
    return String(this.value(name));
  }

  isolation(name: 'default_transaction_isolation'): IsolationLevel {
    return this.string(name) as IsolationLevel;
  }

  noticeWanted(severity: Severity): boolean {
    if (severity === 'INFO') return true;
    const wanted = SEVERITY_RANK[this.string('client_min_messages')] ?? 7;
    return (SEVERITY_RANK[severity.toLowerCase()] ?? 7) >= wanted;
  }

  /** What SHOW prints. Throws 42704 for an unknown name. */
  show(name: string): string {
    const facts = this.#find(name);
    if (facts === undefined) {
      const custom = this.#values.get(name) ?? this.#base.custom(name);
      if (custom === undefined) throw unrecognizedGuc(name);
      return String(custom);
    }
    if (facts.flags?.includes('SUPERUSER_ONLY') === true && !this.mayExamineAll()) {
      throw ereport(
        ERRCODE.INSUFFICIENT_PRIVILEGE,
        `must be superuser or have privileges of pg_read_all_settings to examine "${name}"`,
      );
    }
    return showGuc(facts, this.value(facts.name as GucName));
  }

  /** undefined instead of an error, for current_setting(name, true). */
  showOrUndefined(name: string): string | undefined {
    try {
      return this.show(name);
    } catch (error) {
      if (error instanceof PgError && error.sqlstate === ERRCODE.UNDEFINED_OBJECT) return undefined;
      throw error;
    }
  }

  /** SHOW ALL: name, setting, description. */
  *showAll(): Generator<readonly [string, string, string]> {
    for (const facts of allGucs()) {
      if (facts.flags?.includes('NO_SHOW_ALL') || !isGucOf(facts, this.string('shared_preload_libraries'))) continue;
      if (facts.flags?.includes('SUPERUSER_ONLY') && !this.mayExamineAll()) continue;
      yield [facts.name, this.show(facts.name), facts.short];
    }
  }

  /** pg_settings.setting. */
  setting(facts: GucFacts): string {
    return gucSetting(facts, this.value(facts.name as GucName));
  }

  /** As pg_settings shows it. */
  describe(facts: GucFacts): ServerSetting {
    const name = facts.name as GucName;
    const now = this.setting(facts);
    // Never in octal.
    const bare = (value: GucValue): string => (facts.vartype === 'integer' ? String(value) : gucSetting(facts, value));
    if (facts.context === 'internal') {
      return { now, reset: bare(this.value(name)), source: 'default', pendingRestart: false };
    }
    const { origins, pendingRestart } = this.#base.details;
    const atStart = this.#defaults.get(name);
    const reset = bare(atStart ?? this.#baseValue(name));
    const isSet = this.#values.has(name) && this.#values.get(name) !== atStart;
    const origin = isSet || atStart !== undefined ? undefined : origins[name];
    const source = isSet
      ? 'session'
      : atStart !== undefined
        ? (this.#sources.get(name) ?? 'client')
        : (origin?.source ?? (OVERRIDDEN.test(name) ? 'override' : 'default'));
    const { file, line } = origin ?? {};
    return { now, reset, source, file, line, pendingRestart: pendingRestart.includes(name) };
  }

  /** May this user see parameters that tell of the machine? May throw CatalogMiss. */
  mayExamineAll(): boolean {
    const { catalog, current } = this.user;
    return current.superuser || catalog?.acl().hasPrivsOfRole(current.oid, ROLE_PG_READ_ALL_SETTINGS) === true;
  }

  reportedNames(): readonly string[] {
    return REPORTED;
  }

  // ---- changing ----------------------------------------------------------------------------------------

  /** SET and SET LOCAL. Returns what the client is to be told, if anything. */
  set(name: string, text: string, how: { readonly local: boolean; readonly depth: number }): Remark | undefined {
    const facts = this.#find(name);
    const value = this.#check(facts, text, 'set', name);
    const canonical = facts?.name ?? name;
    if (ALWAYS_ON.has(canonical) && value === false) {
      return staysOn(canonical);
    }
    this.#change(canonical, value, how);
    // Another session user has set no role yet.
    if (canonical === 'session_authorization') this.#change('role', NO_ROLE, how);
    if (canonical === 'seed') this.onSeed(value as number);
    const message = facts === undefined ? undefined : withoutEffect(facts, value);
    return message === undefined ? undefined : { severity: 'NOTICE', message };
  }

  reset(name: string, depth: number): void {
    const facts = this.#find(name);
    const canonical = facts?.name ?? name;
    this.#check(facts, undefined, 'set');
    this.#change(canonical, this.#defaults.get(canonical), { local: false, depth });
    if (canonical === 'session_authorization') this.#change('role', NO_ROLE, { local: false, depth });
  }

  resetAll(depth: number): void {
    for (const name of [...this.#values.keys()]) {
      const facts = findGuc(name);
      if (facts !== undefined && (facts.context === 'internal' || facts.flags?.includes('NO_RESET_ALL'))) continue;
      this.#change(name, this.#defaults.get(name), { local: false, depth });
    }
  }

  #change(name: string, value: GucValue | undefined, how: { readonly local: boolean; readonly depth: number }): void {
    const previous = this.#values.get(name);
    this.#undo.push({
      name,
      previous,
      wasLocal: this.#locals.has(name),
      outside: this.#locals.get(name),
      depth: how.depth,
    });
    if (how.local) {
      if (!this.#locals.has(name)) this.#locals.set(name, previous);
    } else this.#locals.delete(name);
    this.#put(name, value);
  }

  #put(name: string, value: GucValue | undefined): void {
    const before = this.#values.get(name);
    if (before === value) return;
    if (value === undefined) this.#values.delete(name);
    else this.#values.set(name, value);
    this.version++;
    if (isIdentity(name)) {
      this.user.follow(this.string('session_authorization'), this.string('role'));
      this.#put('is_superuser', this.user.current.superuser);
    }
    if (REPORTED_SET.has(name)) this.onReported(name);
  }

  #find(name: string): GucFacts | undefined {
    const facts = findGuc(name);
    const unknown = facts === undefined ? unknownGuc(name) : undefined;
    if (unknown !== undefined) throw unknown;
    return facts;
  }

  /** Is this user allowed to, and is the value one? */
  #check(
    facts: GucFacts | undefined,
    text: string | undefined,
    where: 'backend' | 'set' | 'stored',
    asked = facts?.name,
  ): GucValue {
    if (facts === undefined) return text ?? '';
    const { name } = facts;
    switch (facts.context) {
      case 'internal':
        throw ereport(ERRCODE.CANT_CHANGE_RUNTIME_PARAM, `parameter "${name}" cannot be changed`);
      case 'postmaster':
        throw ereport(
          ERRCODE.CANT_CHANGE_RUNTIME_PARAM,
          `parameter "${name}" cannot be changed without restarting the server`,
        );
      case 'sighup':
        throw ereport(ERRCODE.CANT_CHANGE_RUNTIME_PARAM, `parameter "${name}" cannot be changed now`);
      case 'backend':
      case 'superuser-backend':
        if (where === 'backend') {
          if (facts.context === 'backend' || this.#maySet(name)) break;
          throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied to set parameter "${name}"`);
        }
        throw ereport(ERRCODE.CANT_CHANGE_RUNTIME_PARAM, `parameter "${name}" cannot be set after connection start`);
      case 'superuser':
        // Who stored it was allowed to.
        if (where === 'stored' || this.#maySet(name)) break;
        throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied to set parameter "${name}"`);
      case 'user':
        break;
    }
    if (text === undefined) return '';
    if (name === 'session_authorization') this.user.checkSessionAuthorization(text);
    else if (name === 'role') this.user.checkRole(text);
    return this.#judge(facts, text, asked);
  }

  /** Is the text a value of this parameter? */
  #judge(facts: GucFacts, text: string, asked: string | undefined): GucValue {
    const { name } = facts;
    // Refusals name the parameter as it was asked for.
    const value = parseGuc(asked === undefined || asked === name ? facts : { ...facts, name: asked }, text);
    return checkHook(facts, value, this.string('DateStyle'));
  }

  #maySet(name: string): boolean {
    return this.#may(name, ACL_SET);
  }

  /** Superusers may, and who was granted it. May throw CatalogMiss. */
  #may(name: string, right: number): boolean {
    const { catalog, current } = this.user;
    return current.superuser || (catalog !== undefined && catalog.acl().parameterMask(name, current.oid, right) !== 0);
  }

  // ---- transactions --------------------------------------------------------------------------------------

  transactionEnded(committed: boolean): void {
    if (this.#undo.length === 0) return;
    if (committed) for (const [name, value] of this.#locals) this.#put(name, value);
    else this.#undoTo(0);
    this.#undo = [];
    this.#locals.clear();
  }

  /** ROLLBACK TO: `depth` is that of the savepoint's own level. */
  rolledBackTo(depth: number): void {
    const keep = this.#undo.findIndex(entry => entry.depth >= depth);
    if (keep >= 0) this.#undoTo(keep);
  }

  /** RELEASE: what was set inside now belongs to the level around it. */
  released(depth: number): void {
    for (const entry of this.#undo) if (entry.depth > depth) entry.depth = depth;
  }

  #undoTo(length: number): void {
    while (this.#undo.length > length) {
      const { name, previous, wasLocal, outside } = this.#undo.pop()!;
      if (wasLocal) this.#locals.set(name, outside);
      else this.#locals.delete(name);
      this.#put(name, previous);
    }
  }
}

/** postgresql.auto.conf lies there: what it said would come too late. */
function isElsewhere(name: string): boolean {
  return name === 'data_directory';
}

function staysOn(name: string): Remark {
  return { severity: 'WARNING', message: `parameter "${name}" stays on: pgtroupe never gives up durability` };
}

function isFixedAtStart({ context }: GucFacts): boolean {
  return context === 'backend' || context === 'superuser-backend';
}

function isIdentity(name: string): boolean {
  return name === 'role' || name === 'session_authorization';
}

let dateStyleText = '';
let dateStyleValue = '';

/** The configured one: the same for every session. */
function canonicalDateStyle(text: string): string {
  if (text !== dateStyleText || dateStyleValue === '') {
    dateStyleValue = checkDateStyle(text, 'ISO, MDY');
    dateStyleText = text;
  }
  return dateStyleValue;
}

/** `-c name=value` and `--name=value`, blanks escaped with a backslash. */
function parseOptions(text: string): [string, string][] {
  const words = text.match(/(\\.|[^\s\\])+/g)?.map(word => word.replace(/\\(.)/g, '$1')) ?? [];
  const found: [string, string][] = [];
  for (let i = 0; i < words.length; i++) {
    let assignment: string;
    if (words[i] === '-c') assignment = words[++i] ?? '';
    else if (words[i]!.startsWith('--')) assignment = words[i]!.slice(2);
    else if (words[i]!.startsWith('-c')) assignment = words[i]!.slice(2);
    else throw ereport(ERRCODE.SYNTAX_ERROR, `invalid command-line argument for server process: ${words[i]}`);
    const equals = assignment.indexOf('=');
    if (equals < 0) throw ereport(ERRCODE.SYNTAX_ERROR, `--${assignment} requires a value`);
    found.push([assignment.slice(0, equals).replaceAll('-', '_'), assignment.slice(equals + 1)]);
  }
  return found;
}
