/**
 * What documents say of the tree is so: links lead somewhere, commands exist, and ARCHITECTURE.md can be walked by name, each name being declared
 * where the page says and each step `A` → `B` being taken by A's code.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { code, DOCUMENTS, FILES, ROOT, text } from './sources.ts';

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const escape = (name: string): string => name.replace(/\$/g, '\\$&');

/** The code from a declaration's first line to the line that closes it, indented as it is. */
function block(source: string, declaration: RegExp): string | undefined {
  const found = declaration.exec(source);
  if (found === null) return undefined;
  const indent = /^ */.exec(found[0])![0];
  const rest = source.slice(found.index);
  const first = rest.slice(0, rest.indexOf('\n'));
  if (/;$|\}$/.test(first)) return first;
  const end = new RegExp(`^${indent}[})\\]].*[;}{]$`, 'gm');
  for (let close = end.exec(rest); close !== null; close = end.exec(rest))
    if (!close[0].endsWith('{')) return rest.slice(0, end.lastIndex);
  return rest;
}

const KEYWORDS = '(?:export |abstract |async |declare )*(?:function\\*?|class|interface|type|const|let)';
const MODIFIERS = '(?:public |protected |private |static |override |readonly |abstract |async |get |set )*\\*?';

/** Which files declare a name at their top level. */
const homes = new Map<string, string[]>();
for (const file of code) {
  for (const [, name] of text.get(file)!.matchAll(new RegExp(`^${KEYWORDS} ([\\w$]+)`, 'gm')))
    homes.set(name!, [...(homes.get(name!) ?? []), file]);
}

/** The code of `name` or `Owner.member`, in the file given or wherever it is declared. */
function declarations(name: string, only?: string): string[] {
  const [owner, member] = name.split('.') as [string, string | undefined];
  return (homes.get(owner) ?? [])
    .filter(file => only === undefined || file === only)
    .map(file => block(text.get(file)!, new RegExp(`^${KEYWORDS} ${escape(owner)}(?![\\w$]).*`, 'm'))!)
    .map(found =>
      member === undefined
        ? found
        : block(found, new RegExp(`^  ${MODIFIERS}${escape(member)}[?!]?(?:[<(:;]| =).*`, 'm')),
    )
    .filter(found => found !== undefined);
}

describe('documents', () => {
  it('links lead to files', () => {
    const wrong: string[] = [];
    for (const file of [...DOCUMENTS, ...FILES.filter(name => /^docs\/.*\.md$/.test(name)), 'CHANGELOG.md']) {
      for (const [, target] of read(file).matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g))
        if (!existsSync(join(ROOT, dirname(file), target!))) wrong.push(`${file}: ${target}`);
    }
    expect(wrong).toEqual([]);
  });

  it('commands they name exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { readonly scripts: Readonly<Record<string, string>> };
    const commands = new Set(read('packages/tools/src/cli/main.ts').match(/(?<=pgtroupe )[a-z]+/g));
    const wrong: string[] = [];
    for (const file of DOCUMENTS) {
      const source = read(file);
      for (const [, name] of source.matchAll(/\bnpm run ([\w:-]+)/g))
        if (!Object.hasOwn(scripts, name!)) wrong.push(`${file}: npm run ${name}`);
      for (const [, name] of source.matchAll(/\bnpx pgtroupe (\w+)/g))
        if (!commands.has(name!)) wrong.push(`${file}: npx pgtroupe ${name}`);
    }
    expect(wrong).toEqual([]);
  });

  it('names in ARCHITECTURE.md exist, in the files it names', () => {
    const page = read('ARCHITECTURE.md');
    const words = new Set(code.flatMap(file => text.get(file)!.match(/[A-Za-z_$][\w$]*/g) ?? []));
    const wrong: string[] = [];
    for (const [, name] of page.matchAll(/`([^`\n]+)`/g)) {
      if (/^[A-Z]\w+\.#?\w+$/.test(name!)) {
        if (declarations(name!).length === 0) wrong.push(name!);
      } else if (/^[\w.-]+\/[\w./-]*$/.test(name!)) {
        if (!existsSync(join(ROOT, name!))) wrong.push(name!);
      } else if (/^[A-Za-z_]\w*$/.test(name!) && !words.has(name!)) wrong.push(name!);
    }
    for (const [, name, file] of page.matchAll(/`([\w.#]+)`\s+\(`([\w./-]+\.ts)`\)/g))
      if (declarations(name!, file!).length === 0) wrong.push(`${name} is not in ${file}`);
    expect(wrong).toEqual([]);
  });

  it('each step of ARCHITECTURE.md is taken by the code', () => {
    const steps = [...read('ARCHITECTURE.md').matchAll(/`([\w.#]+)`(?:\s+\(`[\w./-]+`\))?\s+→\s+(?=`([\w.#]+)`)/g)];
    expect(steps.length).toBeGreaterThan(40);
    const wrong: string[] = [];
    for (const [, from, to] of steps) {
      const target = to!.split('.').at(-1)!;
      const call = new RegExp(`${to!.includes('.') ? '\\.' : '(?<![\\w$.#])'}${escape(target)}(?![\\w$])`);
      if (!declarations(from!).some(source => call.test(source.slice(source.indexOf('\n')))))
        wrong.push(`${from} → ${to}`);
    }
    expect(wrong).toEqual([]);
  });
});
