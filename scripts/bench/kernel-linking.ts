/**
 * How long searches take while points are linked beside them, as in a worker: this thread searches
 * and adds, the builder's thread links, and no more is added while the index is backlogged. Times
 * are of the clock: they mean something where two processors have nothing else to do.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { must } from '../../shared/base/assert.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { HNSW_EF_DEFAULT } from '../../shared/domain/collection.ts';
import { createIndex } from '../../worker/index/create-index.ts';
import { BuilderThread } from '../../worker/index/kernel/builder.ts';
import type { IndexConfig, IndexOptions, VectorIndex } from '../../worker/index/vector-index.ts';
import { type IndexData, queryOf, rowOf } from './index-data.ts';
import { HITS } from './index-measures.ts';
import { kernelLine, type Line } from './kernel-lines.ts';
import { quantile } from './quantile.ts';

/** Points that are linked while searches are timed. */
const ADDED = 20_000;
const BATCH = 500;
const AT_REST = 10_000;
/** Searches between two turns of the event loop. */
const BURST = 4;

export async function linkingLine(
  data: IndexData,
  config: IndexConfig,
  options: IndexOptions,
): Promise<Line> {
  const builder = new BuilderThread({ clock: systemClock });
  const index = createIndex(config, { ...options, builder });
  try {
    const start = data.count - ADDED;
    for (let row = 0; row < start; row += 1) index.add(row, rowOf(data, row));
    await linkAll(index);
    const rest = await timed(index, data, (searches) => searches < AT_REST);
    let next = start;
    let linking = linkAll(index);
    const busy = await timed(index, data, () => {
      if (next < data.count && !index.backlogged) {
        const end = Math.min(data.count, next + BATCH);
        for (; next < end; next += 1) index.add(next, rowOf(data, next));
        linking = Promise.all([linking, linkAll(index)]).then(() => undefined);
      }
      return next < data.count || index.linkPending;
    });
    await linking;
    const measure = `p99 (p50) while ${ADDED} points are linked`;
    const times = [busy, rest].map(({ p50, p99 }) => `${p99.toFixed(3)} (${p50.toFixed(3)})`);
    const shown = `${times[0]} ms, ${times[1]} at rest`;
    return kernelLine(measure, shown, `${(busy.p99 / rest.p99).toFixed(2)} x`, '<= 3 x');
  } finally {
    index.close();
    await builder.close();
  }
}

async function linkAll(index: VectorIndex): Promise<void> {
  const linkAside = must(index.linkAside, 'there is a builder');
  while (index.linkPending) await linkAside();
}

/** Searches as long as `more` of their number says so; milliseconds. */
async function timed(
  index: VectorIndex,
  data: IndexData,
  more: (searches: number) => boolean,
): Promise<{ p50: number; p99: number }> {
  const ms: number[] = [];
  while (more(ms.length)) {
    for (let at = 0; at < BURST; at += 1) {
      const query = queryOf(data, ms.length % data.queryCount);
      const before = performance.now();
      must(index.search(query, HITS, HNSW_EF_DEFAULT), 'the index answers by itself');
      ms.push(performance.now() - before);
    }
    await nextTurn();
  }
  ms.sort((a, b) => a - b);
  return { p50: quantile(ms, 0.5), p99: quantile(ms, 0.99) };
}
