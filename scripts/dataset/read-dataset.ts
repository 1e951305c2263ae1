/**
 * A dataset folder: real vectors, their payloads, and queries with known neighbours.
 *
 *   vectors.f16        rows x dimension, little-endian float16, row-major; row number = point id
 *   payloads.jsonl.gz  one JSON object a row
 *   queries.f16        queries x dimension
 *   neighbors.i32      queries x neighbours, little-endian int32 row numbers, best first
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

export type Payload = Record<string, unknown>;

export interface Dataset {
  dimension: number;
  payloads: readonly Payload[];
  /** Rows, read as float32. */
  vectors: Float32Array;
  queries: Float32Array;
  queryCount: number;
  /** `neighbourCount` row numbers a query. */
  neighbours: Int32Array;
  neighbourCount: number;
}

/** Throws an `Error` that says what does not fit when the files do not belong together. */
export function readDataset(folder: string): Dataset {
  const payloads = readLines(join(folder, 'payloads.jsonl.gz'));
  const vectors = readFloat16(join(folder, 'vectors.f16'));
  const queries = readFloat16(join(folder, 'queries.f16'));
  const neighbours = readInt32(join(folder, 'neighbors.i32'));
  const dimension = vectors.length / payloads.length;
  const queryCount = queries.length / dimension;
  const neighbourCount = neighbours.length / queryCount;
  const counts = { dimension, queryCount, neighbourCount };
  for (const [name, count] of Object.entries(counts)) {
    if (!Number.isInteger(count) || count === 0) {
      throw new Error(`${folder}: the files do not belong together (${name} would be ${count})`);
    }
  }
  return { ...counts, payloads, vectors, queries, neighbours };
}

export function vectorOf(dataset: Dataset, row: number): Float32Array {
  const { vectors, dimension } = dataset;
  return vectors.subarray(row * dimension, (row + 1) * dimension);
}

export function queryOf(dataset: Dataset, query: number): Float32Array {
  const { queries, dimension } = dataset;
  return queries.subarray(query * dimension, (query + 1) * dimension);
}

function readLines(file: string): Payload[] {
  const text = gunzipSync(readFileSync(file)).toString('utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function readFloat16(file: string): Float32Array {
  const bytes = readFileSync(file);
  const halves = new globalThis.Float16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  return Float32Array.from(halves);
}

function readInt32(file: string): Int32Array {
  const bytes = readFileSync(file);
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
