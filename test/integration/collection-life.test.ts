/**
 * `kill -9` while collections are created, deleted and given payload indexes, round after round.
 * What was answered holds; what was not may have happened or not. In the end every name can be
 * used again and the disk holds the folders of the collections that exist, and no others.
 */
import assert from 'node:assert/strict';
import { type Dirent, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { QdrantClient } from '@qdrant/js-client-rest';
import { SeededRandom } from '../../shared/base/random.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Service, startService } from '../harness/service.ts';

const ROUNDS = 10;
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
const KILL_WITHIN_MS = 40;
const FIELD = 'n';
const COLLECTION = { vectors: { size: 2, distance: 'Dot' } } as const;
const POINT = { id: 1, vector: [1, 2], payload: { n: 1 } };
const SETTLE_TRIES = 250;
const SETTLE_PAUSE_MS = 20;

type Known = 'yes' | 'no' | 'unknown';

/** What the answers say about one name. */
class Name {
  readonly name: string;
  exists: Known = 'no';
  indexed: Known = 'no';

  constructor(name: string) {
    this.name = name;
  }

  /** Creates it or deletes it, whichever may succeed, or changes its payload index. */
  async change(client: QdrantClient, random: SeededRandom): Promise<void> {
    if (this.exists === 'no') return this.#create(client);
    if (random.next() < 0.5) return this.#delete(client);
    const indexed = this.indexed;
    this.indexed = 'unknown';
    if (indexed === 'yes') {
      await client.deletePayloadIndex(this.name, FIELD, { wait: true });
      this.indexed = 'no';
    } else {
      const index = { wait: true, field_name: FIELD, field_schema: 'integer' } as const;
      await client.createPayloadIndex(this.name, index);
      this.indexed = 'yes';
    }
  }

  /** Asks, compares with what is known, and takes the answer for what was not. */
  async check(client: QdrantClient): Promise<void> {
    const { exists } = await client.collectionExists(this.name);
    if (this.exists !== 'unknown') assert.equal(exists, this.exists === 'yes', this.name);
    this.exists = exists ? 'yes' : 'no';
    if (!exists) {
      this.indexed = 'no';
      return;
    }
    const indexed = FIELD in (await client.getCollection(this.name)).payload_schema;
    if (this.indexed !== 'unknown') assert.equal(indexed, this.indexed === 'yes', this.name);
    this.indexed = indexed ? 'yes' : 'no';
    await client.upsert(this.name, { wait: true, points: [POINT] });
    assert.equal((await client.count(this.name, { exact: true })).count, 1);
    const filter = { must: [{ key: FIELD, match: { value: 1 } }] };
    assert.equal((await client.scroll(this.name, { filter })).points.length, 1);
  }

  async #create(client: QdrantClient): Promise<void> {
    this.exists = 'unknown';
    this.indexed = 'no';
    await client.createCollection(this.name, COLLECTION);
    this.exists = 'yes';
  }

  async #delete(client: QdrantClient): Promise<void> {
    this.exists = 'unknown';
    this.indexed = 'unknown';
    await client.deleteCollection(this.name);
    this.exists = 'no';
  }
}

test('kill -9 while collections come and go leaves no half of one', async (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_125));
  const service = await startService(t);
  const client = service.client();
  const names = NAMES.map((name) => new Name(name));
  let unanswered = 0;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const changes = names.map((name) => {
      return name.change(client, random).catch(() => {
        unanswered += 1;
      });
    });
    await sleep(random.next() * KILL_WITHIN_MS);
    await service.killAndWait(random.pick(['coordinator', ...service.workerNames]));
    await Promise.all(changes);
    for (const name of names) await name.check(client);
  }
  t.diagnostic(`${unanswered} changes without an answer`);
  assert.ok(unanswered > 0, 'some changes were struck');

  await settleOn(service, names.filter(({ exists }) => exists === 'yes').length);
  for (const { name } of names) {
    await client.deleteCollection(name);
    await client.createCollection(name, COLLECTION);
    await client.upsert(name, { wait: true, points: [POINT] });
    assert.equal((await client.count(name, { exact: true })).count, 1);
  }
  await settleOn(service, names.length);
  for (const { name } of names) await client.deleteCollection(name);
  await settleOn(service, 0);
});

/** Waits until there are as many shard folders as collections, each with one shard. */
async function settleOn(service: Service, collections: number): Promise<void> {
  let folders = shardFolders(service);
  for (let tries = 0; folders.length !== collections && tries < SETTLE_TRIES; tries += 1) {
    await sleep(SETTLE_PAUSE_MS);
    folders = shardFolders(service);
  }
  assert.equal(folders.length, collections, folders.join('\n'));
}

/** Folders at the depth of shards, and those of collections without one. */
function shardFolders(service: Service): string[] {
  return service.workerNames.flatMap((worker) => {
    const clients = join(service.dataFolder, worker, 'clients');
    return collectionFolders(clients).flatMap((folder) => {
      const inside = subfolders(folder);
      return inside.length === 0 ? [folder] : inside;
    });
  });
}

/** client / mode / namespace / collection.generation */
function collectionFolders(clients: string): string[] {
  return subfolders(clients).flatMap(subfolders).flatMap(subfolders).flatMap(subfolders);
}

/** None of a folder that is being erased meanwhile. */
function subfolders(folder: string): string[] {
  const entries = entriesOf(folder);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
