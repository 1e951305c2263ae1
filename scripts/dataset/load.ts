/**
 * Loads a dataset through the stock client: points in batches, several requests at once. An upsert
 * may be repeated without harm, so a batch that met a restarting service (503 and the like, or a
 * cut connection) is sent again until the service has had time to come back.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { QdrantClient } from '@qdrant/js-client-rest';
import { type Clock, systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { Engine } from '../../shared/domain/collection.ts';
import { inParallel } from './in-parallel.ts';
import { type Dataset, vectorOf } from './read-dataset.ts';

/** How long the service may be away before the load gives up. */
const AWAY_MS_MAX = 60_000;
const RETRY_DELAY_MS = 250;
const GREEN_POLL_MS = 250;
const RETRYABLE_STATUSES = new Set([429, 503, 504]);

/** What is asked by filters; the rest of a payload is only shown. */
export const PAYLOAD_INDEXES = {
  section: 'keyword',
  installed_kb: 'integer',
  tags: 'keyword',
  arch: 'keyword',
} as const;

export interface LoadOptions {
  collection: string;
  batchPoints: number;
  concurrency: number;
  /** Called after each batch with the number of points it had. */
  loaded(points: number): void;
}

/** Makes the collection anew, with its payload indexes. */
export async function createCollection(
  client: QdrantClient,
  collection: string,
  dataset: Dataset,
  engine?: Engine,
): Promise<void> {
  await client.deleteCollection(collection);
  const vectors = { size: dataset.dimension, distance: 'Dot' } as const;
  // `engine` is ours, so the stock client's types do not have it.
  const hnsw_config = engine === undefined ? {} : ({ engine } as object);
  await client.createCollection(collection, { vectors, hnsw_config });
  for (const [field, schema] of Object.entries(PAYLOAD_INDEXES)) {
    const index = { field_name: field, field_schema: schema, wait: true };
    await client.createPayloadIndex(collection, index);
  }
}

/** Stores every point; resolves when all are acknowledged. */
export function loadPoints(
  client: QdrantClient,
  dataset: Dataset,
  options: LoadOptions,
): Promise<void> {
  const { collection, batchPoints, concurrency } = options;
  const count = dataset.payloads.length;
  return inParallel(Math.ceil(count / batchPoints), concurrency, async (batch) => {
    const from = batch * batchPoints;
    const points = dataset.payloads.slice(from, from + batchPoints).map((payload, index) => {
      return { id: from + index, vector: [...vectorOf(dataset, from + index)], payload };
    });
    await persist(() => client.upsert(collection, { wait: true, points }));
    options.loaded(points.length);
  });
}

/** Waits until everything is linked into the graph. */
export async function becomeGreen(client: QdrantClient, collection: string): Promise<void> {
  while ((await persist(() => client.getCollection(collection))).status !== 'green') {
    await sleep(GREEN_POLL_MS);
  }
}

/** Repeats `request` while the service is away, for a bounded time. */
export async function persist<T>(
  request: () => Promise<T>,
  clock: Clock = systemClock,
): Promise<T> {
  const deadline = Deadline.after(clock, AWAY_MS_MAX);
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (!isRetryable(error) || deadline.expired) throw error;
      await sleep(RETRY_DELAY_MS);
    }
  }
}

/** A refused or cut connection is a `TypeError` of fetch; a status is a field of the error. */
function isRetryable(error: unknown): boolean {
  if (error instanceof TypeError) return error.message === 'fetch failed';
  if (!(error instanceof Error)) return false;
  if ('status' in error) return RETRYABLE_STATUSES.has(Number(error.status));
  return 'retry_after' in error;
}
