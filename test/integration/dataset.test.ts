/**
 * The 62,666 real embeddings through the stock client, with `kill -9` of every worker in the middle
 * of the load: nothing acknowledged is missing, nothing is there twice, nothing that was deleted
 * returns, and searches are as right as without.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { becomeGreen, createCollection, loadPoints, persist } from '../../scripts/dataset/load.ts';
import { readDataset } from '../../scripts/dataset/read-dataset.ts';
import { findDamage, measureRecall, SEARCHES } from '../../scripts/dataset/verify.ts';
import { startService } from '../harness/service.ts';

const FOLDER = path.join(import.meta.dirname, '../../../shared/datasets/debian-packages');
const COLLECTION = 'debian-packages';
const BATCH_POINTS = 500;
/** Exact scans take 30 ms each; recall over 200 queries is known to half a percent. */
const QUERIES = 200;

test('real embeddings survive kill -9 of every worker in the middle of their load', async (t) => {
  if (!existsSync(FOLDER)) return t.skip('the debian-packages dataset is not here');
  const dataset = readDataset(FOLDER);
  const service = await startService(t);
  const client = service.client();
  await createCollection(client, COLLECTION, dataset);
  const total = dataset.payloads.length;
  const doomed = Array.from({ length: BATCH_POINTS }, (_, id) => id);
  let stored = 0;
  let struck: Promise<unknown> | undefined;
  await loadPoints(client, dataset, {
    collection: COLLECTION,
    batchPoints: BATCH_POINTS,
    concurrency: 4,
    loaded(points) {
      stored += points;
      if (stored > total / 2) struck ??= strike();
    },
  });
  assert.ok(struck, 'the workers were killed during the load');
  await struck;

  const { points } = await client.scroll(COLLECTION, { limit: 10, filter: hasId(doomed) });
  assert.deepEqual(points, [], 'nothing that was deleted returns');
  const { count } = await client.count(COLLECTION, { exact: true });
  assert.equal(count, total - doomed.length);
  const again = { ...dataset, payloads: dataset.payloads.slice(0, BATCH_POINTS) };
  const options = { collection: COLLECTION, batchPoints: BATCH_POINTS, concurrency: 1 };
  await loadPoints(client, again, { ...options, loaded: () => undefined });
  assert.deepEqual(await findDamage(client, dataset, COLLECTION), []);

  await becomeGreen(client, COLLECTION);
  for (const search of SEARCHES) {
    const found = await measureRecall(client, dataset, COLLECTION, search, QUERIES);
    t.diagnostic(`${search.name}: recall@10 ${found.recall.toFixed(4)}`);
    assert.ok(found.recall >= found.recallMin, `${search.name}: ${found.recall}`);
    assert.equal(found.strays, 0, `${search.name}: hits that do not match`);
  }

  /** Deletes the first batch, which is acknowledged, and kills every worker at once. */
  async function strike(): Promise<void> {
    await persist(() => client.delete(COLLECTION, { wait: true, points: doomed }));
    await Promise.all(service.workerNames.map((name) => service.killAndWait(name)));
  }
});

function hasId(ids: number[]): object {
  return { must: [{ has_id: ids }] };
}
