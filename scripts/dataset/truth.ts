/**
 * The right answers to a search, by inner product, and how much of them an answer has.
 *
 * Rows that score within float32 rounding of the last right answer are as right as it is: which of
 * two equal vectors comes first says nothing about a search.
 */
import type { Dataset } from './read-dataset.ts';

const ROUNDING = 1e-6;

export interface Truth {
  /** The score that the worst of the k best has; -Infinity when fewer than k rows match. */
  scoreMin: number;
  /** How many right answers there are: k, or all rows that match. */
  count: number;
  query: number;
}

/** The truth of every query from the dataset's own neighbours (no filter). */
export function knownTruths(dataset: Dataset, k: number): Truth[] {
  const { neighbours, neighbourCount, queryCount } = dataset;
  if (k > neighbourCount)
    throw new Error(`the dataset knows ${neighbourCount} neighbours, not ${k}`);
  return Array.from({ length: queryCount }, (_, query) => {
    const last = neighbours[query * neighbourCount + k - 1] ?? 0;
    return { query, count: k, scoreMin: scoreOf(dataset, query, last) };
  });
}

/** The truth of every query among the rows that match, by looking at each of them. */
export function filteredTruths(dataset: Dataset, k: number, rows: readonly number[]): Truth[] {
  return Array.from({ length: dataset.queryCount }, (_, query) => {
    const scores = Float64Array.from(rows, (row) => scoreOf(dataset, query, row)).sort();
    const scoreMin = scores.at(-k) ?? Number.NEGATIVE_INFINITY;
    return { query, count: Math.min(k, rows.length), scoreMin };
  });
}

/** The share of right answers among `found` (row numbers; one that comes twice counts once). */
export function recallOf(dataset: Dataset, truth: Truth, found: readonly number[]): number {
  const right = [...new Set(found)].filter((row) => {
    return scoreOf(dataset, truth.query, row) >= truth.scoreMin - ROUNDING;
  });
  return truth.count === 0 ? 1 : Math.min(1, right.length / truth.count);
}

function scoreOf({ queries, vectors, dimension }: Dataset, query: number, row: number): number {
  const from = query * dimension;
  const offset = row * dimension - from;
  let sum = 0;
  for (let i = from; i < from + dimension; i++) {
    sum += (queries[i] as number) * (vectors[i + offset] as number);
  }
  return sum;
}
