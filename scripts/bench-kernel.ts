/**
 * The search kernel against hnswlib, in one process and one run: each figure beside what is aimed
 * at. Times are processor times, but for the p99 of searches and for opening an image.
 *
 *   npx node scripts/bench-kernel.ts [--dataset FOLDER] [--sets 256,128,768] [--seeds 1,2,3] [--m N]
 *                                    [--distance NAME]
 */
import { Command, Option } from 'commander';
import { ENGINES, type Engine } from '../shared/domain/collection.ts';
import type { Distance } from '../shared/domain/distance.ts';
import { createIndex } from '../worker/index/create-index.ts';
import type { IndexConfig, VectorIndex } from '../worker/index/vector-index.ts';
import { datasetData, type IndexData, stretched, syntheticData } from './bench/index-data.ts';
import { build } from './bench/index-measures.ts';
import { bytesLines, churnLine, openLine } from './bench/kernel-keeping.ts';
import { type Line, targetOf } from './bench/kernel-lines.ts';
import { linkingLine } from './bench/kernel-linking.ts';
import { searchLines } from './bench/kernel-searches.ts';
import { formatTable } from './cli/output.ts';

const GRAPH_FROM = 5_000;

const options = new Command('bench-kernel')
  .option('--dataset <dir>', 'folder of vectors and queries for the set "256"')
  .option('--sets <list>', 'which: 256 (the dataset), 128, 768', '256,128,768')
  .option('--m <n>', 'links of a node', '16')
  .option('--ef-construct <n>', 'candidates while building', '100')
  .option('--queries <n>', 'queries of each set', '500')
  .option('--seeds <list>', 'of the levels of the graphs: a run for each', '1')
  .addOption(
    new Option('--distance <name>', 'vectors have unequal lengths if it is not Cosine')
      .choices(['Cosine', 'Dot', 'Euclid'])
      .default('Cosine'),
  )
  .parse()
  .opts<
    Record<'sets' | 'm' | 'efConstruct' | 'queries' | 'seeds', string> & {
      dataset?: string;
      distance: Distance;
    }
  >();

for (const set of options.sets.split(',')) {
  const unit = dataOf(set, Number(options.queries));
  if (unit === undefined) continue;
  const data = options.distance === 'Cosine' ? unit : stretched(unit);
  for (const seed of options.seeds.split(',')) await report(data, Number(seed));
}

function dataOf(set: string, queries: number): IndexData | undefined {
  if (set === '128') return syntheticData(128, 50_000, queries);
  if (set === '768') return syntheticData(768, 30_000, queries);
  return options.dataset === undefined ? undefined : datasetData(options.dataset, queries);
}

function configOf(data: IndexData, engine: Engine): IndexConfig {
  const hnsw = { m: Number(options.m), efConstruct: Number(options.efConstruct), engine };
  return { dimension: data.dimension, distance: options.distance, hnsw };
}

async function report(data: IndexData, seed: number): Promise<void> {
  const target = targetOf(data.dimension);
  const indexOptions = { graphFrom: GRAPH_FROM, seed };
  const setting = { config: configOf(data, 'kernel'), options: indexOptions, target };
  const indexes = ENGINES.map((engine) => createIndex(configOf(data, engine), indexOptions));
  const [kernel, hnswlib] = indexes as [VectorIndex, VectorIndex];
  const spentUs = build(indexes, data);
  const lines = searchLines({ kernel, hnswlib }, data, target);
  hnswlib.close();
  lines.push(buildLine(spentUs, data.count, target.buildRatio));
  lines.push(...bytesLines(kernel, data, setting), await openLine(kernel, setting));
  lines.push(churnLine(kernel, data));
  kernel.close();
  lines.push(await linkingLine(data, setting.config, indexOptions));
  console.log(
    `\n${data.name}: ${data.count} x ${data.dimension}, ${options.distance}, m ${options.m}, seed ${seed}`,
  );
  console.log(formatTable(Object.keys(lines[0] ?? {}), lines));
}

function buildLine(spentUs: readonly number[], count: number, ratio: number): Line {
  const [ours = 0, theirs = 0] = spentUs.map((us) => Math.round(count / (us / 1e6)));
  return {
    measure: 'build, points/CPU s',
    kernel: `${ours}`,
    hnswlib: `${theirs}`,
    figure: `${(ours / theirs).toFixed(2)} x`,
    target: `>= ${ratio} x`,
  };
}
