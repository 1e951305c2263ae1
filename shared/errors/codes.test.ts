import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from './app-error.ts';
import { ERROR_CODES, isErrorCode } from './codes.ts';

test('the table of codes is pinned: clients match on them', () => {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, { status, retryable }]) => `${code} ${status}${retryable ? ' retryable' : ''}`,
  );
  assert.deepEqual(rows, [
    'invalid_argument 400',
    'invalid_json 400',
    'unauthenticated 401',
    'budget_spent 402',
    'forbidden 403',
    'paused 403',
    'quota_exceeded 403',
    'not_found 404',
    'collection_not_found 404',
    'point_not_found 404',
    'method_not_allowed 405',
    'request_timeout 408 retryable',
    'already_exists 409',
    'conflict 409',
    'precondition_failed 412',
    'body_too_large 413',
    'unsupported_media_type 415',
    'too_many_requests 429 retryable',
    'rate_limited 429 retryable',
    'header_too_large 431',
    'internal 500',
    'not_supported 501',
    'unavailable 503 retryable',
    'shard_quarantined 503 retryable',
    'shard_damaged 503 retryable',
    'waking 503 retryable',
    'overloaded 503 retryable',
    'write_outcome_unknown 503 retryable',
    'stale_write 503 retryable',
    'shutting_down 503 retryable',
    'deadline_exceeded 504 retryable',
    'insufficient_storage 507 retryable',
  ]);
});

test('a code is a snake_case word and its text is one public sentence', () => {
  for (const [code, { text }] of Object.entries(ERROR_CODES)) {
    assert.match(code, /^[a-z]+(_[a-z]+)*$/);
    assert.match(text, /^[^.\n]{5,}$/, code);
  }
});

test('a server error may be tried again, a client error may not until it is changed, but for being late or many', () => {
  for (const [code, { status, retryable }] of Object.entries(ERROR_CODES)) {
    if (status === 500 || status === 501) assert.equal(retryable, false, code);
    else assert.equal(retryable, [408, 429].includes(status) || status >= 503, code);
  }
});

test('isErrorCode knows the table and no more', () => {
  assert(isErrorCode('not_found'));
  for (const text of ['', 'nothing', 'toString', '__proto__']) assert(!isErrorCode(text), text);
});

test('an error of ours has a stack, one of the caller has none', () => {
  const limit = Error.stackTraceLimit;
  assert.match(new AppError('internal').stack ?? '', /codes\.test\.ts/);
  assert.doesNotMatch(new AppError('not_found').stack ?? '', /\n/);
  assert.equal(Error.stackTraceLimit, limit);
});

test('an AppError has the public text of its code unless given a better one', () => {
  const plain = new AppError('unavailable');
  assert.deepEqual(
    [plain.message, plain.status, plain.retryable, plain.detail, plain.cause],
    [ERROR_CODES.unavailable.text, 503, true, undefined, undefined],
  );
  const cause = new Error('inner');
  const rich = new AppError('not_found', 'no such key', { detail: 'row 7', cause });
  assert.deepEqual(
    [rich.message, rich.status, rich.detail, rich.cause],
    ['no such key', 404, 'row 7', cause],
  );
  assert(!('cause' in new AppError('not_found')));
});
