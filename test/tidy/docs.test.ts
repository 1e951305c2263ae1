/** Documents are checked like code: what they point at exists, and what they tell you to run. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { COORDINATOR_OPTIONS } from '../../coordinator/config.ts';
import { ENV_FILE_NAME, envNameOf } from '../../shared/config/option-table.ts';
import { WORKER_OPTIONS } from '../../worker/config.ts';
import { assertTidy, type Problem } from './report.ts';
import { lineOf, listFiles, ROOT } from './source-tree.ts';

/** Read by `scripts/load-dataset.ts`, not by a process of the service. */
const SCRIPT_VARIABLES = ['BULKHEAD_API_KEY'];

const TEST_COMMAND = 'npm ci && npm test';

const documents = listFiles()
  .filter((path) => path.endsWith('.md'))
  .map((path) => ({ path, text: read(path) }));

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** GitHub's anchors: lower case, blanks to hyphens, punctuation gone. */
function anchorsOf(text: string): Set<string> {
  const headings = text.matchAll(/^#+ +(.+)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-'),
    ),
  );
}

test('relative links lead to files, and anchors to headings', () => {
  const problems: Problem[] = [];
  for (const { path, text } of documents) {
    for (const match of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      const link = match[1] ?? '';
      if (/^[a-z]+:/.test(link)) continue;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? path : join(dirname(path), file);
      const line = lineOf(text, match.index);
      const instead = 'put the link right';
      if (!existsSync(join(ROOT, target))) {
        problems.push({ file: path, line, rule: `links to ${link}, which is not there`, instead });
      } else if (anchor !== undefined && !anchorsOf(read(target)).has(anchor)) {
        problems.push({ file: path, line, rule: `${link} has no such heading`, instead });
      }
    }
  }
  assertTidy(problems);
});

test('files named in backquotes exist', () => {
  const problems: Problem[] = [];
  for (const { path, text } of documents) {
    const named = text.matchAll(
      /`((?:coordinator|worker|shared|scripts|test)\/(?:[\w.-]+\/)*(?:[\w.-]+\.ts)?)`/g,
    );
    for (const match of named) {
      const target = match[1] ?? '';
      if (existsSync(join(ROOT, target))) continue;
      const line = lineOf(text, match.index);
      problems.push({ file: path, line, rule: `names ${target}`, instead: 'it is not there' });
    }
  }
  assertTidy(problems);
});

test('npm commands in documents are scripts of package.json', () => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(read('package.json'));
  const problems: Problem[] = [];
  for (const { path, text } of documents) {
    for (const match of text.matchAll(/\bnpm (?:run (?:--\w+ )?([\w:-]+)|(start|test))\b/g)) {
      const name = match[1] ?? match[2] ?? '';
      if (name in scripts) continue;
      const line = lineOf(text, match.index);
      problems.push({ file: path, line, rule: `"${match[0]}"`, instead: 'no such npm script' });
    }
  }
  assertTidy(problems);
});

test('variables named in documents are options', () => {
  const options = [...Object.keys(COORDINATOR_OPTIONS), ...Object.keys(WORKER_OPTIONS)];
  const known = new Set([...options.map(envNameOf), ENV_FILE_NAME, ...SCRIPT_VARIABLES]);
  const problems: Problem[] = [];
  for (const { path, text } of documents) {
    for (const match of text.matchAll(/\bBULKHEAD_[A-Z_]*[A-Z]\b/g)) {
      if (known.has(match[0])) continue;
      const line = lineOf(text, match.index);
      problems.push({ file: path, line, rule: `names ${match[0]}`, instead: 'no such option' });
    }
  }
  assertTidy(problems);
});

test('the continuous build runs the command of the README', () => {
  assert(read('README.md').includes(TEST_COMMAND), `README.md says: ${TEST_COMMAND}`);
  const [, build = '', run = ''] = /^(npm ci)\n(npm test)$/m.exec(read('.ci/run')) ?? [];
  assert.equal(`${build} && ${run}`, TEST_COMMAND, '.ci/run runs the same');
});

test('no file names a place on the machine of its author', () => {
  const places = new RegExp(
    ['work', 'root', 'home/\\w+', 'Users/\\w+'].map((place) => `(?<![\\w.~-])/${place}/`).join('|'),
    'g',
  );
  const problems: Problem[] = [];
  for (const path of listFiles()) {
    const text = read(path);
    for (const match of text.matchAll(places)) {
      const line = lineOf(text, match.index);
      const instead = 'use a path relative to the repository, or an argument';
      problems.push({ file: path, line, rule: `names ${match[0]}`, instead });
    }
  }
  assertTidy(problems);
});
