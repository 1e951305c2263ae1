/** A disk that is really full: what is refused, what goes on, and how it ends. */
import assert from 'node:assert/strict';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { QdrantClient } from '@qdrant/js-client-rest';
import { type Service, startService } from '../harness/service.ts';
import { mountSmallDisk } from '../harness/small-disk.ts';

const NAME = 'struck';
const COLLECTION = { vectors: { size: 2, distance: 'Dot' } } as const;
const DISK_MIB = 48;
const BALLAST_MIB = 12;
const RESERVE_MIB = 4;
const BATCH_POINTS = 50;
const POINTS_MAX = 20_000;
const TEXT = 'x'.repeat(8_000);
const MIB = 2 ** 20;

/** A service on `disk`, with the names of points stored so far. */
class Filling {
  readonly client: QdrantClient;
  stored = 0;

  constructor(service: Service) {
    this.client = service.client();
  }

  async storeBatch(): Promise<void> {
    const points = Array.from({ length: BATCH_POINTS }, (_, index) => {
      const id = this.stored + index;
      return { id, vector: [id, 1], payload: { id, text: TEXT } };
    });
    await this.client.upsert(NAME, { wait: true, points });
    this.stored += points.length;
  }

  async storeUntilRefused(): Promise<void> {
    const storeAll = async (): Promise<void> => {
      while (this.stored < POINTS_MAX) await this.storeBatch();
    };
    await assert.rejects(storeAll, { status: 507 });
    assert.ok(this.stored > 0);
    assert.equal(await this.count(), this.stored, 'a batch is whole or not');
  }

  async count(): Promise<number> {
    return (await this.client.count(NAME, { exact: true })).count;
  }
}

async function startOn(t: TestContext, disk: string): Promise<Filling> {
  const env = { BULKHEAD_DISK_RESERVE_BYTES: String(RESERVE_MIB * MIB) };
  const data = { folder: join(disk, 'data') };
  const filling = new Filling(await startService(t, { data, env, workers: 1 }));
  await filling.client.createCollection(NAME, COLLECTION);
  return filling;
}

test('a full disk: writes are refused, reads and deletes go on, and writes come back', async (t) => {
  const disk = mountSmallDisk(t, DISK_MIB);
  if ('refused' in disk) return t.skip(disk.refused);
  const ballast = join(disk.folder, 'ballast');
  writeFileSync(ballast, Buffer.alloc(BALLAST_MIB * MIB));
  const filling = await startOn(t, disk.folder);
  const { client } = filling;
  await filling.storeUntilRefused();
  const { points } = await client.query(NAME, { query: [1, 0], limit: 1 });
  assert.equal(points[0]?.id, filling.stored - 1);
  await client.delete(NAME, { wait: true, points: [0, 1, 2] });
  assert.equal(await filling.count(), filling.stored - 3);
  rmSync(ballast);
  await filling.storeBatch();
  assert.equal(await filling.count(), filling.stored - 3);
});

test('a shard that filled the disk is emptied by one delete by filter', async (t) => {
  const disk = mountSmallDisk(t, DISK_MIB);
  if ('refused' in disk) return t.skip(disk.refused);
  const filling = await startOn(t, disk.folder);
  const { client } = filling;
  await filling.storeUntilRefused();
  const left = freeBytes(disk.folder);
  t.diagnostic(`${filling.stored} points stored, ${left} bytes left`);
  assert.ok(left < 2 * RESERVE_MIB * MIB, 'much less is left than the shard takes');
  const all = { must: [{ key: 'id', range: { gte: 0 } }] };
  await client.delete(NAME, { wait: true, filter: all });
  assert.equal(await filling.count(), 0);
  assert.deepEqual((await client.scroll(NAME, { limit: 10 })).points, []);
  assert.deepEqual((await client.query(NAME, { query: [1, 0], limit: 10 })).points, []);
  await client.deleteCollection(NAME);
  await client.createCollection(NAME, COLLECTION);
  await filling.storeBatch();
  assert.equal(await filling.count(), BATCH_POINTS);
});

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}
