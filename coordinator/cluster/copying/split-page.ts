/**
 * Rows that one shard holds, as the pages that the shards of another number get: each its own rows, in
 * the order in which they came. What is read is checked before it is taken apart, and what is made
 * of it is sealed anew, so that a row that was changed on the way is never sealed as a good one.
 *
 * Writes that take effect once are known by shard, not by point. What one single shard knows of them
 * holds for each of those that take its place: a write that was done there was done whole. Of several
 * shards one may have done its part and another not, and no shard that gets points of both could answer
 * for the write; so what they know is left behind.
 */
import { must } from '../../../shared/base/assert.ts';
import type { PayloadBytes, PointId } from '../../../shared/domain/point.ts';
import { shardOfPoint } from '../../../shared/domain/shard-of-point.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { WithVectors } from '../../../shared/protocol/messages.ts';
import { isWholePage, type Page, sealPage } from '../../../shared/protocol/page.ts';

/** What one of the shards gets. */
export interface PagePart {
  page: Page;
  vectors: Float32Array;
  /** Points, removed ids and writes that take effect once. */
  rows: number;
}

interface Lists {
  ids: PointId[];
  versions: number[];
  payloads: (PayloadBytes | null)[];
  removedIds: PointId[];
  removedVersions: number[];
  /** Places of the points in the page that was split. */
  places: number[];
}

/**
 * One part a shard, in the order of shards, each made when it is asked for: hashing it takes a while.
 * `dimension`: components of a vector. `isOnly`: whether the page is of the only shard that there
 * was. Throws `invalid_argument` for a page that is not as it was sealed.
 */
export function* splitPage(
  { body: page, vectors }: WithVectors<Page>,
  shards: number,
  { dimension, isOnly }: { dimension: number; isOnly: boolean },
): Generator<PagePart> {
  if (!isWholePage(page, vectors, dimension)) {
    throw new AppError('invalid_argument', 'the page is not as it was sealed');
  }
  const once = isOnly ? page.once : undefined;
  for (const { places, ...lists } of divide(page, shards)) {
    const own = new Float32Array(places.length * dimension);
    for (const [i, place] of places.entries()) {
      own.set(vectors.subarray(place * dimension, (place + 1) * dimension), i * dimension);
    }
    const rows = places.length + lists.removedIds.length + (once?.rows.length ?? 0);
    yield { page: sealPage({ ...lists, ...(once && { once }) }, own), vectors: own, rows };
  }
}

function divide(page: Page, shards: number): Lists[] {
  const parts = Array.from({ length: shards }, (): Lists => {
    const points = { ids: [], versions: [], payloads: [], places: [] };
    return { ...points, removedIds: [], removedVersions: [] };
  });
  const partOf = (id: PointId) => must(parts[shardOfPoint(id, shards)], 'the shard is one of them');
  for (const [place, id] of page.ids.entries()) {
    const part = partOf(id);
    part.ids.push(id);
    part.versions.push(page.versions[place] as number);
    part.payloads.push(page.payloads[place] as PayloadBytes | null);
    part.places.push(place);
  }
  for (const [place, id] of page.removedIds.entries()) {
    const part = partOf(id);
    part.removedIds.push(id);
    part.removedVersions.push(page.removedVersions[place] as number);
  }
  return parts;
}
