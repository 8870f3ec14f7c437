/** The command line's words, taken apart. */
export interface CommandLine {
  readonly verb: string;
  readonly dataDirectory: string;
  /** `name=value`, from -c, -p and -h. */
  readonly settings: readonly string[];
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly words: readonly string[];
}

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

interface OptionShape {
  readonly long: string;
  readonly value: boolean;
}

const OPTIONS: Readonly<Record<string, OptionShape>> = {
  '-D': { long: 'pgdata', value: true },
  '-c': { long: 'set', value: true },
  '-p': { long: 'port', value: true },
  '-h': { long: 'host', value: true },
  '-m': { long: 'mode', value: true },
  '-l': { long: 'log', value: true },
  '-d': { long: 'daemon', value: false },
  '-U': { long: 'username', value: true },
  '-A': { long: 'auth', value: true },
  '-t': { long: 'tuples-only', value: false },
};
const LONG: Readonly<Record<string, boolean>> = {
  pgdata: true,
  set: true,
  port: true,
  host: true,
  mode: true,
  log: true,
  daemon: false,
  username: true,
  auth: true,
  'auth-local': true,
  'auth-host': true,
  'no-sync': false,
  dbname: true,
  json: false,
  initdb: false,
  help: false,
  version: false,
  'tuples-only': false,
};

export function parseCommandLine(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): CommandLine {
  const settings: string[] = [];
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') {
      words.push(...argv.slice(i + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      words.push(word);
      continue;
    }
    let name: string;
    let value: string | undefined;
    if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      name = equals < 0 ? word.slice(2) : word.slice(2, equals);
      value = equals < 0 ? undefined : word.slice(equals + 1);
      if (!(name in LONG)) {
        // PostgreSQL's own spelling of a setting: --work-mem=8MB.
        if (value === undefined) throw new UsageError(`unknown option ${word}`);
        settings.push(`${name}=${value}`);
        continue;
      }
    } else {
      const shape = OPTIONS[word.slice(0, 2)];
      if (shape === undefined) throw new UsageError(`unknown option ${word}`);
      name = shape.long;
      if (word.length > 2) value = word.slice(2);
    }
    if (LONG[name] !== true) {
      flags.add(name);
      continue;
    }
    value ??= argv[++i];
    if (value === undefined) throw new UsageError(`option ${word} needs a value`);
    if (name === 'set') settings.push(value);
    else values.set(name, value);
  }
  return {
    verb: words.shift() ?? '',
    dataDirectory: values.get('pgdata') ?? environment['PGDATA'] ?? 'pgdata',
    settings,
    flags,
    values,
    words,
  };
}
