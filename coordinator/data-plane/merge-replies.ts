/**
 * One answer from the answers of a collection's shards, the same as one shard with all the points
 * would give. Each list that comes in is in order already; of the heads of all lists the one that
 * comes first is taken, until there are enough:
 *
 *   hits    nearest first, those with equal scores in the order of their ids
 *   pages   in the order of ids
 *   by id   in the order asked for
 *
 * No point is in two shards, so no two are equal in these orders. A step compares one head a shard;
 * there are few of them, and what is long is merged in slices.
 *
 * Of n shards each holds about one n-th of what is wanted, so it is not asked for all of it but for
 * `shareOf` it. A list that ends before there are enough, though its shard may have more, is named
 * as `lacking`: only with more of it the answer is sure.
 */
import { must } from '../../shared/base/assert.ts';
import type { Slices } from '../../shared/base/slices.ts';
import { comparePointIds, type PointId } from '../../shared/domain/point.ts';
import type { Reply, WithVectors } from '../../shared/protocol/messages.ts';
import type { Records } from '../../shared/protocol/schema.ts';
import type { RecordList, ScoredList } from './encode-records.ts';

/** Picks between two looks at the clock. */
const PICKS_PER_STEP = 64;

/** With so many standard deviations, one shard in ten thousand has to be asked again. */
const HIT_DEVIATIONS = 4;
/** More where a part is so small that deviations say little. */
const SHARE_MORE = 4;

/** Of the `wanted` nearest, how many each of `shards` is asked for: its part, and as many more as
 * chance may give it. */
export function shareOf(wanted: number, shards: number, deviations = HIT_DEVIATIONS): number {
  const part = wanted / shards;
  return Math.min(wanted, Math.ceil(part + deviations * Math.sqrt(part) + SHARE_MORE));
}

/** The hits of each search of a reply, with its part of the float section. */
export function hitsOf(
  { body, vectors }: WithVectors<Reply<'points-query'>>,
  dimension: number,
): ScoredList[] {
  let at = 0;
  return body.results.map(({ records, scores }) => {
    const floats = records.vectors ? records.ids.length * dimension : 0;
    const list = { records, vectors: vectors.subarray(at, at + floats) };
    at += floats;
    return { list, scores };
  });
}

/** One entry of one of the lists. */
interface Place {
  list: number;
  index: number;
}

export interface HitsWanted {
  offset: number;
  limit: number;
  /** How many each shard was asked for. */
  asked: number;
  /** Whether a higher score is nearer. */
  higher: boolean;
}

/** What is merged, and the lists that it lacks more of. */
interface Merged<T> {
  merged: T;
  lacking: number[];
}

/** Hits `offset` to `offset + limit` of all; each list begins with the shard's nearest. */
export async function mergeHits(
  lists: readonly ScoredList[],
  { offset, limit, asked, higher }: HitsWanted,
  slices: Slices,
): Promise<Merged<ScoredList>> {
  const scoreAt = ({ list, index }: Place): number => {
    return must(lists[list]?.scores[index], 'a hit has a score');
  };
  const records = lists.map(({ list }) => list);
  const comesFirst = (a: Place, b: Place): boolean => {
    const [one, other] = [scoreAt(a), scoreAt(b)];
    if (one !== other) return one > other === higher;
    return comparePointIds(idAt(records, a), idAt(records, b)) < 0;
  };
  const hasMore = (list: number) => records[list]?.records.ids.length === asked;
  const merging = { limit: offset + limit, comesFirst, hasMore };
  const { places, lacking } = await merge(records, merging, slices);
  const page = places.slice(offset);
  return { merged: { list: picked(records, page), scores: page.map(scoreAt) }, lacking };
}

/** A page of one shard. */
export interface Page {
  list: RecordList;
  /** The id that comes after it. */
  next: PointId | null;
}

/** The first `limit` of all. */
export async function mergePages(
  pages: readonly Page[],
  limit: number,
  slices: Slices,
): Promise<Merged<Page>> {
  const lists = pages.map(({ list }) => list);
  const comesFirst = (a: Place, b: Place) => {
    return comparePointIds(idAt(lists, a), idAt(lists, b)) < 0;
  };
  const hasMore = (list: number) => pages[list]?.next !== null;
  const merging = { limit, comesFirst, hasMore };
  const { places, heads, lacking } = await merge(lists, merging, slices);
  const left = heads.flatMap((index, list) => {
    return lists[list]?.records.ids[index] ?? pages[list]?.next ?? [];
  });
  const [next = null] = left.sort(comparePointIds);
  return { merged: { list: picked(lists, places), next }, lacking };
}

/** Points of several shards in the order in which they were asked for. */
export function mergeById(lists: readonly RecordList[], ids: readonly PointId[]): RecordList {
  const placeOf = new Map<PointId, Place>();
  for (const [list, { records }] of lists.entries()) {
    for (const [index, id] of records.ids.entries()) placeOf.set(id, { list, index });
  }
  const places = ids.flatMap((id) => placeOf.get(id) ?? []);
  return picked(lists, places);
}

interface Merging {
  limit: number;
  comesFirst: (a: Place, b: Place) => boolean;
  /** Whether there is more than the list holds. */
  hasMore: (list: number) => boolean;
}

/** The first `limit` places in order, and how much of each list that takes. */
async function merge(
  lists: readonly RecordList[],
  { limit, comesFirst, hasMore }: Merging,
  slices: Slices,
): Promise<{ places: Place[]; heads: number[]; lacking: number[] }> {
  const heads = lists.map((): Place['index'] => 0);
  const places: Place[] = [];
  while (places.length < limit) {
    if (places.length % PICKS_PER_STEP === 0 && slices.due) await slices.rest();
    let first: Place | undefined;
    for (const [list, { records }] of lists.entries()) {
      const head = { list, index: heads[list] as number };
      if (head.index === records.ids.length) continue;
      if (first === undefined || comesFirst(head, first)) first = head;
    }
    if (first === undefined) break;
    places.push(first);
    heads[first.list] = first.index + 1;
  }
  const lacking = [...lists.keys()].filter((list) => {
    if (heads[list] !== lists[list]?.records.ids.length || !hasMore(list)) return false;
    // Nothing was taken after its last entry: what would come next is not wanted.
    return places.length < limit || places.at(-1)?.list !== list;
  });
  return { places, heads, lacking };
}

function idAt(lists: readonly RecordList[], { list, index }: Place): PointId {
  return must(lists[list]?.records.ids[index], 'a place is in its list');
}

/** What stands in these places. All lists show the same of each point. */
function picked(lists: readonly RecordList[], places: readonly Place[]): RecordList {
  const [first] = lists;
  const { vectors, payloads } = must(first, 'a collection has a shard').records;
  const of = <T>(valuesOf: (records: Records) => readonly T[] | undefined): T[] => {
    const columns = lists.map(({ records }) => valuesOf(records) ?? []);
    return places.map(({ list, index }) => columns[list]?.[index] as T);
  };
  const records: Records = { ids: of(({ ids }) => ids), versions: of((r) => r.versions), vectors };
  if (payloads !== undefined) records.payloads = of((r) => r.payloads);
  return { records, vectors: vectors ? pickedVectors(lists, places) : new Float32Array() };
}

function pickedVectors(lists: readonly RecordList[], places: readonly Place[]): Float32Array {
  const full = lists.find(({ records }) => records.ids.length > 0);
  const dimension = full === undefined ? 0 : full.vectors.length / full.records.ids.length;
  const all = new Float32Array(places.length * dimension);
  for (const [at, { list, index }] of places.entries()) {
    const { vectors } = must(lists[list], 'a place is in a list');
    all.set(vectors.subarray(index * dimension, (index + 1) * dimension), at * dimension);
  }
  return all;
}
