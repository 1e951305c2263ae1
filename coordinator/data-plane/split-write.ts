/**
 * One write as the messages that a collection's shards get. What names its points is split by shard,
 * each with its own points and nothing for a shard that has none of them; a filter goes to all.
 */
import type { PointId } from '../../shared/domain/point.ts';
import { shardOfPoint } from '../../shared/domain/shard-of-point.ts';
import type { PointsSelector } from '../../shared/protocol/schema.ts';
import type { Write } from './write.ts';

/** The part of a write that is for the shard with this ordinal. */
export interface WritePart {
  ordinal: number;
  write: Write;
}

/** The parts in the order of their shards, each made when it is asked for: a large one is copied. */
export function* splitWrite(write: Write, shards: number): Generator<WritePart> {
  const { points } = pointsOf(write);
  if (points.kind === 'ids') {
    yield* split(write, points.ids, shards, (id) => shardOfPoint(id, shards));
    return;
  }
  for (let ordinal = 0; ordinal < shards; ordinal += 1) yield { ordinal, write };
}

/**
 * The parts for some of the shards as one write. Of a write by filter that is the write itself: which
 * points it finds is not known here.
 */
export function joinParts(write: Write, shards: number, chosen: ReadonlySet<number>): Write {
  const { points } = pointsOf(write);
  if (points.kind === 'filter') return write;
  const groupOf = (id: PointId) => (chosen.has(shardOfPoint(id, shards)) ? 0 : 1);
  for (const part of split(write, points.ids, 2, groupOf))
    if (part.ordinal === 0) return part.write;
  throw new TypeError('shards without a part have nothing to join');
}

function pointsOf({ name, body }: Write): { points: PointsSelector } {
  if (name !== 'points-upsert' && name !== 'vectors-update') return body;
  return { points: { kind: 'ids', ids: body.ids } };
}

/** The parts of a write that names these points, by group. */
function* split(
  write: Write,
  ids: readonly PointId[],
  groups: number,
  groupOf: (id: PointId) => number,
): Generator<WritePart> {
  const placesByGroup = Array.from({ length: groups }, (): number[] => []);
  for (const [place, id] of ids.entries()) placesByGroup[groupOf(id)]?.push(place);
  for (const [ordinal, places] of placesByGroup.entries()) {
    if (places.length === 0) continue;
    const own = places.map((place) => ids[place] as PointId);
    yield { ordinal, write: partOf(write, places, own) };
  }
}

const NO_VECTORS = new Float32Array();

/** The part of a write with the ids in these places. */
function partOf(write: Write, places: readonly number[], ids: PointId[]): Write {
  const { name, body } = write;
  if (name === 'points-upsert' || name === 'vectors-update') {
    const vectors = pickVectors(write.vectors ?? NO_VECTORS, body, places);
    if (name === 'vectors-update') return { name, body: { ...body, ids }, vectors };
    const payloads = places.map((place) => body.payloads[place] ?? null);
    return { name, body: { ...body, ids, payloads }, vectors };
  }
  const points = { kind: 'ids', ids } as const;
  if (name === 'points-delete') return { name, body: { ...body, points } };
  return { name, body: { ...body, points } };
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
