import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../../shared/base/random.ts';
import type { PayloadBytes, PointId } from '../../../shared/domain/point.ts';
import { shardOfPoint } from '../../../shared/domain/shard-of-point.ts';
import { ONCE_DIGEST_BYTES, onceAfter } from '../../../shared/protocol/once.ts';
import { isWholePage, type Page, sealPage } from '../../../shared/protocol/page.ts';
import { takeSeed } from '../../../test/harness/seed.ts';
import { splitPage } from './split-page.ts';

const DIMENSION = 3;
const ROWS = 200;
const REMOVED = 50;

function randomPage(random: SeededRandom): { body: Page; vectors: Float32Array } {
  const idOf = (n: number): PointId => (n % 2 === 0 ? BigInt(n) : uuidOf(n));
  const numbers = Array.from({ length: ROWS + REMOVED }, (_, i) => 10 * i + random.below(10));
  const ids = numbers.slice(0, ROWS).map(idOf);
  const removedIds = numbers.slice(ROWS).map(idOf);
  const versionOf = () => 1 + random.below(1_000);
  const payloadOf = (): PayloadBytes | null => {
    return random.next() < 0.5 ? null : Buffer.from(`{"n":${random.below(100)}}`);
  };
  const vectors = Float32Array.from({ length: ROWS * DIMENSION }, () => random.next());
  const lists = {
    ids,
    versions: ids.map(versionOf),
    payloads: ids.map(payloadOf),
    removedIds,
    removedVersions: removedIds.map(versionOf),
  };
  return { body: sealPage(lists, vectors), vectors };
}

function uuidOf(n: number): PointId {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}` as PointId;
}

/** What a page says of each id. */
function contentOf(page: Page, vectors: Float32Array): Map<PointId, unknown> {
  const points = page.ids.map((id, i) => {
    const vector = [...vectors.subarray(i * DIMENSION, (i + 1) * DIMENSION)];
    return [id, [page.versions[i], page.payloads[i]?.toString() ?? null, vector]] as const;
  });
  const removed = page.removedIds.map((id, i) => [id, page.removedVersions[i]] as const);
  return new Map<PointId, unknown>([...points, ...removed]);
}

test('every row goes to its shard as it was, in a page that is sealed', (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_140));
  for (const shards of [1, 2, 3, 7, 64]) {
    const whole = randomPage(random);
    const parts = [...splitPage(whole, shards, { dimension: DIMENSION, isOnly: false })];
    assert.equal(parts.length, shards);
    const together = new Map<PointId, unknown>();
    for (const [place, { page, vectors, rows }] of parts.entries()) {
      assert.ok(isWholePage(page, vectors, DIMENSION));
      assert.equal(rows, page.ids.length + page.removedIds.length);
      for (const [id, content] of contentOf(page, vectors)) {
        assert.equal(shardOfPoint(id, shards), place);
        together.set(id, content);
      }
      // The order stays.
      const own = whole.body.ids.filter((id) => shardOfPoint(id, shards) === place);
      assert.deepEqual(page.ids, own);
    }
    assert.deepEqual(together, contentOf(whole.body, whole.vectors));
  }
});

test('what a single shard knows of writes that take effect once goes to all', (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_142));
  const { body, vectors } = randomPage(random);
  const bytes = () => new Uint8Array(ONCE_DIGEST_BYTES).fill(random.below(256));
  const rows = [{ key: bytes(), request: bytes(), at: 5, version: 7 }];
  const once = { after: onceAfter(3), until: null, rows };
  const whole = { body: sealPage({ ...body, once }, vectors), vectors };
  for (const isOnly of [true, false]) {
    for (const { page, rows: count } of splitPage(whole, 3, { dimension: DIMENSION, isOnly })) {
      assert.deepEqual(page.once, isOnly ? once : undefined);
      assert.equal(count, page.ids.length + page.removedIds.length + (isOnly ? 1 : 0));
    }
  }
});

test('a page that is not as it was sealed is not taken apart', (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_141));
  const { body, vectors } = randomPage(random);
  vectors[5] = 2;
  const split = () => [...splitPage({ body, vectors }, 2, { dimension: DIMENSION, isOnly: false })];
  assert.throws(split, { code: 'invalid_argument' });
});
