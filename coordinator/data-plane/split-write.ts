/**
 * One write as the messages that a collection's shards get. What names its points is split by shard,
 * each with its own points and nothing for a shard that has none of them; a filter goes to all.
 */
import type { PointId } from '../../shared/domain/point.ts';
import { shardOfPoint } from '../../shared/domain/shard-of-point.ts';
import type { Write } from './write.ts';

/** The part of a write that is for the shard with this ordinal. */
export interface WritePart {
  ordinal: number;
  write: Write;
}

/** The parts in the order of their shards, each made when it is asked for: a large one is copied. */
export function* splitWrite(write: Write, shards: number): Generator<WritePart> {
  const { name, body } = write;
  if (name === 'points-upsert' || name === 'vectors-update') {
    yield* split(body.ids, shards, (places, ids): Write => {
      const vectors = pickVectors(write.vectors ?? NO_VECTORS, body, places);
      if (name === 'vectors-update') return { name, body: { ...body, ids }, vectors };
      const payloads = places.map((place) => body.payloads[place] ?? null);
      return { name, body: { ...body, ids, payloads }, vectors };
    });
    return;
  }
  const { points } = body;
  if (points.kind === 'filter') {
    for (let ordinal = 0; ordinal < shards; ordinal += 1) yield { ordinal, write };
    return;
  }
  yield* split(points.ids, shards, (_places, ids): Write => {
    const own = { kind: 'ids', ids } as const;
    if (name === 'points-delete') return { name, body: { ...body, points: own } };
    return { name, body: { ...body, points: own } };
  });
}

const NO_VECTORS = new Float32Array();

function* split(
  ids: readonly PointId[],
  shards: number,
  partOf: (places: number[], ids: PointId[]) => Write,
): Generator<WritePart> {
  const placesByShard = Array.from({ length: shards }, (): number[] => []);
  for (const [place, id] of ids.entries()) placesByShard[shardOfPoint(id, shards)]?.push(place);
  for (const [ordinal, places] of placesByShard.entries()) {
    if (places.length === 0) continue;
    const own = places.map((place) => ids[place] as PointId);
    yield { ordinal, write: partOf(places, own) };
  }
}

/** Of each named section the vectors in these places; sections are one after the other. */
function pickVectors(
  floats: Float32Array,
  { ids, names }: { ids: readonly PointId[]; names: readonly string[] },
  places: readonly number[],
): Float32Array {
  const dimension = floats.length / (ids.length * names.length);
  const all = new Float32Array(names.length * places.length * dimension);
  let to = 0;
  for (let section = 0; section < names.length; section += 1) {
    for (const place of places) {
      const from = (section * ids.length + place) * dimension;
      all.set(floats.subarray(from, from + dimension), to);
      to += dimension;
    }
  }
  return all;
}
