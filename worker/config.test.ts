import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHelp } from '../shared/config/format-help.ts';
import { readConfig } from '../shared/config/read-config.ts';
import { WORKER_OPTIONS } from './config.ts';

const FILE = `BULKHEAD_LINK_SECRET=${'x'.repeat(32)}\n`;

test('the help of the worker is pinned', () => {
  assert.equal(
    formatHelp(WORKER_OPTIONS),
    `BULKHEAD_DATA_DIR
    folder of this worker's shards; no two workers share one
    path; must be set

BULKHEAD_COLD_DIR
    folder for the files of paused shards, best on another disk; by default "cold" in the data folder
    text; default 

BULKHEAD_COLD_VERIFY_HOURS
    how often what is in the cold folder is read and held against its digests
    integer, 1 to 8760 hours; default 168

BULKHEAD_COORDINATOR_URL
    the coordinator's link port, which the worker dials
    ws://host:port or wss://host:port; default ws://127.0.0.1:6336

BULKHEAD_WRITER_THREADS
    threads that commit writes; a shard always belongs to the same one
    integer, 1 to 16; default 2

BULKHEAD_HANDLES_MAX
    open databases for reading, and as many for writing; others open on demand
    integer, 8 to 16384; default 256

BULKHEAD_DISK_RESERVE_BYTES
    free space below which growing writes are refused; kept for deletes
    integer, 0 to 9007199254740991 bytes; default 67108864

BULKHEAD_FLAT_POINTS_MAX
    a shard with fewer points is scanned exactly and has no graph
    integer, 0 to 1000000 points; default 5000

BULKHEAD_PURGE_AFTER_MS
    removed points leave memory and images after this time at the latest; the database at once
    integer, 100 to 86400000 ms; default 300000

BULKHEAD_LOG_LEVEL
    least level that is logged
    one of debug, info, warn, error, silent; default info

BULKHEAD_LINK_SECRET
    shared with the coordinator; proves both ends
    secret, at least 32 characters, in the env file only
`,
  );
});

test('the folder and the secret are all that must be given', () => {
  const config = readConfig(WORKER_OPTIONS, {
    env: { BULKHEAD_DATA_DIR: '/d' },
    envFileText: FILE,
  });
  assert.equal(config.coordinatorUrl, 'ws://127.0.0.1:6336');
  assert.equal(config.writerThreads, 2);
});

test("the coordinator's secrets are not for a worker", () => {
  const sources = {
    env: { BULKHEAD_DATA_DIR: '/d' },
    envFileText: `${FILE}BULKHEAD_KEY_PEPPER=${'x'.repeat(32)}\n`,
  };
  assert.throws(() => readConfig(WORKER_OPTIONS, sources), /BULKHEAD_KEY_PEPPER is not an option/);
});

test('the address of the coordinator is a WebSocket address', () => {
  const tryUrl = (url: string): string =>
    readConfig(WORKER_OPTIONS, {
      env: { BULKHEAD_DATA_DIR: '/d', BULKHEAD_COORDINATOR_URL: url },
      envFileText: FILE,
    }).coordinatorUrl;
  for (const url of ['ws://127.0.0.1:6336', 'wss://node-1.example:443/', 'ws://[::1]:6336']) {
    assert.equal(tryUrl(url), url);
  }
  for (const url of ['http://a:1', 'ws://', 'ws://a b', 'ws://user:word@a:1', 'ws://a:1/path?x']) {
    assert.throws(() => tryUrl(url), /has the form ws:\/\/host:port/);
  }
});
