/**
 * Every source file must be reachable from something that runs: the two `main.ts`, a script, or a
 * worker thread's entry that one of those names. A source file that only its own test imports is
 * dead too. Files under `test/` must be reachable from a test.
 */
import { test } from 'node:test';
import { assertTidy } from './report.ts';
import { isTest, loadSources, mentionedFiles, type SourceFile } from './source-tree.ts';

const sources = loadSources();
const byPath = new Map(sources.map((file) => [file.path, file]));

const isEntry = (path: string): boolean =>
  /^(coordinator|worker)\/main\.ts$/.test(path) || /^scripts\/[^/]+\.ts$/.test(path);

/** Everything that the files in `starts` import or name, and so on. */
function reachableFrom(starts: readonly SourceFile[]): Set<string> {
  const reached = new Set<string>();
  const waiting = [...starts];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (reached.has(file.path)) continue;
    reached.add(file.path);
    const targets = file.imports.flatMap(({ target }) => (target === undefined ? [] : [target]));
    for (const target of [...targets, ...mentionedFiles(file)]) {
      const next = byPath.get(target);
      if (next !== undefined) waiting.push(next);
    }
  }
  return reached;
}

test('every source file is part of a program or a script', () => {
  const alive = reachableFrom(sources.filter(({ path }) => isEntry(path)));
  const instead = 'import it, delete it, or move it under test/ if only tests need it';
  assertTidy(
    sources
      .filter(({ path }) => !isTest(path) && !alive.has(path))
      .map(({ path }) => ({ file: path, rule: 'nothing that runs imports it', instead })),
  );
});

test('every file under test/ is part of a test', () => {
  const alive = reachableFrom(sources.filter(({ path }) => path.endsWith('.test.ts')));
  assertTidy(
    sources
      .filter(({ path }) => path.startsWith('test/') && !alive.has(path))
      .map(({ path }) => ({ file: path, rule: 'no test imports it', instead: 'delete it' })),
  );
});
