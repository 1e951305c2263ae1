/**
 * Makes in-memory structures again from rows, in slices.
 */

import { must } from '../../shared/base/assert.ts';
import { Bitmap } from '../../shared/base/bitmap.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import type { PayloadIndexes } from '../filter/payload-indexes.ts';
import { createIndex } from '../index/create-index.ts';
import type { IndexOptions, VectorIndex, VectorsOf } from '../index/vector-index.ts';
import type { PointRow } from '../points/points-reader.ts';
import type { ReaderOf } from './evaluate.ts';
import type { Slices } from './slices.ts';
import { parsePayload } from './state.ts';

const ROWS_PER_STEP = 128;
const VECTOR_ONLY = { payload: false, vector: true };

/** An empty index for this shard. */
export function emptyIndex(descriptor: ShardDescriptor, options: IndexOptions): VectorIndex {
  const { vector, hnsw } = descriptor.config;
  return createIndex({ ...vector, hnsw }, options);
}

/** An index of all rows; its graph is yet to link. */
export async function indexOfRows(
  descriptor: ShardDescriptor,
  options: IndexOptions,
  reader: ReaderOf,
  slices: Slices,
): Promise<VectorIndex> {
  const index = emptyIndex(descriptor, options);
  await replayRows(0, reader, slices, (row) => index.add(row.label, row.vector));
  return index;
}

/** Reads vectors for an index that keeps none; a part at a time, as the reader answers. */
export function vectorsFrom(reader: ReaderOf): VectorsOf {
  return (labels) => {
    const vectors: (Float32Array | undefined)[] = [];
    while (vectors.length < labels.length) {
      const rest = Array.prototype.slice.call(labels, vectors.length) as number[];
      for (const row of reader().byLabels(rest, VECTOR_ONLY)) vectors.push(row?.vector);
    }
    return vectors;
  };
}

/** Hands every row that is newer than `version` to `visit`; how many there were. */
export async function replayRows(
  version: number,
  reader: ReaderOf,
  slices: Slices,
  visit: (row: PointRow) => void,
): Promise<number> {
  let replayed = 0;
  let after = -1;
  for (;;) {
    const rows = reader().changedSince(version, after, ROWS_PER_STEP);
    if (rows.length === 0) return replayed;
    for (const row of rows) visit(row);
    replayed += rows.length;
    after = must(rows.at(-1), 'it is not empty').label;
    if (slices.due) await slices.rest();
  }
}

/** The labels that the index has and no row does. */
export async function staleLabels(
  index: VectorIndex,
  reader: ReaderOf,
  slices: Slices,
): Promise<Uint32Array> {
  const present = new Bitmap();
  let page = reader().labelsPage(undefined);
  while (page.length > 0) {
    for (const { label } of page) present.add(label);
    if (slices.due) await slices.rest();
    page = reader().labelsPage(page.at(-1));
  }
  return index.live.clone().andNot(present).toLabels();
}

/**
 * Puts every row into the payload indexes of these fields. Writes may go on: a row is read and put
 * in one step, and what is applied later replaces it.
 */
export async function fillFields(
  payloads: PayloadIndexes,
  fields: string[],
  reader: ReaderOf,
  slices: Slices,
): Promise<void> {
  let after = -1;
  for (;;) {
    const rows = reader().scan(after, ROWS_PER_STEP, { payload: true, vector: false });
    if (rows.length === 0) return;
    for (const row of rows) {
      const payload = parsePayload(row.payload);
      for (const field of fields) payloads.putField(field, row.label, payload);
    }
    after = must(rows.at(-1), 'it is not empty').label;
    if (slices.due) await slices.rest();
  }
}
