/**
 * Measures a service of its own, from an empty folder: load, search under rising concurrency,
 * processor time, memory, disk, and how long a killed worker is missed.
 *
 *   npx node scripts/bench-search.ts --dataset FOLDER [--engine NAME] [--ef N] [--rounds N] [--json]
 *
 * The concurrencies take turns, and figures are medians of the rounds. "the same" are the queries of
 * the dataset over and over, whose rows the worker keeps; "others" find rows that it has to read.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { QdrantClient } from '@qdrant/js-client-rest';
import { Command, Option } from 'commander';
import { systemClock } from '../shared/base/clock.ts';
import { ENGINES, type Engine } from '../shared/domain/collection.ts';
import { median } from './bench/index-measures.ts';
import { cpuMsOf, diskBytesOf, rssBytesOf } from './bench/process-stats.ts';
import { type LoadResult, SearchLoad } from './bench/search-load.ts';
import { printRows } from './cli/output.ts';
import { UpProcess } from './cli/up/up-process.ts';
import { becomeGreen, createCollection, loadPoints } from './dataset/load.ts';
import { readDataset } from './dataset/read-dataset.ts';

const COLLECTION = 'bench';
const CONCURRENCIES = [1, 8, 32];
/** Of 256 dimensions at recall .95. */
const TARGET = { concurrency: 8, text: 'both <= .25, coordinator <= .12' };
/** V8 goes on compiling for about that long, in threads whose time counts. */
const WARM_UP_MS = 15_000;
const MIB = 2 ** 20;

interface Ready {
  url: string;
  key: string;
  pids: { coordinator: number; workers: number[] };
}

const options = new Command('bench-search')
  .requiredOption('--dataset <dir>', 'folder of vectors, payloads, queries and neighbours')
  .addOption(
    new Option('--engine <name>', 'the index (default: that of the service)').choices(ENGINES),
  )
  .option('--ef <n>', 'hnsw_ef of the queries (default: the one of the service)')
  .option('--rounds <n>', 'how often each concurrency is measured', '7')
  .option('--seconds <n>', 'how long at a time', '2')
  .option('--workers <n>', 'worker processes', '2')
  .option('--json', 'print one JSON object a line', false)
  .parse()
  .opts<{
    dataset: string;
    engine?: Engine;
    ef?: string;
    rounds: string;
    seconds: string;
    workers: string;
    json: boolean;
  }>();

const dataset = readDataset(options.dataset);
const folder = mkdtempSync(join(tmpdir(), 'bulkhead-bench-'));
const up = new UpProcess([
  ...[fileURLToPath(new URL('./bulkhead.ts', import.meta.url)), 'up', '--json'],
  ...['--data', join(folder, 'data'), '--port', '0', '--admin-port', '0'],
  ...['--workers', options.workers],
]);
try {
  const ready = (await up.waitFor('ready')) as unknown as Ready;
  await measure(ready);
} finally {
  up.signal('SIGTERM');
  await up.exited;
  rmSync(folder, { recursive: true, force: true });
}

async function measure(ready: Ready): Promise<void> {
  const client = new QdrantClient({ url: ready.url, apiKey: ready.key });
  await measureLoad(client);
  const hnswEf = options.ef === undefined ? undefined : Number(options.ef);
  const target = { ...ready, collection: COLLECTION, hnswEf };
  const load = new SearchLoad(dataset, target);
  await load.run(8, WARM_UP_MS);
  const worker = holderOf(ready);
  const strange = new SearchLoad(dataset, target, { strange: true });
  const cases = [
    ...CONCURRENCIES.map((concurrency) => ({ queries: 'the same', concurrency, load })),
    { queries: 'others', concurrency: TARGET.concurrency, load: strange },
  ].map((one) => ({ ...one, measured: [] as Measured[] }));
  for (let round = 0; round < Number(options.rounds); round += 1) {
    for (const { load: asked, concurrency, measured } of cases) {
      const of = { concurrency, coordinator: ready.pids.coordinator, worker };
      measured.push(await measureSearch(asked, of));
    }
  }
  print(
    cases.map(({ queries, concurrency, measured }) => {
      return { queries, ...rowOf(concurrency, measured) };
    }),
  );
  print([
    {
      coordinator_rss_mib: Math.round(rssBytesOf(ready.pids.coordinator) / MIB),
      worker_rss_mib: Math.round(rssBytesOf(worker) / MIB),
      disk_mib: Math.round(diskBytesOf(folder) / MIB),
    },
  ]);
  process.kill(worker, 'SIGKILL');
  print([{ seconds_from_kill_to_answer: round((await load.untilAnswered()) / 1000, 2) }]);
}

async function measureLoad(client: QdrantClient): Promise<void> {
  await createCollection(client, COLLECTION, dataset, options.engine);
  const count = dataset.payloads.length;
  const startMs = systemClock.monotonicMs();
  const secondsSince = (): number => (systemClock.monotonicMs() - startMs) / 1000;
  const nothing = (): void => undefined;
  const shape = { batchPoints: 500, concurrency: 4, loaded: nothing };
  await loadPoints(client, dataset, { collection: COLLECTION, ...shape });
  const durable = secondsSince();
  await becomeGreen(client, COLLECTION);
  const indexed = secondsSince();
  print([
    {
      points: count,
      durable_s: round(durable, 1),
      durable_points_per_s: Math.round(count / durable),
      indexed_s: round(indexed, 1),
      indexed_points_per_s: Math.round(count / indexed),
    },
  ]);
}

/** The collection has one shard; its worker is the one that did the work. */
function holderOf({ pids }: Ready): number {
  const [busiest] = pids.workers.toSorted((a, b) => cpuMsOf(b) - cpuMsOf(a));
  if (busiest === undefined) throw new Error('the service has no worker');
  return busiest;
}

interface Measured extends LoadResult {
  coordinatorMs: number;
  workerMs: number;
  bothMs: number;
}

/** Processor time is that of one query. */
async function measureSearch(
  load: SearchLoad,
  { concurrency, coordinator, worker }: Record<'concurrency' | 'coordinator' | 'worker', number>,
): Promise<Measured> {
  const before = [cpuMsOf(coordinator), cpuMsOf(worker)];
  const result = await load.run(concurrency, Number(options.seconds) * 1000);
  const after = [cpuMsOf(coordinator), cpuMsOf(worker)];
  const [ofCoordinator = 0, ofWorker = 0] = after.map((ms, index) => ms - (before[index] ?? 0));
  const [coordinatorMs, workerMs] = [ofCoordinator / result.queries, ofWorker / result.queries];
  return { ...result, coordinatorMs, workerMs, bothMs: coordinatorMs + workerMs };
}

function rowOf(concurrency: number, rounds: readonly Measured[]): object {
  const of = (figure: (measured: Measured) => number, digits: number) => {
    return round(median(rounds.map(figure)), digits);
  };
  return {
    concurrency,
    queries_per_s: of(({ perSecond }) => perSecond, 0),
    p50_ms: of(({ p50Ms }) => p50Ms, 2),
    p99_ms: of(({ p99Ms }) => p99Ms, 2),
    recall: known(of(({ recall }) => recall, 4)),
    coordinator_cpu_ms: of(({ coordinatorMs }) => coordinatorMs, 3),
    worker_cpu_ms: of(({ workerMs }) => workerMs, 3),
    both_cpu_ms: of(({ bothMs }) => bothMs, 3),
    least_both_cpu_ms: round(Math.min(...rounds.map(({ bothMs }) => bothMs)), 3),
    target: concurrency === TARGET.concurrency ? TARGET.text : '',
  };
}

function known(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function print(rows: readonly object[]): void {
  const write = (text: string): unknown => process.stdout.write(text);
  const columns = Object.keys(rows[0] ?? {});
  printRows(
    { json: options.json, write },
    columns,
    rows.map((row) => ({ ...row })),
  );
}
