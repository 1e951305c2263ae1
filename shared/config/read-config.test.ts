import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { ConfigError } from './config-error.ts';
import { envNameOf, type OptionTable } from './option-table.ts';
import { loadConfig, readConfig } from './read-config.ts';

const TABLE = {
  dataDir: { kind: 'path', help: 'the data' },
  port: { kind: 'integer', default: 6333, min: 0, max: 65_535, help: 'the port' },
  url: { kind: 'text', default: 'ws://a', pattern: /^ws:\/\//, form: 'ws://host', help: 'where' },
  level: { kind: 'choice', default: 'info', choices: ['info', 'warn'], help: 'how much' },
  linkSecret: { kind: 'secret', min: 8, help: 'the secret' },
} as const satisfies OptionTable;

const FILE = 'BULKHEAD_LINK_SECRET=abcdefgh\n';

function problemsOf(env: Record<string, string>, envFileText?: string): string[] {
  try {
    readConfig(TABLE, envFileText === undefined ? { env } : { env, envFileText });
  } catch (error) {
    assert(error instanceof ConfigError);
    for (const problem of error.problems) assert(error.message.includes(problem));
    return [...error.problems];
  }
  return [];
}

test('values are typed by their kind, defaults fill the rest', () => {
  const env = { BULKHEAD_DATA_DIR: 'some/where', BULKHEAD_PORT: '0', HOME: '/root' };
  const config = readConfig(TABLE, { env, envFileText: `# secrets\n\n ${FILE}` });
  const port: number = config.port;
  const level: 'info' | 'warn' = config.level;
  assert.deepEqual(config, {
    dataDir: resolve('some/where'),
    port,
    url: 'ws://a',
    level,
    linkSecret: 'abcdefgh',
  });
  assert.equal(port, 0);
  assert(Object.isFrozen(config));
});

test('an ordinary option may stand in the env file; the environment wins', () => {
  const envFileText = `${FILE}BULKHEAD_PORT = 1\nBULKHEAD_DATA_DIR=/f\n`;
  assert.equal(readConfig(TABLE, { env: {}, envFileText }).port, 1);
  assert.equal(readConfig(TABLE, { env: { BULKHEAD_PORT: '2' }, envFileText }).port, 2);
});

test('every problem is reported at once', () => {
  const env = {
    BULKHEAD_PORT: '65536',
    BULKHEAD_URL: 'http://x',
    BULKHEAD_LEVEL: 'loud',
    BULKHEAD_PROT: '1',
  };
  const known =
    'known are BULKHEAD_DATA_DIR, BULKHEAD_ENV_FILE, BULKHEAD_LEVEL, BULKHEAD_LINK_SECRET, BULKHEAD_PORT, BULKHEAD_URL';
  assert.deepEqual(problemsOf(env, 'BULKHEAD_LINK_SECRET=short\nOTHER=1\n'), [
    'BULKHEAD_DATA_DIR is needed: the data',
    'BULKHEAD_PORT is "65536"; it is an integer, 0 to 65535',
    'BULKHEAD_URL is "http://x"; it has the form ws://host',
    'BULKHEAD_LEVEL is "loud"; it can be: info, warn',
    'BULKHEAD_LINK_SECRET needs at least 8 characters',
    `BULKHEAD_PROT is not an option; ${known}`,
    `env file: OTHER is not an option; ${known}`,
  ]);
});

test('integers are whole decimal numbers within their range', () => {
  for (const text of ['', ' ', '1.5', '1e3', '0x10', 'NaN', '-1', '65536', '9'.repeat(17), '1 ']) {
    const problems = problemsOf({ BULKHEAD_DATA_DIR: '/d', BULKHEAD_PORT: text }, FILE);
    assert.equal(problems.length, 1, JSON.stringify(text));
    assert.match(problems[0] ?? '', /^BULKHEAD_PORT is /);
  }
});

test('an empty text or path is not a value', () => {
  assert.deepEqual(problemsOf({ BULKHEAD_DATA_DIR: '', BULKHEAD_URL: '' }, FILE), [
    'BULKHEAD_DATA_DIR is not a path',
    'BULKHEAD_URL is empty',
  ]);
});

test('a secret in the environment is refused and never shown', () => {
  const env = { BULKHEAD_DATA_DIR: '/d', BULKHEAD_LINK_SECRET: 'hush-hush-hush' };
  const problems = problemsOf(env, FILE);
  assert.deepEqual(problems, [
    'BULKHEAD_LINK_SECRET is a secret: take it out of the environment, into the env file',
  ]);
});

test('a missing secret names the file it belongs in', () => {
  assert.deepEqual(problemsOf({ BULKHEAD_DATA_DIR: '/d' }), [
    'BULKHEAD_LINK_SECRET is needed in the file named by BULKHEAD_ENV_FILE: the secret',
  ]);
});

test('relations are asked once every option is right', () => {
  const relations = (): string[] => ['together they are wrong'];
  const env = { BULKHEAD_DATA_DIR: '/d' };
  assert.throws(() => readConfig(TABLE, { env, envFileText: FILE }, relations), {
    problems: ['together they are wrong'],
  });
  assert.throws(() => readConfig(TABLE, { env: {}, envFileText: FILE }, relations), {
    problems: ['BULKHEAD_DATA_DIR is needed: the data'],
  });
});

test('loadConfig reads the file that the environment names', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-config-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'a.env');
  writeFileSync(path, FILE, { mode: 0o600 });
  const env = { BULKHEAD_DATA_DIR: '/d', BULKHEAD_ENV_FILE: path };
  assert.equal(loadConfig(TABLE, env).linkSecret, 'abcdefgh');
  assert.throws(() => loadConfig(TABLE, { ...env, BULKHEAD_ENV_FILE: `${path}x` }), ConfigError);
});

test('an option name becomes the name of its variable', () => {
  assert.equal(envNameOf('diskReserveBytes'), 'BULKHEAD_DISK_RESERVE_BYTES');
});
