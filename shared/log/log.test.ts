import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { AppError } from '../errors/app-error.ts';
import { describeError, safeText } from './describe-error.ts';
import { LOG_EVENTS, type LogLevel } from './events.ts';
import { createLog, type Log } from './log.ts';

function capture(level: LogLevel): { log: Log; lines: () => Record<string, unknown>[] } {
  const texts: string[] = [];
  const destination = { write: (text: string) => void texts.push(text) };
  const clock = new ManualClock(Date.UTC(2026, 0, 2, 3, 4, 5, 678));
  const log = createLog({ level, name: 'worker', destination, clock });
  return { log, lines: () => texts.map((text) => JSON.parse(text)) };
}

test('an event is one JSON line with the fields of the table', () => {
  const { log, lines } = capture('info');
  log.event('image_saved', { shardId: 's', version: 3, bytes: 10, ms: 1.5 });
  assert.deepEqual(lines(), [
    {
      level: 'info',
      time: '2026-01-02T03:04:05.678Z',
      name: 'worker',
      pid: process.pid,
      event: 'image_saved',
      shardId: 's',
      version: 3,
      bytes: 10,
      ms: 1.5,
    },
  ]);
});

test('events below the level are not written', () => {
  const { log, lines } = capture('warn');
  log.event('image_saved', { shardId: 's' });
  log.event('image_refused', { shardId: 's', reason: 'truncated' });
  log.event('unexpected_error', { place: 'x', error: new Error('y') });
  assert.deepEqual(
    lines().map((line) => line.event),
    ['image_refused', 'unexpected_error'],
  );
  const silent = capture('silent');
  silent.log.event('unexpected_error', { place: 'x' });
  assert.deepEqual(silent.lines(), []);
});

test('a field that the table does not name, or of another type, is left out', () => {
  const { log, lines } = capture('debug');
  const row = { shardId: 's', points: 'many', vector: [1, 2], payload: { name: 'x' }, key: 'k' };
  log.event('shard_opened', row as unknown as { shardId: string });
  assert.deepEqual(Object.keys(lines()[0] ?? {}), [
    'level',
    'time',
    'name',
    'pid',
    'event',
    'shardId',
  ]);
});

test('no event has a field for data of clients', () => {
  const forbidden = /vector|payload|secret|token|filter|body|query|header|^key$|apiKey|password/i;
  for (const [event, { fields, help }] of Object.entries(LOG_EVENTS)) {
    for (const field of Object.keys(fields)) assert.doesNotMatch(field, forbidden, event);
    assert.match(event, /^[a-z]+(_[a-z]+)+$/);
    assert(help.length > 0);
  }
});

test('texts are bounded and keys are masked', () => {
  const key = `bh_live_${'a'.repeat(43)}_${'b'.repeat(6)}`;
  assert.equal(safeText(`for ${key} and bh_test_x`), 'for bh_live_*** and bh_test_***');
  assert.equal(safeText('x'.repeat(600)).length, 503);
  const { log, lines } = capture('info');
  log.event('link_lost', { reason: key });
  assert.equal(lines()[0]?.reason, 'bh_live_***');
});

test('an error keeps name, code, detail, place and causes', () => {
  const cause = Object.assign(new Error('disk is full'), { code: 'ENOSPC' });
  const described = describeError(
    new AppError('insufficient_storage', undefined, { detail: 'commit', cause }),
  );
  assert.equal(described.name, 'AppError');
  assert.equal(described.code, 'insufficient_storage');
  assert.equal(described.detail, 'commit');
  assert.match(described.stack?.[0] ?? '', /^at .*log\.test\.ts:\d+:\d+/);
  assert.deepEqual([described.cause?.code, described.cause?.message], ['ENOSPC', 'disk is full']);
});

test('an error that quotes data does not bring it into the log', () => {
  let caught: unknown;
  try {
    JSON.parse('{"vector": [0.25, hush]}');
  } catch (error) {
    caught = error;
  }
  assert.doesNotMatch(JSON.stringify(describeError(caught)), /hush|0\.25/);
  const multiline = new Error('first\n    at hush (hush:1:1)');
  assert.deepEqual(
    (describeError(multiline).stack ?? []).filter((line) => line.includes('hush')),
    [],
  );
  assert.deepEqual(describeError({ payload: 'hush' }), {
    name: 'object',
    message: 'thrown, but not an Error',
  });
});

test('a circle of causes ends', () => {
  const error = new Error('a');
  error.cause = error;
  assert.equal(describeError(error).cause?.cause?.cause?.cause, undefined);
});

test('the default destination is stderr, written before the process ends', () => {
  const script = `import { createLog } from ${JSON.stringify(new URL('./log.ts', import.meta.url))};
    createLog({ level: 'info', name: 'n' }).event('worker_ready', { shards: 2 });
    process.kill(process.pid, 'SIGKILL');`;
  let stderr = '';
  try {
    execFileSync(process.execPath, ['--input-type=module', '-e', script], { stdio: 'pipe' });
  } catch (error) {
    stderr = String((error as { stderr: Buffer }).stderr);
  }
  assert.equal(JSON.parse(stderr).event, 'worker_ready');
});
