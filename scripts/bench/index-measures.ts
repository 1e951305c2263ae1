/**
 * Measures of an index. Time is processor time of this process, and engines take turns in small
 * portions, so that what else the machine does meets all of them alike.
 */
import type { Bitmap } from '../../shared/base/bitmap.ts';
import { higherIsNearer } from '../../shared/domain/distance.ts';
import type { VectorIndex } from '../../worker/index/vector-index.ts';
import { type IndexData, queryOf, rowOf } from './index-data.ts';

export const HITS = 10;
const PORTION = 25;
/** Equal vectors score alike up to float32 rounding; which of them comes first says nothing. */
const ROUNDING = 1e-6;

export function cpuUs(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const spent = process.cpuUsage(before);
  return spent.user + spent.system;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Fills and links the indexes by turns; CPU microseconds of each. */
export function build(indexes: readonly VectorIndex[], data: IndexData): number[] {
  const spent = indexes.map((index) =>
    cpuUs(() => {
      for (let row = 0; row < data.count; row += 1) index.add(row, rowOf(data, row));
    }),
  );
  let left = indexes.length;
  while (left > 0) {
    left = 0;
    for (const [at, index] of indexes.entries()) {
      let steps = 0;
      if (!index.linkPending) continue;
      left += 1;
      spent[at] = (spent[at] ?? 0) + cpuUs(() => index.link(() => ++steps >= 500));
    }
  }
  return spent;
}

export function scanned(index: VectorIndex, query: Float32Array, allowed?: Bitmap) {
  const scan = index.startScan(query, HITS, allowed);
  while (!scan.step(Number.POSITIVE_INFINITY));
  return scan.hits();
}

/** Least nearness that is right, for each query; -Infinity where fewer than `HITS` match. */
export function truthOf(index: VectorIndex, data: IndexData, allowed?: Bitmap): number[] {
  return Array.from({ length: data.queryCount }, (_, query) => {
    const score = scanned(index, queryOf(data, query), allowed).scores[HITS - 1];
    if (score === undefined) return Number.NEGATIVE_INFINITY;
    return nearnessOf(index, score) - ROUNDING * Math.max(1, Math.abs(score));
  });
}

/** The score so that larger is nearer. */
function nearnessOf({ distance }: VectorIndex, score: number): number {
  return higherIsNearer(distance) ? score : -score;
}

export interface SearchCase {
  index: VectorIndex;
  ef: number;
  truth: readonly number[];
  allowed?: Bitmap | undefined;
}

export interface Measured {
  recall: number;
  usPerQuery: number;
}

/** All cases by turns over all queries, `rounds` times; medians. */
export function measure(cases: readonly SearchCase[], data: IndexData, rounds: number): Measured[] {
  const us = cases.map((): number[] => []);
  const recalls = cases.map(() => 0);
  for (let round = 0; round < rounds; round += 1) {
    const spent = cases.map(() => 0);
    const right = cases.map(() => 0);
    for (let first = 0; first < data.queryCount; first += PORTION) {
      const end = Math.min(data.queryCount, first + PORTION);
      for (const [at, one] of cases.entries()) {
        spent[at] =
          (spent[at] ?? 0) +
          cpuUs(() => {
            right[at] = (right[at] ?? 0) + searchSome(one, data, first, end);
          });
      }
    }
    for (const [at] of cases.entries()) {
      us[at]?.push((spent[at] ?? 0) / data.queryCount);
      recalls[at] = (right[at] ?? 0) / data.queryCount;
    }
  }
  return cases.map((_, at) => ({ recall: recalls[at] ?? 0, usPerQuery: median(us[at] ?? []) }));
}

/** Sum over the queries of the share that is right. */
function searchSome(one: SearchCase, data: IndexData, first: number, end: number): number {
  const { index, ef, truth, allowed } = one;
  let right = 0;
  for (let query = first; query < end; query += 1) {
    const vector = queryOf(data, query);
    const { scores } = index.search(vector, HITS, ef, allowed) ?? scanned(index, vector, allowed);
    const least = truth[query] ?? 0;
    const wanted = Number.isFinite(least) ? HITS : Math.max(1, scores.length);
    right += scores.filter((score) => nearnessOf(index, score) >= least).length / wanted;
  }
  return right;
}
