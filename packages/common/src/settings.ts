/**
 * The configuration a process works with: definitions plus what differs from the defaults.
 * `replace` takes a new version; who must act on a change listens.
 *
 * Session-level values (SET, SET LOCAL, ALTER ROLE … SET) are the session's own and lie over a version of this.
 */
import { assert } from './assert.ts';
import type { SettingOrigin } from './guc_apply.ts';
import { findGuc, type GucFacts, type GucName, type GucValue, gucSetting, parseGuc, showGuc } from './guc.ts';

/** What pg_settings tells beside the values. */
export interface SettingsDetails {
  readonly origins: Readonly<Record<string, SettingOrigin>>;
  readonly pendingRestart: readonly string[];
}

const NO_DETAILS: SettingsDetails = { origins: {}, pendingRestart: [] };

/** One version of the configuration. It never changes: who needs the same values for a while keeps it. */
export class SettingsVersion {
  readonly #overrides: ReadonlyMap<string, string>;
  readonly details: SettingsDetails;
  readonly #values = new Map<string, GucValue>();

  /** Values as `setting` text. They were checked where they were read; unknown names are kept
   *  (custom parameters) but have no typed value. */
  constructor(overrides: ReadonlyMap<string, string>, details: SettingsDetails) {
    this.#overrides = overrides;
    this.details = details;
  }

  value(name: GucName): GucValue {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const facts = findGuc(name);
    assert(facts !== undefined, 'the parameter is in guc_tables');
    const value = parseGuc(facts, this.#overrides.get(facts.name) ?? facts.boot ?? '');
    this.#values.set(name, value);
    return value;
  }

  /** A parameter guc_tables does not know (`extension.parameter`). */
  custom(name: string): string | undefined {
    return this.#overrides.get(name);
  }

  overrides(): ReadonlyMap<string, string> {
    return this.#overrides;
  }

  /** This version, but with the values that `older` has of the parameters that `kept` names. */
  keeping(older: SettingsVersion, kept: (facts: GucFacts) => boolean): SettingsVersion {
    let overrides: Map<string, string> | undefined;
    for (const name of changedNames(older.#overrides, this.#overrides)) {
      const facts = findGuc(name);
      if (facts === undefined || !kept(facts)) continue;
      overrides ??= new Map(this.#overrides);
      const value = older.#overrides.get(name);
      if (value === undefined) overrides.delete(name);
      else overrides.set(name, value);
    }
    return overrides === undefined ? this : new SettingsVersion(overrides, this.details);
  }
}

/** Which parameters differ. */
function changedNames(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): ReadonlySet<string> {
  const changed = new Set<string>();
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    if (before.get(name) !== after.get(name)) changed.add(name);
  }
  return changed;
}

export class Settings {
  #version: SettingsVersion;
  readonly #listeners = new Set<(changed: ReadonlySet<string>) => void>();

  constructor(overrides: Readonly<Record<string, string>> = {}) {
    this.#version = new SettingsVersion(new Map(Object.entries(overrides)), NO_DETAILS);
  }

  /** What is in force now. */
  get version(): SettingsVersion {
    return this.#version;
  }

  number(name: GucName): number {
    const value = this.value(name);
    assert(typeof value === 'number', 'asked for a number');
    return value;
  }

  bool(name: GucName): boolean {
    const value = this.value(name);
    assert(typeof value === 'boolean', 'asked for a boolean');
    return value;
  }

  string(name: GucName): string {
    return String(this.value(name));
  }

  value(name: GucName): GucValue {
    return this.#version.value(name);
  }

  /** What SHOW prints in a session that changed nothing. */
  show(facts: GucFacts): string {
    return showGuc(facts, this.value(facts.name as GucName));
  }

  /** What pg_settings.setting shows. */
  setting(facts: GucFacts): string {
    return gucSetting(facts, this.value(facts.name as GucName));
  }

  custom(name: string): string | undefined {
    return this.#version.custom(name);
  }

  overrides(): Record<string, string> {
    return Object.fromEntries(this.#version.overrides());
  }

  /** Takes a new version of the configuration and tells the listeners what changed. */
  replace(overrides: Readonly<Record<string, string>>, details = NO_DETAILS): void {
    const before = this.#version.overrides();
    const after = new Map(Object.entries(overrides));
    const changed = changedNames(before, after);
    if (changed.size === 0 && JSON.stringify(details) === JSON.stringify(this.#version.details)) return;
    this.#version = new SettingsVersion(after, details);
    if (changed.size > 0) for (const listener of this.#listeners) listener(changed);
  }

  /** Returns the function that stops listening. */
  onChange(listener: (changed: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
