/**
 * The tree as the tidy rules see it: every file of the repository (not what is ignored), the
 * TypeScript among it with masked text, and who imports whom.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { maskSource } from './mask.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const SKIPPED = new Set(['node_modules', '.git', 'coverage']);
/** The default data folder; a room may have a folder of that name. */
const SKIPPED_AT_ROOT = 'data';

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  path: string;
  text: string;
  /** The text with comments and the insides of strings blanked; see `mask.ts`. */
  masked: string;
  imports: ImportStatement[];
}

export interface ImportStatement {
  specifier: string;
  /** The file it leads to, relative to the root; absent for packages and `node:` modules. */
  target: string | undefined;
  line: number;
}

/** Every file, relative to the root, sorted. */
export function listFiles(folder = ROOT): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const skipped = SKIPPED.has(entry.name) || (folder === ROOT && entry.name === SKIPPED_AT_ROOT);
    if (entry.isDirectory() && !skipped) found.push(...listFiles(path));
    else if (entry.isFile() && !entry.name.endsWith('.log')) found.push(relative(ROOT, path));
  }
  return found.sort();
}

/** The TypeScript of the tree. */
export function loadSources(): SourceFile[] {
  return listFiles()
    .filter((path) => path.endsWith('.ts'))
    .map(loadSource);
}

function loadSource(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const masked = maskSource(text);
  return { path, text, masked, imports: findImports(path, text, masked) };
}

/** `import ... from ''`, `export ... from ''`, `import ''` and `import('')`, strings blanked. */
const IMPORT =
  /(?<![\w$.])(?:(?:import|export)\b[^'"`;()]*?\bfrom\s*|import\s*\(?\s*)(['"])([ ]*)\1/g;

function findImports(path: string, text: string, masked: string): ImportStatement[] {
  return [...masked.matchAll(IMPORT)].map((match) => {
    const end = match.index + match[0].length - 1;
    const specifier = text.slice(end - (match[2] ?? '').length, end);
    return { specifier, target: resolveTarget(path, specifier), line: lineOf(text, match.index) };
  });
}

function resolveTarget(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  const target = normalize(join(dirname(from), specifier));
  // AssemblyScript, the language of the kernel, names modules without their ending.
  return from.startsWith('worker/index/kernel/wasm/') ? `${target}.ts` : target;
}

/** Texts of a file that name another file of the tree, as a worker thread's entry is named. */
export function mentionedFiles(file: SourceFile): string[] {
  const mentioned: string[] = [];
  for (const match of file.text.matchAll(/['"`]([\w./-]+\.ts)['"`]/g)) {
    const name = match[1] ?? '';
    for (const target of [normalize(join(dirname(file.path), name)), normalize(name)]) {
      if (isFile(target)) mentioned.push(target);
    }
  }
  return mentioned;
}

function isFile(path: string): boolean {
  const absolute = join(ROOT, path);
  return existsSync(absolute) && statSync(absolute).isFile();
}

export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/');
}

/** The number of the line that holds `offset`, from 1. */
export function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) {
    line += 1;
  }
  return line;
}

/** A package's name without the path inside it: `@a/b/c` -> `@a/b`. */
export function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
