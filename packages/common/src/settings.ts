/**
 * The configuration a process works with: definitions plus what differs from the defaults.
 * `replace` takes a new version; who must act on a change listens.
 *
 * Session-level values (SET, SET LOCAL, ALTER ROLE … SET) are the session's own and lie over this.
 */
import { assert } from './assert.ts';
import { findGuc, type GucFacts, type GucName, type GucValue, gucSetting, parseGuc, showGuc } from './guc.ts';

export class Settings {
  #overrides: ReadonlyMap<string, string>;
  readonly #values = new Map<string, GucValue>();
  readonly #listeners = new Set<(changed: ReadonlySet<string>) => void>();
  /** Counts replacements, so that what was derived can be kept until the next one. */
  version = 0;

  /** Values as `setting` text. They were checked where they were read; unknown names are kept
   *  (custom parameters) but have no typed value. */
  constructor(overrides: Readonly<Record<string, string>> = {}) {
    this.#overrides = new Map(Object.entries(overrides));
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
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const facts = findGuc(name);
    assert(facts !== undefined, 'the parameter is in guc_tables');
    const value = parseGuc(facts, this.#overrides.get(facts.name) ?? facts.boot ?? '');
    this.#values.set(name, value);
    return value;
  }

  /** What SHOW prints in a session that changed nothing. */
  show(facts: GucFacts): string {
    return showGuc(facts, this.value(facts.name as GucName));
  }

  /** What pg_settings.setting shows. */
  setting(facts: GucFacts): string {
    return gucSetting(facts, this.value(facts.name as GucName));
  }

  /** A parameter guc_tables does not know (`extension.parameter`). */
  custom(name: string): string | undefined {
    return this.#overrides.get(name);
  }

  overrides(): Record<string, string> {
    return Object.fromEntries(this.#overrides);
  }

  /** Takes a new version of the configuration and tells the listeners what changed. */
  replace(overrides: Readonly<Record<string, string>>): void {
    const before = this.#overrides;
    const after = new Map(Object.entries(overrides));
    const changed = new Set<string>();
    for (const name of new Set([...before.keys(), ...after.keys()])) {
      if (before.get(name) !== after.get(name)) changed.add(name);
    }
    this.#overrides = after;
    this.version++;
    this.#values.clear();
    if (changed.size > 0) for (const listener of this.#listeners) listener(changed);
  }

  /** Returns the function that stops listening. */
  onChange(listener: (changed: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
