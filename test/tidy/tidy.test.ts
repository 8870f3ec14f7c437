/**
 * Style as a test. Rules that a reader should be able to rely on everywhere; where the tree does not
 * keep one yet, ratchet.json names the file and how far it is off, and that number may only fall
 * (`TIDY_UPDATE=1 npx vitest run test/tidy` writes the file lengths of today).
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { all, code, DOCUMENTS, FILES, ROOT, sourcesBelow, text } from './sources.ts';

/** Each may import only from those before it. */
const LAYERS = [
  'common',
  'storage',
  'transam',
  'access',
  'catalog',
  'actor',
  'rpc',
  'instance',
  'libpq',
  'role',
  'redo',
  'nodes',
  'adt',
  'parser',
  'ruleutils',
  'optimizer',
  'executor',
  'commands',
  'session',
  'tools',
  'testkit',
];
interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}
interface Project {
  readonly references?: readonly { readonly path: string }[];
}
const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
const EXTERNAL = { ...dependencies, ...devDependencies };
/** Tests are run from the root, by what the root declares. */
const TEST_RUNNERS = ['vitest', 'fast-check'];
const MAX_LINES = 500;
/** Data, a line a fact: no length to speak of. */
const DATA_FILES = ['packages/common/src/guc_tables.ts', 'packages/common/src/errcodes.ts'];

/** Where the world comes in (`Env`). Everything else is handed it. */
const WORLD = [
  'packages/actor/src/node/',
  // Reads the program's own fact files, as an import would.
  'packages/catalog/src/facts.ts',
  'packages/actor/src/nats/',
  'packages/actor/src/broker/',
  'packages/rpc/src/grpc/',
  'packages/role/src/',
  'packages/tools/src/cli/',
  'packages/testkit/src/',
  'services/postmaster/src/',
];

interface Ban {
  readonly pattern: RegExp;
  readonly instead: string;
  readonly except?: readonly string[];
}
const BANNED: readonly Ban[] = [
  { pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/, instead: 'env.clock' },
  { pattern: /\b(?:setTimeout|setInterval|setImmediate)\(/, instead: 'env.timers' },
  { pattern: /\bMath\.random\(|\brandomBytes\(|\brandomUUID\(/, instead: 'env.random' },
  { pattern: /\bprocess\.exit\(/, instead: 'env.exit' },
  { pattern: /\bconsole\.\w+\(/, instead: 'env.log' },
  { pattern: /from 'node:(?:fs|net|http|child_process|dgram|tls|os|worker_threads)/, instead: 'Env' },
  { pattern: /from '@grpc\/|from '@nats-io\//, instead: 'env.rpc and env.bus' },
];
/** main.ts may do what only a process can do to itself. */
const isMain = (file: string): boolean => /^services\/[\w-]+\/src\/main\.ts$/.test(file);

const withoutComments = (source: string): string =>
  // These two compute, nothing more.
  source
    .replace(/import \{ (?:BlockList|isIP)(?:, isIP)? \} from 'node:net'/, '')
    .replace(/\/\*[\s\S]*?\*\//g, comment => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1');

/** Lines of code: imports, comments and blank lines are not what makes a file long. */
const codeLines = (file: string): number =>
  withoutComments(text.get(file)!)
    .replace(/^\s*import\b[^;]*;/gm, '')
    .split('\n')
    .filter(line => line.trim() !== '').length;

interface Ratchet {
  readonly lines: Readonly<Record<string, number>>;
  readonly banned: Readonly<Record<string, number>>;
}
const RATCHET = join(ROOT, 'test/tidy/ratchet.json');
if (process.env['TIDY_UPDATE'] === '1') {
  // Takes the tree as it is for the new measure.
  const lines: Record<string, number> = {};
  for (const file of code) {
    const count = codeLines(file);
    if (count > MAX_LINES && !DATA_FILES.includes(file)) lines[file] = count;
  }
  const { banned } = JSON.parse(readFileSync(RATCHET, 'utf8')) as Ratchet;
  writeFileSync(RATCHET, `${JSON.stringify({ lines, banned }, null, 2)}\n`);
}
const ratchet = JSON.parse(readFileSync(RATCHET, 'utf8')) as Ratchet;

function imports(file: string): string[] {
  return [...text.get(file)!.matchAll(/^\s*(?:import|export)\b[^;]*?from '([^']+)'/gm)].map(match => match[1]!);
}

describe('tidy', () => {
  it('packages import only from layers below, services only packages', () => {
    const wrong: string[] = [];
    for (const file of all) {
      const [kind, name] = file.split('/') as [string, string];
      const isTest = file.endsWith('.test.ts');
      for (const source of imports(file)) {
        const target = /^@pgtroupe\/([\w-]+)\//.exec(source)?.[1];
        if (target === undefined || target === name) continue;
        const rank = LAYERS.indexOf(target);
        if (kind === 'services') {
          if (rank < 0) wrong.push(`${file}: service ${target}`);
          else if (target === 'testkit' && !isTest) wrong.push(`${file}: testkit`);
        } else if (rank < 0) {
          if (name !== 'testkit') wrong.push(`${file}: service ${target}`);
        } else if (rank >= LAYERS.indexOf(name) && !(isTest && target === 'testkit')) {
          wrong.push(`${file}: ${target} is above ${name}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  it('every package is a layer', () => {
    expect(
      readdirSync(join(ROOT, 'packages'))
        .filter(p => existsSync(join(ROOT, 'packages', p, 'package.json')))
        .sort(),
    ).toEqual([...LAYERS].sort());
  });

  it('relative imports end in .ts, stay inside their package and exist', () => {
    const wrong: string[] = [];
    for (const file of all) {
      const home = file.split('/').slice(0, 2).join('/');
      for (const source of imports(file)) {
        if (!source.startsWith('.')) continue;
        const target = relative(ROOT, join(ROOT, dirname(file), source));
        if (!source.endsWith('.ts')) wrong.push(`${file}: ${source} has no .ts`);
        else if (!target.startsWith(`${home}/`)) wrong.push(`${file}: ${source} leaves ${home}`);
        else if (!target.includes('/generated/') && !existsSync(join(ROOT, target)))
          wrong.push(`${file}: ${source} is missing`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('the world comes in through Env only', () => {
    const wrong: string[] = [];
    for (const file of code) {
      if (WORLD.some(prefix => file.startsWith(prefix)) || isMain(file)) continue;
      const source = withoutComments(text.get(file)!);
      const hits = BANNED.flatMap(({ pattern, instead }) => {
        const found = source.match(new RegExp(pattern, 'g')) ?? [];
        return found.map(what => `${what} (use ${instead})`);
      });
      if (hits.length > (ratchet.banned[file] ?? 0)) wrong.push(`${file}: ${hits.join(', ')}`);
    }
    expect(wrong).toEqual([]);
  });

  it('every file opens with a comment that says what it is', () => {
    expect(code.filter(file => !/^(?:#!.*\n)?\/(?:\*\*|\/ )/.test(text.get(file)!))).toEqual([]);
  });

  it(`files stay below ${MAX_LINES} lines of code; those that do not only shrink`, () => {
    const wrong: string[] = [];
    for (const file of code) {
      if (DATA_FILES.includes(file)) continue;
      const lines = codeLines(file);
      const allowed = ratchet.lines[file] ?? MAX_LINES;
      if (lines > allowed) wrong.push(`${file}: ${lines} lines of code, ${allowed} allowed`);
    }
    expect(wrong).toEqual([]);
  });

  it('the ratchet names only what is still needed', () => {
    const stale = [...Object.keys(ratchet.lines), ...Object.keys(ratchet.banned)].filter(file => !text.has(file));
    expect(stale).toEqual([]);
  });

  it('no enum, namespace, default export, or commented-out import', () => {
    const wrong: string[] = [];
    for (const file of code) {
      const source = text.get(file)!;
      if (/^\s*(?:export )?(?:const )?enum /m.test(source)) wrong.push(`${file}: enum`);
      if (/^\s*export default /m.test(source)) wrong.push(`${file}: default export`);
      if (/^\s*\/\/\s*(?:import|const|let|return|if) .*[;{]$/m.test(source)) wrong.push(`${file}: commented-out code`);
    }
    expect(wrong).toEqual([]);
  });

  it('OIDs are declared in one place', () => {
    const known = new Set(
      [...text.get('packages/common/src/oids.ts')!.matchAll(/^export const (\w+) =/gm)].map(match => match[1]!),
    );
    const wrong: string[] = [];
    for (const file of all) {
      if (file === 'packages/common/src/oids.ts') continue;
      for (const [, name] of text.get(file)!.matchAll(/^\s*(?:export )?const (\w+) = -?\d/gm))
        if (known.has(name!)) wrong.push(`${file}: ${name} (import it from @pgtroupe/common/oids)`);
    }
    expect(wrong).toEqual([]);
  });

  it('package.json and tsconfig.json name what a package imports, and nothing else', () => {
    const wrong: string[] = [];
    const { packages: locked } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      readonly packages: Readonly<Record<string, Manifest>>;
    };
    const homes = ['packages', 'services'].flatMap(kind =>
      readdirSync(join(ROOT, kind)).map(name => `${kind}/${name}`),
    );
    for (const home of homes) {
      const name = home.split('/')[1]!;
      const manifest = JSON.parse(readFileSync(join(ROOT, home, 'package.json'), 'utf8')) as Manifest;
      const used = { dependencies: new Set<string>(), devDependencies: new Set<string>() };
      for (const file of sourcesBelow(`${home}/src`, [])) {
        const source = text.get(file) ?? readFileSync(join(ROOT, file), 'utf8');
        for (const [, target] of source.matchAll(
          /(?:\bfrom|\bimport\(?)\s*'(@[\w-]+\/[\w.-]+|[a-z][\w.-]*)(?:\/[^']*)?'/g,
        )) {
          if (target === `@pgtroupe/${name}` || !(target! in EXTERNAL || target!.startsWith('@pgtroupe/'))) continue;
          (file.endsWith('.test.ts') ? used.devDependencies : used.dependencies).add(target!);
        }
      }
      for (const target of [...used.dependencies, ...TEST_RUNNERS]) used.devDependencies.delete(target);
      for (const kind of ['dependencies', 'devDependencies'] as const) {
        const declared = Object.keys(manifest[kind] ?? {}).sort();
        const needed = [...used[kind]].sort();
        if (declared.join() !== needed.join()) wrong.push(`${home}: ${kind} should be ${needed.join(', ')}`);
        if (
          Object.keys(locked[home]?.[kind] ?? {})
            .sort()
            .join() !== needed.join()
        )
          wrong.push(`package-lock.json: ${kind} of ${home} (npm install --package-lock-only)`);
      }
      const { references = [] } = JSON.parse(readFileSync(join(ROOT, home, 'tsconfig.json'), 'utf8')) as Project;
      const referred = references.map(({ path }) => path.split('/').at(-1)!).sort();
      const needed = [...used.dependencies]
        .filter(t => t.startsWith('@pgtroupe/'))
        .map(t => t.slice(10))
        .sort();
      if (referred.join() !== needed.join()) wrong.push(`${home}: tsconfig.json should refer to ${needed.join(', ')}`);
    }
    expect(wrong).toEqual([]);
  });

  it('files named in comments and documents exist', () => {
    const known = [...FILES];
    const exists = (name: string, from: string): boolean =>
      existsSync(join(ROOT, name)) ||
      existsSync(join(ROOT, dirname(from), name)) ||
      // adt/format_type.ts: within a package.
      existsSync(join(ROOT, 'packages', name.replace('/', '/src/'))) ||
      known.some(path => path === name || path.endsWith(`/${name}`));
    const wrong: string[] = [];
    for (const file of [...all, ...DOCUMENTS]) {
      const source = readFileSync(join(ROOT, file), 'utf8');
      const prose = file.endsWith('.md')
        ? source
        : [...source.matchAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm)].join('\n');
      for (const [, name] of prose.matchAll(/(?<![\w./<{*-])((?:[\w-]+\/)*[\w-]+\.(?:ts|md|mjs|proto))\b(?![\w(/*])/g))
        if (!exists(name!, file)) wrong.push(`${file}: ${name}`);
    }
    expect(wrong).toEqual([]);
  });

  it('invariants are cited by numbers that docs/invariants.md has, other documents by their names', () => {
    const numbers = new Set(
      [...readFileSync(join(ROOT, 'docs/invariants.md'), 'utf8').matchAll(/^(\d+)\. /gm)].map(match => match[1]!),
    );
    const wrong: string[] = [];
    for (const file of all) {
      const source = text.get(file)!;
      for (const [what, list] of source.matchAll(/\(invariants? ([\d, and]+)\)/g))
        if (list!.match(/\d+/g)!.some(n => !numbers.has(n))) wrong.push(`${file}: ${what}`);
      for (const [what] of source.matchAll(/\b(?:research|design|audit)(?:\.md)? ?(?:§|H\d)[\w.]*/g))
        wrong.push(`${file}: ${what}`);
    }
    expect(wrong).toEqual([]);
  });

  it('functions and classes that are exported are used by another file', () => {
    const usedBy = new Map<string, number>();
    for (const file of FILES.filter(name => /\.m?ts$|\.mjs$/.test(name) && !name.endsWith('.d.ts'))) {
      const words = new Set(readFileSync(join(ROOT, file), 'utf8').match(/[A-Za-z_$][\w$]*/g) ?? []);
      for (const word of words) usedBy.set(word, (usedBy.get(word) ?? 0) + 1);
    }
    const wrong = code.flatMap(file =>
      [...text.get(file)!.matchAll(/^export (?:abstract |async )*(?:function\*?|class) (\w+)/gm)]
        .filter(([, name]) => usedBy.get(name!) === 1)
        .map(([, name]) => `${file}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it('the address of the PostgreSQL that tests compare with is read in one place', () => {
    const asks = (file: string): boolean =>
      /env(?:\.|\[')(?:PGTROUPE_ORACLE|PG15|PG_BIN|PG_SHARE)|'\/usr\/(?:lib|share)\/postgresql/.test(
        readFileSync(join(ROOT, file), 'utf8'),
      );
    const judges = FILES.filter(file => /\.m?ts$|\.mjs$/.test(file) && file !== 'test/tidy/tidy.test.ts' && asks(file));
    expect(judges).toEqual(['packages/testkit/src/oracle-address.ts']);
  });

  it('no test is left focused or skipped without a reason', () => {
    const wrong = all.filter(
      file => file.endsWith('.test.ts') && /\b(?:it|describe|test)\.(?:only|skip|todo)\(/.test(text.get(file)!),
    );
    expect(wrong).toEqual([]);
  });
});
