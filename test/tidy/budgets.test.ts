import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertTidy, type Problem } from './report.ts';
import { isTest, loadSources, ROOT } from './source-tree.ts';

const SOURCE_LINES_MAX = 500;
const TEST_LINES_MAX = 800;
const FUNCTION_LINES_MAX = 70;

/** Names that say nothing about what is inside. */
const EMPTY_NAMES = new Set(['utils', 'util', 'helpers', 'helper', 'common', 'types', 'misc']);

const sources = loadSources();

test('files stay within their budget of lines', () => {
  const problems: Problem[] = [];
  for (const { path, text } of sources) {
    const max = isTest(path) ? TEST_LINES_MAX : SOURCE_LINES_MAX;
    const lines = text.split('\n').length - 1;
    if (lines <= max) continue;
    const rule = `${lines} lines, ${max} at most`;
    problems.push({ file: path, rule, instead: 'split it by what its parts are about' });
  }
  assertTidy(problems);
});

test('files are named by what they hold, in kebab-case', () => {
  const problems: Problem[] = [];
  for (const { path } of sources) {
    const name = (path.split('/').at(-1) ?? '').replace(/(\.test)?\.ts$/, '');
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) {
      problems.push({ file: path, rule: 'not kebab-case', instead: 'write-it-like-this.ts' });
    }
    if (EMPTY_NAMES.has(name)) {
      problems.push({ file: path, rule: `"${name}" says nothing`, instead: 'name the noun' });
    }
    if (name === 'index') {
      const instead = 'import from the file that has the thing';
      problems.push({ file: path, rule: 'an index file is a barrel', instead });
    }
  }
  assertTidy(problems);
});

test('functions are held to their budget by the linter', () => {
  const config = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8'));
  const rule = config.linter.rules.complexity.noExcessiveLinesPerFunction;
  assert.equal(rule.level, 'error');
  assert.equal(rule.options.maxLines, FUNCTION_LINES_MAX);
});
