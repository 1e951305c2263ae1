/** Lines about what an index costs to keep: bytes, replacing points, opening an image. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../../shared/base/random.ts';
import { readImage } from '../../worker/image/read-image.ts';
import { writeImage } from '../../worker/image/write-image.ts';
import { createIndex } from '../../worker/index/create-index.ts';
import { openIndex } from '../../worker/index/open-index.ts';
import type { IndexConfig, IndexOptions, VectorIndex } from '../../worker/index/vector-index.ts';
import { type IndexData, rowOf } from './index-data.ts';
import { cpuUs, measure, median, truthOf } from './index-measures.ts';
import { atMost, kernelLine, type Line, type Target } from './kernel-lines.ts';

const SHARD = '00000000-0000-4000-8000-000000000001';
const EF = 64;
const OPENED = 3;

export function bytesLines(
  kernel: VectorIndex,
  data: IndexData,
  { config, options, target }: { config: IndexConfig; options: IndexOptions; target: Target },
): Line[] {
  const overRaw = Math.round(kernel.memoryBytes / data.count) - 4 * data.dimension;
  const vectorsOf = (labels: ArrayLike<number>) => {
    return Array.from(labels, (label) => rowOf(data, label));
  };
  const onDisk = createIndex({ ...config, onDisk: true }, { ...options, vectorsOf });
  for (let row = 0; row < data.count; row += 1) onDisk.add(row, rowOf(data, row));
  const inAll = Math.round(onDisk.memoryBytes / data.count);
  onDisk.close();
  return [
    kernelLine('bytes/point over raw', '', `${overRaw}`, atMost(target.bytesOverRaw)),
    kernelLine('bytes/point in all, on_disk', '', `${inAll}`, atMost(target.bytesOnDisk)),
  ];
}

/** Replaces half of the points in five rounds: a tenth swap their vectors, so all stays alike. */
export function churnLine(kernel: VectorIndex, data: IndexData): Line {
  const recallNow = () => {
    const [now] = measure([{ index: kernel, ef: EF, truth: truthOf(kernel, data) }], data, 1);
    return now?.recall ?? 0;
  };
  const before = recallNow();
  const order = shuffled(data.count);
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
  const after = recallNow();
  const rate = Math.round((5 * tenth) / (us / 1e6));
  const times = `${before.toFixed(4)} then ${after.toFixed(4)}, ${rate} points/CPU s`;
  return kernelLine('recall after replacing 50 %', times, (after - before).toFixed(4), '>= -0.003');
}

function shuffled(count: number): number[] {
  const random = new SeededRandom(6);
  const order = Array.from({ length: count }, (_, row) => row);
  for (let at = count - 1; at > 0; at -= 1) {
    const other = random.below(at + 1);
    [order[at], order[other]] = [order[other] as number, order[at] as number];
  }
  return order;
}

/** Reads an image that was just written, so from the page cache. */
export async function openLine(
  kernel: VectorIndex,
  { config, options, target }: { config: IndexConfig; options: IndexOptions; target: Target },
): Promise<Line> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-kernel-'));
  try {
    const { dimension, distance } = kernel;
    const identity = { shardId: SHARD, dimension, distance };
    const saved = await kernel.save(join(folder, 'scratch'));
    const bytes = await writeImage(
      folder,
      { ...identity, appliedVersion: 1, levellings: 0 },
      saved.sections,
    );
    await saved.release();
    const ms: number[] = [];
    for (let at = 0; at < OPENED; at += 1) {
      const start = performance.now();
      const image = await readImage(folder, identity);
      if (image.kind !== 'ok') throw new Error('the image is not whole');
      const copy = await openIndex(config, options, image.sections);
      ms.push(performance.now() - start);
      await image.release();
      copy.close();
    }
    const size = `${Math.round(bytes / 2 ** 20)} MiB`;
    return kernelLine('open an image', size, `${median(ms).toFixed(0)} ms`, atMost(target.openMs));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
