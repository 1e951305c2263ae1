/** Real process death and a really full disk, under the load of a stock client. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { QdrantClient } from '@qdrant/js-client-rest';
import { cleanUp } from '../harness/cleanup.ts';
import { startService } from '../harness/service.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

const NAME = 'struck';
const WRITERS = 6;
const COLLECTION = { vectors: { size: 2, distance: 'Dot' } } as const;

/** What the service said it did. An operation without an answer may or may not have happened. */
class Ledger {
  readonly present = new Set<number>();
  readonly deleted = new Set<number>();
  readonly unknown = new Set<number>();

  async note(id: number, into: Set<number>, request: () => Promise<unknown>): Promise<void> {
    this.present.delete(id);
    try {
      await request();
      into.add(id);
    } catch {
      this.unknown.add(id);
      await sleep(20); // the service is being restarted
    }
  }
}

/** Stores points of its own one after the other, and deletes every fourth again. */
async function write(
  client: QdrantClient,
  ledger: Ledger,
  { writer, stop }: { writer: number; stop: AbortSignal },
): Promise<void> {
  for (let id = writer; !stop.aborted; id += WRITERS) {
    const point = { id, vector: [id, 1], payload: { id } };
    await ledger.note(id, ledger.present, () => {
      return client.upsert(NAME, { wait: true, points: [point] });
    });
    if (id % 4 !== 0 || !ledger.present.has(id)) continue;
    await ledger.note(id, ledger.deleted, () => client.delete(NAME, { wait: true, points: [id] }));
  }
}

async function check(client: QdrantClient, ledger: Ledger): Promise<void> {
  const { points } = await client.scroll(NAME, { limit: 10_000, with_vector: true });
  const found = points.map(({ id }) => Number(id));
  const ids = new Set(found);
  assert.equal(ids.size, found.length, 'nothing is there twice');
  assert.deepEqual(
    [...ledger.present].filter((id) => !ids.has(id)),
    [],
    'nothing is missing',
  );
  assert.deepEqual(
    [...ledger.deleted].filter((id) => ids.has(id)),
    [],
    'nothing returns',
  );
  for (const { id, vector, payload } of points) {
    assert.ok(ledger.present.has(Number(id)) || ledger.unknown.has(Number(id)));
    assert.deepEqual([vector, payload], [[id, 1], { id }]);
  }
  const { count } = await client.count(NAME, { exact: true });
  assert.equal(count, ids.size);
  for (const exact of [true, false]) {
    const query = { query: [1, 0], limit: 10_000, params: { exact, hnsw_ef: 10_000 } };
    const hits = await client.query(NAME, query);
    assert.deepEqual(new Set(hits.points.map(({ id }) => Number(id))), ids, 'the index agrees');
  }
}

test('kill -9 of any process during writes loses no acknowledged write', async (t) => {
  const service = await startService(t);
  const client = service.client();
  await client.createCollection(NAME, COLLECTION);
  const ledger = new Ledger();
  const stop = new AbortController();
  const writers = Array.from({ length: WRITERS }, (_, writer) => {
    return write(client, ledger, { writer, stop: stop.signal });
  });
  const [workerA, workerB] = service.workerNames;
  for (const name of [workerA, workerB, 'coordinator', workerA, workerB]) {
    await sleep(150);
    if (name !== undefined) await service.killAndWait(name);
  }
  await sleep(150);
  stop.abort();
  await Promise.all(writers);
  t.diagnostic(`${ledger.present.size} present, ${ledger.deleted.size} deleted`);
  t.diagnostic(`${ledger.unknown.size} operations without an answer`);
  assert.ok(ledger.present.size > 50 && ledger.deleted.size > 10);
  await check(client, ledger);

  await service.stop();
  const again = await startService(t, { data: service.data });
  await check(again.client(), ledger);
});

test('when the supervisor is killed its processes end, and a new start serves the data', async (t) => {
  const service = await startService(t);
  await service.client().createCollection(NAME, COLLECTION);
  const points = [{ id: 1, vector: [2, 3] }];
  await service.client().upsert(NAME, { wait: true, points });
  const pids = ['coordinator', ...service.workerNames].map((name) => service.pidOf(name));
  await service.stop('SIGKILL');
  for (const pid of pids) {
    for (let tries = 0; tries < 500 && existsSync(`/proc/${pid}`); tries++) await sleep(20);
    assert.equal(existsSync(`/proc/${pid}`), false, `process ${pid} is gone`);
  }
  const again = await startService(t, { data: service.data });
  assert.equal((await again.client().count(NAME)).count, 1);
});

const DISK_MIB = 48;
const BALLAST_MIB = 12;

/** A small disk of its own; undefined where this user may not mount one. */
function mountDisk(t: TestContext): string | undefined {
  const folder = join(temporaryFolder(t), 'disk');
  mkdirSync(folder);
  const size = `size=${DISK_MIB}m,mode=0700`;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', folder], { stdio: 'pipe' });
  } catch (error) {
    t.diagnostic(`not run: this user can not mount a small disk (${String(error).split('\n')[0]})`);
    return undefined;
  }
  cleanUp(t, () => {
    execFileSync('umount', [folder]);
  });
  return folder;
}

test('a full disk: writes are refused, reads and deletes go on, and writes come back', async (t) => {
  const disk = mountDisk(t);
  if (disk === undefined) return;
  const ballast = join(disk, 'ballast');
  writeFileSync(ballast, Buffer.alloc(BALLAST_MIB * 2 ** 20));
  const env = { BULKHEAD_DISK_RESERVE_BYTES: String(4 * 2 ** 20) };
  const data = { folder: join(disk, 'data') };
  const service = await startService(t, { data, env, workers: 1 });
  const client = service.client();
  await client.createCollection(NAME, COLLECTION);
  const text = 'x'.repeat(8_000);
  let stored = 0;
  const fill = async (): Promise<void> => {
    const points = Array.from({ length: 50 }, (_, index) => {
      return { id: stored + index, vector: [stored + index, 1], payload: { text } };
    });
    await client.upsert(NAME, { wait: true, points });
    stored += points.length;
  };
  await assert.rejects(
    async () => {
      while (stored < 20_000) await fill();
    },
    { status: 507 },
  );
  assert.ok(stored > 0);
  assert.equal(
    (await client.count(NAME, { exact: true })).count,
    stored,
    'a batch is whole or not',
  );
  const { points } = await client.query(NAME, { query: [1, 0], limit: 1 });
  assert.equal(points[0]?.id, stored - 1);
  await client.delete(NAME, { wait: true, points: [0, 1, 2] });
  assert.equal((await client.count(NAME, { exact: true })).count, stored - 3);
  rmSync(ballast);
  await fill();
  assert.equal((await client.count(NAME, { exact: true })).count, stored - 3);
});
