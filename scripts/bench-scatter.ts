/**
 * What a second shard on a second worker brings where searching is most of the work: two services of
 * their own with the same points, one worker with one shard and two workers with two, asked in turns.
 *
 *   npx node scripts/bench-scatter.ts [--points 40000] [--recall .99] [--ef N] [--rounds N] [--json]
 *
 * Each is asked with the least `hnsw_ef` that reaches the recall, if `--ef` does not say another:
 * two halves are searched less deeply for the same answers than one whole. Both serve 768 dimensions
 * of seeded data of low intrinsic dimension, in base64, so that JSON is not what is measured.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { QdrantClient } from '@qdrant/js-client-rest';
import { Command } from 'commander';
import { syntheticData } from './bench/index-data.ts';
import { HITS, median } from './bench/index-measures.ts';
import { cpuMsOf } from './bench/process-stats.ts';
import { base64Of, type LoadResult, SearchLoad } from './bench/search-load.ts';
import { printRows } from './cli/output.ts';
import { UpProcess } from './cli/up/up-process.ts';
import { inParallel } from './dataset/in-parallel.ts';
import { becomeGreen } from './dataset/load.ts';
import { type Dataset, queryOf, vectorOf } from './dataset/read-dataset.ts';
import { knownTruths, recallOf } from './dataset/truth.ts';

const COLLECTION = 'bench';
const DIMENSION = 768;
const QUERIES = 300;
const BATCH = 500;
const LOADERS = 4;
/** Each a fifth more than the one before. */
const EFS = Array.from({ length: 30 }, (_, step) => Math.round(16 * 1.2 ** step));
/** V8 goes on compiling for about that long. */
const WARM_UP_MS = 10_000;
const TARGET = 1.6;

const options = new Command('bench-scatter')
  .option('--points <n>', 'points of each service', '40000')
  .option('--intrinsic <n>', 'dimensions behind the 768: more make a graph work harder', '256')
  .option('--recall <share>', 'recall@10 that the least ef has to reach', '.99')
  .option('--ef <n>', 'hnsw_ef of both instead')
  .option('--exact', 'exact searches, whose work is halved exactly', false)
  .option('--concurrency <n>', 'callers', '8')
  .option('--rounds <n>', 'how often each is measured', '11')
  .option('--seconds <n>', 'how long at a time', '2')
  .option('--json', 'print one JSON object a line', false)
  .parse()
  .opts<{
    points: string;
    intrinsic: string;
    recall: string;
    ef?: string;
    exact: boolean;
    concurrency: string;
    rounds: string;
    seconds: string;
    json: boolean;
  }>();

interface Ready {
  url: string;
  key: string;
  pids: { coordinator: number; workers: number[] };
}

interface Service extends Ready {
  up: UpProcess;
  /** Workers, and shards of the collection. */
  parts: number;
}

interface Measured extends LoadResult {
  coordinatorMs: number;
  workersMs: number;
}

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-scatter-'));
const services: Service[] = [];
try {
  for (const parts of [1, 2]) services.push(await startService(parts));
  await measure();
} finally {
  for (const { up } of services) up.signal('SIGTERM');
  await Promise.all(services.map(({ up }) => up.exited));
  rmSync(folder, { recursive: true, force: true });
}

async function startService(parts: number): Promise<Service> {
  const up = new UpProcess([
    ...[fileURLToPath(new URL('./bulkhead.ts', import.meta.url)), 'up', '--json'],
    ...['--data', join(folder, `data-${parts}`), '--port', '0', '--admin-port', '0'],
    ...['--workers', String(parts)],
  ]);
  return { ...((await up.waitFor('ready')) as unknown as Ready), up, parts };
}

async function measure(): Promise<void> {
  const dataset = datasetOf(Number(options.points));
  for (const service of services) await fill(service, dataset);
  const [one] = services;
  if (one === undefined) throw new Error('no service was started');
  await learnNeighbours(one, dataset);
  const cases = [];
  for (const service of services) {
    const ef = options.ef === undefined ? await leastEf(service, dataset) : Number(options.ef);
    cases.push({ service, ef, load: loadOf(service, dataset, ef), rounds: [] as Measured[] });
  }
  for (const { load } of cases) await load.run(Number(options.concurrency), WARM_UP_MS);
  for (let round = 0; round < Number(options.rounds); round += 1) {
    for (const { service, load, rounds } of cases) rounds.push(await measured(service, load));
  }
  const base = cases[0]?.rounds ?? [];
  print(
    cases.map(({ service, ef, rounds }) => {
      const of = (figure: (measured: Measured) => number, digits: number) => {
        return Number(median(rounds.map(figure)).toFixed(digits));
      };
      const ratios = rounds.map(({ perSecond }, i) => perSecond / (base[i]?.perSecond ?? 0));
      return {
        workers: service.parts,
        shards: service.parts,
        hnsw_ef: options.exact ? null : ef,
        recall: of(({ recall }) => recall, 4),
        queries_per_s: of(({ perSecond }) => perSecond, 0),
        times: Number(median(ratios).toFixed(2)),
        p50_ms: of(({ p50Ms }) => p50Ms, 2),
        p99_ms: of(({ p99Ms }) => p99Ms, 2),
        coordinator_cpu_ms: of(({ coordinatorMs }) => coordinatorMs, 3),
        workers_cpu_ms: of(({ workersMs }) => workersMs, 3),
        target: service.parts === 1 ? '' : `times >= ${TARGET}`,
      };
    }),
  );
}

function datasetOf(count: number): Dataset {
  const { vectors, queries } = syntheticData(DIMENSION, count, QUERIES, Number(options.intrinsic));
  return {
    ...{ dimension: DIMENSION, vectors, queries, queryCount: QUERIES },
    payloads: Array.from({ length: count }, () => ({})),
    ...{ neighbours: new Int32Array(QUERIES * HITS), neighbourCount: HITS },
  };
}

async function fill({ url, key, parts }: Service, dataset: Dataset): Promise<void> {
  const path = `/collections/${COLLECTION}`;
  const vectors = { size: DIMENSION, distance: 'Dot' };
  await call({ url, key }, 'PUT', path, { vectors, shard_number: parts });
  const count = dataset.payloads.length;
  await inParallel(Math.ceil(count / BATCH), LOADERS, async (batch) => {
    const first = batch * BATCH;
    const ids = Array.from({ length: Math.min(BATCH, count - first) }, (_, i) => first + i);
    const texts = ids.map((id) => base64Of(vectorOf(dataset, id)));
    await call({ url, key }, 'PUT', `${path}/points`, { batch: { ids, vectors: texts } });
  });
  await becomeGreen(new QdrantClient({ url, apiKey: key }), COLLECTION);
}

/** By exact searches. */
async function learnNeighbours(service: Service, dataset: Dataset): Promise<void> {
  await inParallel(QUERIES, LOADERS, async (query) => {
    const ids = await idsOf(service, dataset, query, { exact: true });
    dataset.neighbours.set(ids, query * HITS);
  });
}

async function idsOf(
  service: Service,
  dataset: Dataset,
  query: number,
  params: object,
): Promise<number[]> {
  const body = { query: base64Of(queryOf(dataset, query)), limit: HITS, params };
  const path = `/collections/${COLLECTION}/points/query`;
  const { points } = (await call(service, 'POST', path, body)) as { points: { id: number }[] };
  return points.map(({ id }) => id);
}

async function call(
  { url, key }: Pick<Ready, 'url' | 'key'>,
  method: string,
  path: string,
  body: unknown,
): Promise<unknown> {
  const headers = { 'api-key': key, 'content-type': 'application/json' };
  const response = await fetch(`${url}${path}`, { method, headers, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`);
  return (JSON.parse(text) as { result: unknown }).result;
}

function loadOf({ url, key }: Service, dataset: Dataset, hnswEf: number): SearchLoad {
  const target = { url, key, collection: COLLECTION, hnswEf };
  return new SearchLoad(dataset, target, { base64: true, exact: options.exact });
}

async function leastEf(service: Service, dataset: Dataset): Promise<number> {
  if (options.exact) return HITS;
  const truths = knownTruths(dataset, HITS);
  for (const ef of EFS) {
    let recall = 0;
    await inParallel(QUERIES, LOADERS, async (query) => {
      const found = await idsOf(service, dataset, query, { hnsw_ef: ef });
      const truth = truths[query];
      if (truth !== undefined) recall += recallOf(dataset, truth, found) / QUERIES;
    });
    if (recall >= Number(options.recall)) return ef;
  }
  throw new Error(`no hnsw_ef up to ${EFS.at(-1)} reaches a recall of ${options.recall}`);
}

async function measured({ pids }: Service, load: SearchLoad): Promise<Measured> {
  const cpuMs = (of: readonly number[]) => of.reduce((sum, pid) => sum + cpuMsOf(pid), 0);
  const before = { coordinator: cpuMsOf(pids.coordinator), workers: cpuMs(pids.workers) };
  const result = await load.run(Number(options.concurrency), Number(options.seconds) * 1_000);
  const coordinatorMs = (cpuMsOf(pids.coordinator) - before.coordinator) / result.queries;
  const workersMs = (cpuMs(pids.workers) - before.workers) / result.queries;
  return { ...result, coordinatorMs, workersMs };
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
