/**
 * Many small shards in one worker: made through the link, then found again by a fresh process that
 * opens each with its first search and keeps all of them open.
 *
 *   npx node scripts/bench-shards.ts [--shards 10000] [--points 10] [--engine kernel]
 *
 * Making them takes minutes, since each is several syncs; `--folder` keeps them for the next run.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { systemClock } from '../shared/base/clock.ts';
import type { ClientId, CollectionId, ShardId } from '../shared/base/ids.ts';
import { SeededRandom } from '../shared/base/random.ts';
import { ENGINES, type ShardDescriptor } from '../shared/domain/collection.ts';
import { prepareVector } from '../shared/domain/distance.ts';
import { quantile } from './bench/quantile.ts';
import { WorkerProcess } from './bench/worker-process.ts';
import { printRows, type Row } from './cli/output.ts';
import { inParallel } from './dataset/in-parallel.ts';

/** Shards of one client, as collections of its own. */
const SHARDS_PER_CLIENT = 100;
const PAYLOAD_BYTES = 100;
const MAKERS = 16;
/** Searches between two looks at the worker's open files. */
const FILES_EVERY = 250;
/** Shards opened before memory is measured: by then the worker has all its handles and its heap the
 * room that any load makes it take. */
const WARM_SHARE = 0.1;
const SEED = 20_261_126;

const options = new Command('bench-shards')
  .option('--shards <n>', 'shards of the worker', '10000')
  .option('--points <n>', 'points of a shard', '10')
  .option('--dimension <n>', 'dimension of the vectors', '256')
  .option('--engine <name>', `index of the shards: ${ENGINES.join(', ')}`, 'kernel')
  .option('--handles <n>', "the worker's handles_max", '256')
  .option('--folder <dir>', 'where the shards are kept; made when they are not there')
  .option('--json', 'print one JSON object a line', false)
  .parse()
  .opts<Record<'shards' | 'points' | 'dimension' | 'engine' | 'handles', string> & Others>();
interface Others {
  folder?: string;
  json: boolean;
}

const [shards, points, dimension] = [options.shards, options.points, options.dimension].map(Number);
const engine = ENGINES.find((name) => name === options.engine);
if (!shards || !points || !dimension || engine === undefined) throw new Error('a wrong option');
const shape = { points, dimension };
const settings = { BULKHEAD_HANDLES_MAX: options.handles };

const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'bulkhead-shards-'));
try {
  if (!existsSync(join(folder, 'data'))) await make();
  const worker = await WorkerProcess.start(folder, settings);
  await measure(worker);
  await worker.stop();
} finally {
  if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
}

async function make(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const worker = await WorkerProcess.start(folder, settings);
  const random = new SeededRandom(SEED);
  const startMs = systemClock.monotonicMs();
  const payload = Buffer.from(JSON.stringify({ text: 'x'.repeat(PAYLOAD_BYTES - 11) }));
  const ids = Array.from({ length: shape.points }, (_, id) => id);
  const payloads = ids.map(() => payload);
  await inParallel(shards ?? 0, MAKERS, async (at) => {
    const descriptor = descriptorOf(at);
    const { shardId } = descriptor;
    await worker.ask(shardId, 'shard-create', { descriptor });
    const vectors = vectorsOf(random, shape.points);
    const body = { version: 1, ids, names: [''], payloads };
    await worker.ask(shardId, 'points-upsert', body, vectors);
  });
  await worker.stop();
  const seconds = (systemClock.monotonicMs() - startMs) / 1_000;
  print([{ shards, points: shape.points, dimension: shape.dimension, made_s: round(seconds, 1) }]);
}

async function measure(worker: WorkerProcess): Promise<void> {
  const all = shards ?? 0;
  const warm = Math.ceil(all * WARM_SHARE);
  const rssReady = worker.rssBytes;
  await searchAll(worker, 0, warm);
  const rssWarm = worker.rssBytes;
  const first = await searchAll(worker, warm, all);
  const rssOpen = worker.rssBytes;
  const again = await searchAll(worker, 0, all);
  print([
    {
      engine,
      ready_s: round(worker.readyMs / 1_000, 2),
      first_p50_ms: first.p50Ms,
      first_p99_ms: first.p99Ms,
      again_p50_ms: again.p50Ms,
      again_p99_ms: again.p99Ms,
      rss_mb_ready: Math.round(rssReady / 1e6),
      warm: Math.round(rssWarm / 1e6),
      open: Math.round(rssOpen / 1e6),
      again: Math.round(worker.rssBytes / 1e6),
      kb_a_shard: round((rssOpen - rssWarm) / (all - warm) / 1e3, 1),
      files_most: Math.max(first.files, again.files),
      databases_most: Math.max(first.databases, again.databases),
    },
  ]);
  print([{ target_of_10_000: 'ready < 10 s, first p99 < 20 ms, < 25 kB a shard, files bounded' }]);
}

/** One search of each shard, one after the other. */
async function searchAll(worker: WorkerProcess, from: number, to: number) {
  const random = new SeededRandom(SEED + 1);
  const target = { kind: 'vector' as const };
  const payload = { kind: 'all' as const };
  const search = { target, payload, limit: 10, offset: 0, exact: false, withVector: false };
  const latenciesMs: number[] = [];
  let files = 0;
  let databases = 0;
  for (let at = from; at < to; at += 1) {
    const query = vectorsOf(random, 1);
    const sentMs = systemClock.monotonicMs();
    const { body } = await worker.ask(shardIdOf(at), 'points-query', { searches: [search] }, query);
    latenciesMs.push(systemClock.monotonicMs() - sentMs);
    const hits = body.results[0]?.scores.length;
    if (hits !== Math.min(10, shape.points)) throw new Error(`shard ${at} gave ${hits} hits`);
    if (at % FILES_EVERY !== 0) continue;
    const open = worker.files('/points.db');
    files = Math.max(files, open.all);
    databases = Math.max(databases, open.named);
  }
  latenciesMs.sort((a, b) => a - b);
  const p50Ms = round(quantile(latenciesMs, 0.5), 2);
  const p99Ms = round(quantile(latenciesMs, 0.99), 2);
  return { p50Ms, p99Ms, files, databases };
}

function shardIdOf(at: number): ShardId {
  return `00000000-0000-4000-8000-${String(at).padStart(12, '0')}` as ShardId;
}

function descriptorOf(at: number): ShardDescriptor {
  const client = String(Math.floor(at / SHARDS_PER_CLIENT)).padStart(16, 'a');
  return {
    shardId: shardIdOf(at),
    collectionId: shardIdOf(at) as string as CollectionId,
    place: {
      clientId: `cl_${client}` as ClientId,
      mode: 'live',
      namespace: 'default',
      collection: `collection-${at}`,
      generation: 1,
      ordinal: 0,
    },
    config: {
      vector: { dimension: shape.dimension, distance: 'Cosine' },
      hnsw: { m: 16, efConstruct: 100, ...(engine && { engine }) },
    },
    payloadIndexes: {},
  };
}

function vectorsOf(random: SeededRandom, count: number): Float32Array {
  const length = shape.dimension;
  const vectors = Float32Array.from({ length: count * length }, () => random.normal());
  for (let at = 0; at < count; at += 1) {
    prepareVector('Cosine', vectors.subarray(at * length, (at + 1) * length), '');
  }
  return vectors;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function print(rows: readonly Row[]): void {
  const write = (text: string): unknown => process.stdout.write(text);
  printRows({ json: options.json, write }, Object.keys(rows[0] ?? {}), rows);
}
