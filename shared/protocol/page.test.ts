import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { PointId, Uuid } from '../domain/point.ts';
import { decodeReply, encodeBody } from './body.ts';
import { onceAfter } from './once.ts';
import { isWholePage, type Page, pageChecksum, sealPage } from './page.ts';

const ID = 'f47ac10b-58cc-4372-a567-0e02b2c3d479' as Uuid;
const VECTORS = Float32Array.of(1, 2, 3, 4, 5, 6);
const ROWS = {
  ids: [1, 2n ** 63n, ID] as PointId[],
  versions: [5, 6, 7],
  payloads: [Buffer.from('{"a":1}'), null, Buffer.from('{}')],
  removedIds: [9] as PointId[],
  removedVersions: [8],
};

test('the canonical form is the one in the head of the file', () => {
  const hex = [
    '030000000100000006000000',
    '000000000000000001' + '0500000000000000' + '07000000',
    '008000000000000000' + '0600000000000000' + 'ffffffff',
    `01${ID.replaceAll('-', '')}070000000000000002000000`,
    '000000000000000009' + '0800000000000000',
    Buffer.from('{"a":1}{}').toString('hex'),
    Buffer.from(VECTORS.buffer).toString('hex'),
  ];
  const expected = createHash('sha256')
    .update(Buffer.from(hex.join(''), 'hex'))
    .digest();
  assert.deepEqual(pageChecksum(ROWS, VECTORS), expected);
});

test('a page is whole as it was sealed, after a journey too, and not otherwise', () => {
  const page = sealPage(ROWS, VECTORS);
  const reply = { page, next: null, version: 8, floor: 0, tooFar: false };
  const arrived = decodeReply('changes-read', encodeBody(reply)).page;
  assert.ok(isWholePage(arrived, VECTORS.slice(), 2));
  const key = new Uint8Array(16).fill(7);
  const row = { key, request: new Uint8Array(16).fill(8), at: 1_700_000_000_000, version: 8 };
  const once = { after: onceAfter(4), until: { version: 8, key }, rows: [row] };
  const withOnce = sealPage({ ...ROWS, once }, VECTORS);
  const read = decodeReply('changes-read', encodeBody({ ...reply, page: withOnce })).page;
  assert.ok(isWholePage(read, VECTORS, 2));
  for (const change of [
    undefined,
    { ...once, until: null },
    { ...once, after: onceAfter(3) },
    { ...once, rows: [] },
    { ...once, rows: [{ ...row, at: row.at + 1 }] },
    { ...once, rows: [{ ...row, version: 7 }] },
    { ...once, rows: [{ ...row, request: key }] },
  ]) {
    const { once: _, ...rest } = read;
    const changed = { ...rest, ...(change && { once: change }) };
    assert.equal(isWholePage(changed, VECTORS, 2), false, JSON.stringify(change));
  }
  const changes: Partial<Page>[] = [
    { ids: [1, 2n ** 63n + 1n, ID] },
    { ids: [2n ** 63n, 1, ID] },
    { versions: [5, 6, 8] },
    { versions: [5, 6] },
    { payloads: [Buffer.from('{"a":2}'), null, Buffer.from('{}')] },
    { payloads: [Buffer.from('{"a":1}'), Buffer.alloc(0), Buffer.from('{}')] },
    { payloads: [Buffer.from('{"a":1}{'), null, Buffer.from('}')] },
    { payloads: [Buffer.from('{"a":1}'), null] },
    { removedIds: [] },
    { removedIds: [], removedVersions: [] },
    { removedVersions: [7] },
    { checksum: Buffer.alloc(32) },
    { checksum: Buffer.alloc(0) },
  ];
  for (const [i, change] of changes.entries()) {
    assert.equal(isWholePage({ ...page, ...change }, VECTORS, 2), false, `change ${i}`);
  }
  assert.equal(isWholePage(page, Float32Array.of(1, 2, 3, 4, 5, 7), 2), false);
  assert.equal(isWholePage(page, VECTORS.subarray(0, 4), 2), false);
  assert.equal(isWholePage(page, VECTORS, 3), false);
});
