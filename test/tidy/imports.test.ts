import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findCycle } from './find-cycle.ts';
import { assertTidy, type Problem } from './report.ts';
import { importProblem, PACKAGE_OWNERS, roomOf } from './rooms.ts';
import { isTest, loadSources, packageOf, type SourceFile } from './source-tree.ts';

const sources = loadSources();
const ADVICE = 'state the need as an interface in your own file and let compose.ts pass it in';

test('every file stands in a room of the table', () => {
  assertTidy(
    sources
      .filter((file) => roomOf(file.path) === undefined)
      .map((file) => ({
        file: file.path,
        rule: 'its folder is no room',
        instead: 'move it, or add the room with its rank to test/tidy/rooms.ts',
      })),
  );
});

test('imports go down the ranks, never up or sideways', () => {
  const problems: Problem[] = [];
  for (const { file, line, target } of localImports()) {
    const from = roomOf(file.path);
    const to = roomOf(target);
    if (from === undefined || to === undefined) continue;
    const rule = allowedInTest(file, target) ? undefined : importProblem(from, to);
    if (rule !== undefined) problems.push({ file: file.path, line, rule, instead: ADVICE });
  }
  assertTidy(problems);
});

/** A unit test may set up what is above or beside it, within its own program, and the harness. */
function allowedInTest(file: SourceFile, target: string): boolean {
  if (!file.path.endsWith('.test.ts')) return false;
  const program = file.path.split('/')[0] ?? '';
  return [`${program}/`, 'shared/', 'test/'].some((folder) => target.startsWith(folder));
}

test('source imports nothing from tests', () => {
  const problems: Problem[] = [];
  for (const { file, line, target } of localImports()) {
    if (isTest(file.path) || !isTest(target)) continue;
    problems.push({
      file: file.path,
      line,
      rule: `source imports the test file ${target}`,
      instead: 'move the shared part into the source, or the importer under test/',
    });
  }
  assertTidy(problems);
});

test('outside packages are imported by their owners only', () => {
  const problems: Problem[] = [];
  for (const file of sources.filter(({ path }) => !isTest(path))) {
    for (const { specifier, target, line } of file.imports) {
      if (target !== undefined || specifier.startsWith('node:')) continue;
      const owners = PACKAGE_OWNERS[packageOf(specifier)];
      if (owners?.some((owner) => file.path.startsWith(owner))) continue;
      const rule = `imports the package ${specifier}`;
      const instead =
        owners === undefined
          ? 'a new package needs an owner in test/tidy/rooms.ts'
          : `only ${owners.join(', ') || 'tests'} may; ask the owner for what you need`;
      problems.push({ file: file.path, line, rule, instead });
    }
  }
  assertTidy(problems);
});

test('imports make no circle, types included', () => {
  const graph = new Map<string, string[]>();
  for (const file of sources) {
    graph.set(
      file.path,
      file.imports.flatMap(({ target }) => (target === undefined ? [] : [target])),
    );
  }
  const cycle = findCycle(graph);
  const instead = 'move what both need into a file of its own';
  assertTidy(
    cycle === undefined
      ? []
      : [{ file: cycle[0] ?? '', rule: `circle: ${cycle.join(' -> ')}`, instead }],
  );
});

test('the rules themselves: down is allowed; up, sideways and across are not', () => {
  const check = (from: string, to: string): string | undefined => {
    const [a, b] = [roomOf(from), roomOf(to)];
    assert(a !== undefined && b !== undefined);
    return importProblem(a, b);
  };
  assert.equal(check('coordinator/http/routes/data/x.ts', 'coordinator/auth/y.ts'), undefined);
  assert.equal(check('worker/main.ts', 'worker/config.ts'), undefined);
  assert.equal(check('worker/points/a.ts', 'worker/points/b.ts'), undefined);
  assert.match(check('shared/domain/a.ts', 'shared/errors/b.ts') ?? '', /sideways/);
  assert.match(check('coordinator/store/a.ts', 'coordinator/auth/b.ts') ?? '', / up /);
  assert.match(check('worker/server/a.ts', 'coordinator/store/b.ts') ?? '', /two programs/);
  assert.match(check('coordinator/http/a.ts', 'scripts/b.ts') ?? '', / up /);
  assert.equal(roomOf('coordinator/attic/a.ts'), undefined);
});

function* localImports(): Generator<{ file: SourceFile; target: string; line: number }> {
  for (const file of sources) {
    for (const { target, line } of file.imports) {
      if (target !== undefined) yield { file, target, line };
    }
  }
}
