/**
 * The search kernel against hnswlib, in one process and one run: building, searching at two
 * recalls, filters, replacing half of the points, memory, and opening an image.
 *
 *   npx node scripts/bench-kernel.ts [--dataset FOLDER] [--sets 256,128,768] [--m N]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { Bitmap } from '../shared/base/bitmap.ts';
import { SeededRandom } from '../shared/base/random.ts';
import { ENGINES, type Engine } from '../shared/domain/collection.ts';
import { readImage } from '../worker/image/read-image.ts';
import { writeImage } from '../worker/image/write-image.ts';
import { createIndex } from '../worker/index/create-index.ts';
import { openIndex } from '../worker/index/open-index.ts';
import type { IndexConfig, VectorIndex } from '../worker/index/vector-index.ts';
import { datasetData, type IndexData, rowOf, syntheticData } from './bench/index-data.ts';
import { build, cpuUs, type Measured, measure, truthOf } from './bench/index-measures.ts';
import { formatTable } from './cli/output.ts';

const EFS = [16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 256, 384, 512];
const RECALLS = [0.95, 0.99];
const SHARES = [0.5, 0.1, 0.01, 0.001];
const OPTIONS = { graphFrom: 5_000, seed: 1 };
const SHARD = '00000000-0000-4000-8000-000000000001';
const ROUNDS = 3;

const options = new Command('bench-kernel')
  .option('--dataset <dir>', 'folder of vectors and queries for the set "256"')
  .option('--sets <list>', 'which: 256 (the dataset), 128, 768', '256,128,768')
  .option('--m <n>', 'links of a node', '16')
  .option('--ef-construct <n>', 'candidates while building', '100')
  .option('--queries <n>', 'queries of each set', '500')
  .parse()
  .opts<Record<'sets' | 'm' | 'efConstruct' | 'queries', string> & { dataset?: string }>();

for (const set of options.sets.split(',')) {
  const queries = Number(options.queries);
  if (set === '128') await report(syntheticData(128, 50_000, queries));
  else if (set === '768') await report(syntheticData(768, 30_000, queries));
  else if (options.dataset !== undefined) await report(datasetData(options.dataset, queries));
}

function configOf(data: IndexData, engine: Engine): IndexConfig {
  const hnsw = { m: Number(options.m), efConstruct: Number(options.efConstruct), engine };
  return { dimension: data.dimension, distance: 'Cosine', hnsw };
}

async function report(data: IndexData): Promise<void> {
  console.log(`\n${data.name}: ${data.count} x ${data.dimension}, m ${options.m}`);
  const indexes = ENGINES.map((engine) => createIndex(configOf(data, engine), OPTIONS));
  const [kernel, hnswlib] = indexes as [VectorIndex, VectorIndex];
  const spent = build(indexes, data);
  const rows = ENGINES.map((engine, at) => ({
    engine,
    'build points/CPU s': Math.round(data.count / ((spent[at] ?? 0) / 1e6)),
    'bytes/point over raw':
      Math.round((indexes[at]?.memoryBytes ?? 0) / data.count) - 4 * data.dimension,
  }));
  print(rows);
  const unfiltered = reportSearch(kernel, hnswlib, data);
  reportFilters(kernel, hnswlib, data, unfiltered);
  hnswlib.close();
  await reportOpen(kernel, data);
  reportChurn(kernel, data);
  kernel.close();
}

/** Returns hnswlib's unfiltered cost at the first recall. */
function reportSearch(kernel: VectorIndex, hnswlib: VectorIndex, data: IndexData): number {
  const truth = truthOf(kernel, data);
  const ladder = [kernel, hnswlib].map((index) => EFS.map((ef) => ({ index, ef, truth })));
  const cases = EFS.flatMap((_, at) => ladder.flatMap((steps) => steps.slice(at, at + 1)));
  const measured = measure(cases, data, ROUNDS);
  const find = (index: VectorIndex, recall: number) =>
    cases.findIndex((one, at) => one.index === index && (measured[at]?.recall ?? 0) >= recall);
  let first = 0;
  const rows = RECALLS.map((recall) => {
    const [ours, theirs] = [find(kernel, recall), find(hnswlib, recall)];
    const [a, b] = [measured[ours], measured[theirs]];
    first ||= b?.usPerQuery ?? 0;
    return {
      recall,
      'kernel ef': cases[ours]?.ef ?? 0,
      'kernel us': show(a),
      'hnswlib ef': cases[theirs]?.ef ?? 0,
      'hnswlib us': show(b),
      ratio: ((b?.usPerQuery ?? 0) / (a?.usPerQuery ?? 1)).toFixed(2),
    };
  });
  print(rows);
  return first;
}

function reportFilters(
  kernel: VectorIndex,
  hnswlib: VectorIndex,
  data: IndexData,
  unfilteredUs: number,
): void {
  const random = new SeededRandom(5);
  const rows = SHARES.map((share) => {
    const allowed = new Bitmap(data.count);
    for (let row = 0; row < data.count; row += 1) if (random.next() < share) allowed.add(row);
    const truth = truthOf(kernel, data, allowed);
    const efs = [kernel, hnswlib].map((index) => leastEf(index, data, truth, allowed));
    const cases = [kernel, hnswlib].map((index, at) => {
      return { index, ef: efs[at] as number, truth, allowed };
    });
    const [ours, theirs] = measure(cases, data, ROUNDS);
    return {
      matches: `${100 * share} %`,
      'kernel ef': efs[0] as number,
      'kernel us': show(ours),
      'hnswlib ef': efs[1] as number,
      'hnswlib us': show(theirs),
      'hnswlib unfiltered us': unfilteredUs.toFixed(0),
    };
  });
  print(rows);
}

/** The first of `EFS` with the first of `RECALLS`, as in an unfiltered search. */
function leastEf(index: VectorIndex, data: IndexData, truth: number[], allowed: Bitmap): number {
  const recallAt = (ef: number) => measure([{ index, ef, truth, allowed }], data, 1)[0]?.recall;
  const found = EFS.find((ef) => (recallAt(ef) ?? 0) >= (RECALLS[0] as number));
  return found ?? (EFS.at(-1) as number);
}

/** Replaces half of the points in five rounds: a tenth swap their vectors, so all stays alike. */
function reportChurn(kernel: VectorIndex, data: IndexData): void {
  const random = new SeededRandom(6);
  const ef = 64;
  const recallNow = () => {
    const [measured] = measure([{ index: kernel, ef, truth: truthOf(kernel, data) }], data, 1);
    return measured?.recall ?? 0;
  };
  const before = recallNow();
  const order = Array.from({ length: data.count }, (_, row) => row);
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = random.below(at + 1);
    [order[at], order[other]] = [order[other] as number, order[at] as number];
  }
  const tenth = Math.floor(data.count / 10);
  const us = cpuUs(() => {
    for (let round = 0; round < 5; round += 1) {
      const labels = order.slice(round * tenth, (round + 1) * tenth);
      for (const [at, label] of labels.entries()) {
        kernel.add(label, rowOf(data, labels[(at + 1) % tenth] as number));
      }
      kernel.link(() => false);
    }
  });
  const bytes = Math.round(kernel.memoryBytes / data.count) - 4 * data.dimension;
  print([
    {
      'recall before': before.toFixed(4),
      'after replacing 50 %': recallNow().toFixed(4),
      'points/CPU s': Math.round((5 * tenth) / (us / 1e6)),
      'bytes/point over raw': bytes,
    },
  ]);
}

async function reportOpen(kernel: VectorIndex, data: IndexData): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-kernel-'));
  try {
    const { dimension, distance } = kernel;
    const identity = { shardId: SHARD, dimension, distance };
    const saved = await kernel.save(join(folder, 'scratch'));
    const bytes = await writeImage(folder, { ...identity, appliedVersion: 1 }, saved.sections);
    await saved.release();
    const start = performance.now();
    const image = await readImage(folder, identity);
    if (image.kind !== 'ok') throw new Error('the image is not whole');
    const read = performance.now();
    const copy = await openIndex(configOf(data, 'kernel'), OPTIONS, image.sections);
    const end = performance.now();
    await image.release();
    copy.close();
    print([
      {
        'image MiB': Math.round(bytes / 2 ** 20),
        'read and verify ms': Math.round(read - start),
        'open and check ms': Math.round(end - read),
      },
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function show(measured: Measured | undefined): string {
  if (measured === undefined) return '-';
  return `${measured.usPerQuery.toFixed(0)} (${measured.recall.toFixed(3)})`;
}

function print(rows: Record<string, string | number>[]): void {
  console.log(`\n${formatTable(Object.keys(rows[0] ?? {}), rows).trimEnd()}`);
}
