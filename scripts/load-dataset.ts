/**
 * Loads a dataset into a running service through the stock Qdrant client, then checks that
 * everything is there and measures how right its searches are. Exit code 1 when something is not.
 *
 *   BULKHEAD_API_KEY=bh_live_... npx node scripts/load-dataset.ts --dataset FOLDER
 *
 * The distance is the inner product, by which the dataset's neighbours were computed.
 */
import { readFileSync } from 'node:fs';
import { QdrantClient } from '@qdrant/js-client-rest';
import { SingleBar } from 'cli-progress';
import { Command } from 'commander';
import { systemClock } from '../shared/base/clock.ts';
import { printRows } from './cli/output.ts';
import { becomeGreen, createCollection, loadPoints } from './dataset/load.ts';
import { type Dataset, readDataset } from './dataset/read-dataset.ts';
import { findDamage, measureRecall, SEARCHES, type Search } from './dataset/verify.ts';

interface Options {
  dataset: string;
  url: string;
  keyFile?: string;
  collection: string;
  batch: string;
  concurrency: string;
  verifyOnly: boolean;
  json: boolean;
}

const options = new Command('load-dataset')
  .requiredOption('--dataset <dir>', 'folder of vectors, payloads, queries and neighbours')
  .option('--url <url>', 'the data API', 'http://127.0.0.1:6333')
  .option('--key-file <file>', 'file with the API key (default: $BULKHEAD_API_KEY)')
  .option('--collection <name>', 'made anew unless --verify-only', 'debian-packages')
  .option('--batch <n>', 'points a request', '500')
  .option('--concurrency <n>', 'requests at once', '4')
  .option('--verify-only', 'load nothing, check what is there', false)
  .option('--json', 'print one JSON object a line', false)
  .parse()
  .opts<Options>();

const client = new QdrantClient({ url: options.url, apiKey: readKey() });
const dataset = readDataset(options.dataset);
if (!options.verifyOnly) await load(dataset);
await becomeGreen(client, options.collection);
const damage = await findDamage(client, dataset, options.collection);
report([{ points: dataset.payloads.length, damage: damage.join('; ') || 'none' }]);
const results: SearchRow[] = [];
for (const search of SEARCHES) results.push(await measure(search));
report(results);
if (damage.length > 0 || results.some(({ ok }) => !ok)) process.exitCode = 1;

interface SearchRow {
  search: string;
  recall: number;
  wanted: number;
  strays: number;
  seconds: number;
  ok: boolean;
}

async function measure(search: Search): Promise<SearchRow> {
  const startMs = systemClock.monotonicMs();
  const { recall, strays } = await measureRecall(client, dataset, options.collection, search);
  const seconds = Number(((systemClock.monotonicMs() - startMs) / 1000).toFixed(1));
  const ok = recall >= search.recallMin && strays === 0;
  const row = { search: search.name, recall: Number(recall.toFixed(4)), wanted: search.recallMin };
  return { ...row, strays, seconds, ok };
}

async function load(dataset: Dataset): Promise<void> {
  const count = dataset.payloads.length;
  const bar = new SingleBar({
    format: 'loading [{bar}] {value}/{total} points, {duration_formatted}, {eta_formatted} left',
    stream: process.stderr,
  });
  await createCollection(client, options.collection, dataset);
  const startMs = systemClock.monotonicMs();
  const secondsSince = (): number => (systemClock.monotonicMs() - startMs) / 1000;
  bar.start(count, 0);
  try {
    await loadPoints(client, dataset, {
      collection: options.collection,
      batchPoints: Number(options.batch),
      concurrency: Number(options.concurrency),
      loaded: (points) => bar.increment(points),
    });
  } finally {
    bar.stop();
  }
  const storedSeconds = secondsSince();
  await becomeGreen(client, options.collection);
  report([
    {
      stored_s: Number(storedSeconds.toFixed(1)),
      points_per_s_stored: Math.round(count / storedSeconds),
      linked_s: Number(secondsSince().toFixed(1)),
      points_per_s_linked: Math.round(count / secondsSince()),
    },
  ]);
}

function readKey(): string {
  const key =
    options.keyFile === undefined
      ? process.env.BULKHEAD_API_KEY
      : readFileSync(options.keyFile, 'utf8');
  if (key === undefined || key.trim() === '') {
    throw new Error('set BULKHEAD_API_KEY, or name a file that holds the key with --key-file');
  }
  return key.trim();
}

function report(rows: readonly object[]): void {
  const write = (text: string): unknown => process.stdout.write(text);
  const columns = Object.keys(rows[0] ?? {});
  printRows(
    { json: options.json, write },
    columns,
    rows.map((row) => ({ ...row })),
  );
}
