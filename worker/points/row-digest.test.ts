import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShardId } from '../../shared/base/ids.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import {
  type PointId,
  pointIdFromKey,
  pointIdToKey,
  type Uuid,
} from '../../shared/domain/point.ts';
import { takeSeed } from '../../test/harness/seed.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { PointsReader } from './points-reader.ts';
import { movedDigest, rowDigest } from './row-digest.ts';
import { createPointsDb } from './schema.ts';
import { ShardWriter } from './shard-writer.ts';
import type { WriteOp } from './write-op.ts';

test('known answers, of MurmurHash3_x86_32 as others have it', () => {
  const known: [PointId, number, number][] = [
    [0, 1, 873143304624950],
    [1, 1, 1612313313146810],
    [1, 2, 407590661065667],
    [2n ** 64n - 1n, Number.MAX_SAFE_INTEGER, 1373352479924766],
    [12345678901, 2 ** 40 + 7, 4141087204156399],
    ['f47ac10b-58cc-4372-a567-0e02b2c3d479' as Uuid, 3, 1052109727945668],
    ['00000000-0000-0000-0000-000000000000' as Uuid, 2 ** 32, 3510077474676018],
  ];
  for (const [id, version, digest] of known) {
    assert.equal(rowDigest(pointIdToKey(id), version), digest, String(id));
  }
});

test('a bit of id or version changes half of the bits', (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_201));
  const flips = new Array<number>(52).fill(0);
  let tried = 0;
  for (let round = 0; round < 300; round += 1) {
    const key = Buffer.alloc(round % 2 === 0 ? 9 : 17, 0);
    key[0] = round % 2;
    for (let at = 1; at < key.length; at += 1) key[at] = random.below(256);
    const version = random.below(2 ** 30);
    const before = BigInt(rowDigest(key, version));
    assert.deepEqual(pointIdToKey(pointIdFromKey(key)), key);
    const changed = [rowDigest(key, version ^ (1 << random.below(30)))];
    for (let bit = 8; bit < 8 * key.length; bit += 1) {
      const other = Buffer.from(key);
      other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      changed.push(rowDigest(other, version));
    }
    for (const after of changed) {
      const differing = before ^ BigInt(after);
      for (let bit = 0; bit < 52; bit += 1)
        if ((differing >> BigInt(bit)) & 1n) flips[bit] = (flips[bit] ?? 0) + 1;
      tried += 1;
    }
  }
  for (const [bit, count] of flips.entries()) {
    const share = count / tried;
    assert.ok(share > 0.48 && share < 0.52, `bit ${bit} changes ${share} of the time`);
  }
});

test('sums stay below 2^52, and what goes in comes out', () => {
  const top = 2 ** 52 - 1;
  assert.equal(movedDigest(top, 0, top), top - 1);
  assert.equal(movedDigest(top - 1, top, 0), top);
  assert.equal(movedDigest(0, top, 0), 1);
  assert.equal(movedDigest(5, 7, 7), 5);
});

test('shards that got the same writes have the same digest, whatever their labels', (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_202));
  const shards = ['a', 'b'].map((name) => {
    const folder = `${temporaryFolder(t)}/${name}`;
    createPointsDb(folder, { shardId: name as ShardId, dimension: 1 });
    const writer = new ShardWriter(folder, { diskReserveBytes: 0 });
    const reader = new PointsReader(folder);
    t.after(() => {
      reader.close();
      writer.close();
    });
    return { writer, reader };
  });
  for (let version = 1; version < 200; version += 1) {
    const ids = [...new Set(Array.from({ length: 4 }, () => random.below(60)))];
    const isDelete = random.below(3) === 0;
    shards.forEach(({ writer }, i) => {
      const ordered = i === 0 ? ids : ids.toReversed();
      const op: WriteOp = isDelete
        ? { kind: 'delete', version, ids: ordered }
        : {
            ...{ kind: 'upsert', version, ids: ordered },
            vectors: new Float32Array(ids.length),
            payloads: ids.map(() => null),
          };
      writer.commit([op]);
    });
  }
  const [a, b] = shards.map(({ reader }) => reader);
  const labels = (reader: PointsReader | undefined) =>
    reader?.labelsOf(Array.from({ length: 60 }, (_, i) => i));
  assert.notDeepEqual(labels(a), labels(b));
  assert.deepEqual(a?.usage(), b?.usage());
  assert.ok((a?.usage().digest ?? 0) > 0);
});
