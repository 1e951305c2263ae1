/** Vectors to measure an index with: a dataset's, or seeded ones of low intrinsic dimension. */
import { SeededRandom } from '../../shared/base/random.ts';
import { prepareVector } from '../../shared/domain/distance.ts';
import { readDataset } from '../dataset/read-dataset.ts';

export interface IndexData {
  name: string;
  dimension: number;
  count: number;
  queryCount: number;
  /** Row after row; unit vectors if not `stretched`. */
  vectors: Float32Array;
  queries: Float32Array;
}

/** Components behind the synthetic data, and noise beside them. */
const INTRINSIC = 16;
const NOISE = 0.3;
/** Deviation of the logarithms of lengths. */
const LENGTH_SPREAD = 0.3;
const SEED = 20_261_122;

export function datasetData(folder: string, queriesMax: number): IndexData {
  const { dimension, vectors, queries, queryCount } = readDataset(folder);
  const count = vectors.length / dimension;
  const name = folder.split('/').findLast((part) => part !== '') ?? folder;
  return { name, dimension, count, queryCount: Math.min(queriesMax, queryCount), vectors, queries };
}

/** Gaussians of `intrinsic` dimensions, turned into `dimension` by a random matrix, with noise. */
export function syntheticData(
  dimension: number,
  count: number,
  queryCount: number,
  intrinsic = INTRINSIC,
): IndexData {
  const random = new SeededRandom(SEED + dimension);
  const turn = Float32Array.from({ length: intrinsic * dimension }, () => random.normal());
  const fill = (rows: number): Float32Array => {
    const all = new Float32Array(rows * dimension);
    for (let row = 0; row < rows; row += 1) {
      const vector = all.subarray(row * dimension, (row + 1) * dimension);
      for (let j = 0; j < intrinsic; j += 1) {
        const z = random.normal();
        for (let i = 0; i < dimension; i += 1) {
          vector[i] = (vector[i] as number) + z * (turn[j * dimension + i] as number);
        }
      }
      for (let i = 0; i < dimension; i += 1) {
        vector[i] = (vector[i] as number) + NOISE * random.normal();
      }
      prepareVector('Cosine', vector, 'vector');
    }
    return all;
  };
  const vectors = fill(count);
  const queries = fill(queryCount);
  return { name: `synthetic-${dimension}`, dimension, count, queryCount, vectors, queries };
}

/** The same with log-normal lengths, for distances that lengths matter to. */
export function stretched(data: IndexData): IndexData {
  const random = new SeededRandom(SEED);
  const stretch = (rows: Float32Array): Float32Array => {
    const all = rows.slice();
    for (let at = 0; at < all.length; at += data.dimension) {
      const length = Math.exp(LENGTH_SPREAD * random.normal());
      const vector = all.subarray(at, at + data.dimension);
      for (const [i, x] of vector.entries()) vector[i] = length * x;
    }
    return all;
  };
  return { ...data, vectors: stretch(data.vectors), queries: stretch(data.queries) };
}

export function rowOf({ vectors, dimension }: IndexData, row: number): Float32Array {
  return vectors.subarray(row * dimension, (row + 1) * dimension);
}

export function queryOf({ queries, dimension }: IndexData, row: number): Float32Array {
  return queries.subarray(row * dimension, (row + 1) * dimension);
}
