/**
 * How near two vectors are, exactly: sums in float64 over float32 components, so a graph's answer
 * and an exact scan give the same score to the last bit. Inside the index everything is compared
 * by *nearness* (larger is nearer); `scoreOf` turns it into Qdrant's score at the end.
 *
 *   Cosine, Dot   nearness = inner product      score = nearness
 *   Euclid        nearness = -(sum of squares)  score = sqrt(-nearness)
 *   Manhattan     nearness = -(sum of |a - b|)  score = -nearness
 *
 * Four accumulators break the chain of additions, which is what a scalar loop waits for. The
 * query is a Float64Array because its components would otherwise be widened once per row.
 */
import type { Distance } from '../../shared/domain/distance.ts';

/** Nearness of the row that starts at `offset` of `rows` to the query. */
export type Nearness = (rows: Float32Array, offset: number, query: Float64Array) => number;

export interface Metric {
  nearness: Nearness;
  scoreOf(nearness: number): number;
}

const INNER_PRODUCT: Metric = { nearness: innerProduct, scoreOf: (nearness) => nearness };
const EUCLID: Metric = { nearness: squaredEuclid, scoreOf: (nearness) => Math.sqrt(-nearness) };
const MANHATTAN: Metric = { nearness: manhattan, scoreOf: (nearness) => 0 - nearness };

export const METRICS: Readonly<Record<Distance, Metric>> = {
  Cosine: INNER_PRODUCT,
  Dot: INNER_PRODUCT,
  Euclid: EUCLID,
  Manhattan: MANHATTAN,
};

/** The score of one vector. */
export function scoreOf(distance: Distance, vector: Float32Array, query: Float32Array): number {
  const metric = METRICS[distance];
  return metric.scoreOf(metric.nearness(vector, 0, Float64Array.from(query)));
}

function innerProduct(rows: Float32Array, offset: number, query: Float64Array): number {
  const length = query.length;
  const unrolled = length & ~3;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i < unrolled; i += 4) {
    a += (rows[offset + i] as number) * (query[i] as number);
    b += (rows[offset + i + 1] as number) * (query[i + 1] as number);
    c += (rows[offset + i + 2] as number) * (query[i + 2] as number);
    d += (rows[offset + i + 3] as number) * (query[i + 3] as number);
  }
  for (; i < length; i += 1) a += (rows[offset + i] as number) * (query[i] as number);
  return a + b + (c + d);
}

function squaredEuclid(rows: Float32Array, offset: number, query: Float64Array): number {
  const length = query.length;
  const unrolled = length & ~3;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i < unrolled; i += 4) {
    const w = (rows[offset + i] as number) - (query[i] as number);
    const x = (rows[offset + i + 1] as number) - (query[i + 1] as number);
    const y = (rows[offset + i + 2] as number) - (query[i + 2] as number);
    const z = (rows[offset + i + 3] as number) - (query[i + 3] as number);
    a += w * w;
    b += x * x;
    c += y * y;
    d += z * z;
  }
  for (; i < length; i += 1) {
    const w = (rows[offset + i] as number) - (query[i] as number);
    a += w * w;
  }
  return -(a + b + (c + d));
}

function manhattan(rows: Float32Array, offset: number, query: Float64Array): number {
  const length = query.length;
  const unrolled = length & ~3;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i < unrolled; i += 4) {
    a += Math.abs((rows[offset + i] as number) - (query[i] as number));
    b += Math.abs((rows[offset + i + 1] as number) - (query[i + 1] as number));
    c += Math.abs((rows[offset + i + 2] as number) - (query[i + 2] as number));
    d += Math.abs((rows[offset + i + 3] as number) - (query[i + 3] as number));
  }
  for (; i < length; i += 1) a += Math.abs((rows[offset + i] as number) - (query[i] as number));
  return -(a + b + (c + d));
}
