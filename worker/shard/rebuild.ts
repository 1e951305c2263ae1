/**
 * Makes in-memory structures again from rows, in slices.
 */
import { must } from '../../shared/base/assert.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import type { PayloadIndexes } from '../filter/payload-indexes.ts';
import { createIndex } from '../index/create-index.ts';
import type { IndexOptions, VectorIndex } from '../index/vector-index.ts';
import type { ReaderOf } from './evaluate.ts';
import type { Slices } from './slices.ts';
import { parsePayload } from './state.ts';

const ROWS_PER_STEP = 128;

/** An empty index for this shard. */
export function emptyIndex(descriptor: ShardDescriptor, options: IndexOptions): VectorIndex {
  const { vector, hnsw } = descriptor.config;
  return createIndex({ ...vector, hnsw }, options);
}

/** The same vectors in an index of the descriptor's configuration; its graph is yet to link. */
export function rebuildIndex(
  old: VectorIndex,
  descriptor: ShardDescriptor,
  options: IndexOptions,
): VectorIndex {
  const index = emptyIndex(descriptor, options);
  old.live.forEach((label) => {
    index.add(label, must(old.vector(label), 'a live label has a vector'));
  });
  return index;
}

/** Adds the rows that are newer than `version`; how many there were. */
export async function replayRows(
  index: VectorIndex,
  version: number,
  reader: ReaderOf,
  slices: Slices,
): Promise<number> {
  let replayed = 0;
  let after = -1;
  for (;;) {
    const rows = reader().changedSince(version, after, ROWS_PER_STEP);
    for (const row of rows) index.add(row.label, row.vector);
    replayed += rows.length;
    if (rows.length < ROWS_PER_STEP) return replayed;
    after = rows.at(-1)?.label ?? after;
    if (slices.due) await slices.rest();
  }
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
    for (const row of rows) {
      const payload = parsePayload(row.payload);
      for (const field of fields) payloads.putField(field, row.label, payload);
    }
    if (rows.length < ROWS_PER_STEP) return;
    after = rows.at(-1)?.label ?? after;
    if (slices.due) await slices.rest();
  }
}
