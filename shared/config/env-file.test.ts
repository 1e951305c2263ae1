import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { envFileProblem, parseEnvFile, readEnvFile } from './env-file.ts';

describe('readEnvFile', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-env-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  function file(name: string, mode: number, text = 'A=1\n'): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  }

  test('takes a file that only its owner can use', () => {
    assert.equal(readEnvFile(file('good', 0o600)), 'A=1\n');
    assert.equal(readEnvFile(file('read-only', 0o400)), 'A=1\n');
  });

  test('refuses a file that group or others may use in any way', () => {
    for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644]) {
      const path = file(`mode-${mode.toString(8)}`, mode);
      assert.throws(() => readEnvFile(path), {
        name: 'ConfigError',
        message: new RegExp(`mode ${mode.toString(8)}.*chmod 600`),
      });
    }
  });

  test('refuses a symlink, even to a good file', () => {
    const link = join(folder, 'link');
    symlinkSync(file('target', 0o600), link);
    assert.throws(() => readEnvFile(link), /symbolic link/);
  });

  test('refuses a folder, a pipe (without waiting for a writer) and an absent file', () => {
    const directory = join(folder, 'directory');
    mkdirSync(directory, { mode: 0o700 });
    assert.throws(() => readEnvFile(directory), /not a regular file/);
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', ['-m', '600', pipe]);
    assert.throws(() => readEnvFile(pipe), /not a regular file/);
    assert.throws(() => readEnvFile(join(folder, 'absent')), /does not exist/);
  });

  test('refuses a file that is too large', () => {
    assert.throws(() => readEnvFile(file('large', 0o600, '#'.repeat(70_000))), /larger than/);
  });
});

test("a file of somebody else is refused, root's own process included", () => {
  const facts = { isFile: () => true, uid: 1000, mode: 0o100600, size: 10 };
  assert.equal(envFileProblem(facts, 1000), undefined);
  assert.match(envFileProblem(facts, 0) ?? '', /belongs to user 1000.*as user 0/);
  assert.match(envFileProblem({ ...facts, uid: 0 }, 1000) ?? '', /belongs to user 0/);
});

test('parseEnvFile takes NAME=value lines and comments', () => {
  const problems: string[] = [];
  const text = '# head\r\nA=1\r\n  B = x=y # not a comment  \n\nC=\n';
  assert.deepEqual(
    [...parseEnvFile(text, problems)],
    [
      ['A', '1'],
      ['B', 'x=y # not a comment'],
      ['C', ''],
    ],
  );
  assert.deepEqual(problems, []);
});

test('parseEnvFile reports what it can not read by line, without the value', () => {
  const problems: string[] = [];
  parseEnvFile('A=1\nA=2\nexport B=hush\nC="hush"\nhush', problems);
  assert.deepEqual(problems, [
    'env file, line 2: A is there twice',
    'env file, line 3: write NAME=value',
    'env file, line 4: write C without quotes',
    'env file, line 5: write NAME=value',
  ]);
});
