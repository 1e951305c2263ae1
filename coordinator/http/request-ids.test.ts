import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { isId, REQUEST_ID_CHARS_MAX } from '../../shared/base/ids.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { edgeRequestIds, requestIds } from './request-ids.ts';

const GIVEN = '7b0e8a3c93a14c5e8d0b5f2f0a8d9c11';

function requestFrom(remoteAddress: string, id?: string): IncomingMessage {
  const headers = id === undefined ? {} : { 'x-request-id': id };
  return { headers, socket: { remoteAddress } } as unknown as IncomingMessage;
}

test('the id of a trusted proxy is kept, and of nobody else', () => {
  const idOf = edgeRequestIds(secureRandom, ['10.1.0.0/16', '192.0.2.7', '2001:db8::/32']);
  for (const address of ['10.1.255.3', '192.0.2.7', '::ffff:10.1.2.3', '2001:db8::1']) {
    assert.equal(idOf(requestFrom(address, GIVEN)), GIVEN, address);
    assert.ok(isId('req_', idOf(requestFrom(address))), address);
  }
  for (const address of ['10.2.0.1', '192.0.2.8', '::ffff:10.2.2.3', '2001:db9::1', '']) {
    assert.ok(isId('req_', idOf(requestFrom(address, GIVEN))), address);
  }
  const nobody = edgeRequestIds(secureRandom, []);
  assert.ok(isId('req_', nobody(requestFrom('10.1.0.1', GIVEN))));
});

test('an id that is none of ours to write down is not kept', () => {
  const idOf = edgeRequestIds(secureRandom, ['127.0.0.1']);
  const longest = 'x'.repeat(REQUEST_ID_CHARS_MAX);
  assert.equal(idOf(requestFrom('127.0.0.1', longest)), longest);
  const bad = [
    '',
    'short',
    `${longest}x`,
    'with space',
    'quote"quote',
    'one-id-1, one-id-2',
    'ünicode-id',
  ];
  for (const id of [...bad, 'line\nfeed-id', '{"json":true}']) {
    assert.ok(isId('req_', idOf(requestFrom('127.0.0.1', id))), id);
  }
});

test('ids are all different, and say nothing of how many were between them', () => {
  const next = requestIds(secureRandom);
  const ids = Array.from({ length: 10_000 }, next);
  assert.ok(ids.every((id) => isId('req_', id)));
  assert.equal(new Set(ids).size, ids.length);
  const beginnings = new Set(ids.map((id) => id.slice(0, 12)));
  assert.ok(beginnings.size > 9_990, 'no part is the same in all of them');
  assert.notDeepEqual(ids.toSorted(), ids);
});
