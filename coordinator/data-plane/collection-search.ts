/**
 * One list of searches over the shards of a collection. Which shard has the nearest points nobody
 * knows, so all are asked, from the first hit on, for their share of what is wanted:
 *
 *   vectors of searches by id  <--  the shards that the ids belong to
 *   hits of every search       <--  all shards            (the point itself left out at its home)
 *   merge, the page cut out
 *   hits that are lacking      <--  the shards that had more of them than their share, rarely any
 *   merge of those searches
 *
 * The candidates that a graph search keeps are shared out as the hits are. Of the `hnsw_ef` nearest
 * points of a collection a shard has its share, so with that it finds what it has of the nearest:
 * recall@10 of 20,000 points, two sets of 128 components, the second with a coarse graph:
 *
 *   hnsw_ef         64     128    256      64     128    256
 *   one shard      .957   .993   .999     .862   .949   .988
 *   two            .980   .997  1.000     .910   .968   .991
 *   three          .980   .996   .999     .917   .964   .990
 *   eight          .983   .996   .999     .927   .965   .988
 */
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import { Slices } from '../../shared/base/slices.ts';
import { HNSW_EF_DEFAULT } from '../../shared/domain/collection.ts';
import { higherIsNearer } from '../../shared/domain/distance.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { PointId } from '../../shared/domain/point.ts';
import { shardOfPoint } from '../../shared/domain/shard-of-point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Search } from '../../shared/protocol/messages/points-query.ts';
import type { Reply, Request, WithVectors } from '../../shared/protocol/messages.ts';
import type { Router } from '../routing/router.ts';
import type { CollectionRecord } from '../store/collections.ts';
import type { ScoredList } from './encode-records.ts';
import { examinedBy, HeldReplies } from './held-replies.ts';
import { hitsOf, mergeHits, shareOf } from './merge-replies.ts';

/** Standard deviations by which a share of `hnsw_ef` is more than a part of it: with two, recall is
 * less than with one shard in some cases, with four work is done in vain. */
const EF_DEVIATIONS = 3;

const NO_PAYLOAD = { kind: 'none' } as const;

type Answer = WithVectors<Reply<'points-query'>>;

/** A search and its vector, if it has one. */
interface Query {
  search: Search;
  vector: Float32Array | undefined;
}

/** Which queries a shard is asked, and for how many hits. */
interface Ask {
  ordinal: number;
  queries: readonly number[];
  hits: 'share' | 'all';
}

export class CollectionSearch {
  readonly #router: Pick<Router, 'read'>;
  readonly #record: CollectionRecord;
  readonly #deadline: Deadline;
  readonly #slices: Slices;
  readonly #held = new HeldReplies(LIMITS.gatheredBytesMax);
  readonly #replies: Answer[] = [];

  constructor(
    deps: { router: Pick<Router, 'read'>; clock: Clock },
    record: CollectionRecord,
    deadline: Deadline,
  ) {
    this.#router = deps.router;
    this.#slices = new Slices(deps.clock);
    this.#record = record;
    this.#deadline = deadline;
  }

  /** Once. `vectors` has those of the searches by vector, in turn. */
  async run(searches: readonly Search[], vectors: Float32Array): Promise<Answer> {
    const queries = await this.#queriesOf(searches, vectors);
    const ordinals = [...this.#record.shards.keys()];
    const each = [...queries.keys()];
    const first = ordinals.map((ordinal): Ask => ({ ordinal, queries: each, hits: 'share' }));
    /** By shard, then by query. */
    const lists = await Promise.all(first.map((ask) => this.#ask(ask, queries)));
    const found: ScoredList[] = [];
    const again = ordinals.map((ordinal) => ({ ordinal, queries: [] as number[] }));
    for (const query of each) {
      const { merged, lacking } = await this.#merge(lists, queries, query, 'share');
      found.push(merged);
      for (const ordinal of lacking) again[ordinal]?.queries.push(query);
    }
    await Promise.all(
      again.map(async ({ ordinal, queries: own }) => {
        if (own.length === 0) return;
        const more = await this.#ask({ ordinal, queries: own, hits: 'all' }, queries);
        for (const [at, query] of own.entries()) {
          const list = must(more[at], 'a list a query');
          lists[ordinal]?.splice(query, 1, list);
        }
      }),
    );
    for (const query of new Set(again.flatMap((ask) => ask.queries))) {
      found[query] = (await this.#merge(lists, queries, query, 'all')).merged;
    }
    return this.#answer(found);
  }

  /** The vectors of searches by id are read first. Throws `point_not_found`. */
  async #queriesOf(searches: readonly Search[], vectors: Float32Array): Promise<Query[]> {
    const { dimension } = this.#record.config.vector;
    const stored = await this.#storedVectors(
      searches.flatMap(({ target }) => (target.kind === 'point' ? [target.id] : [])),
    );
    let at = 0;
    return searches.map((search): Query => {
      const { target } = search;
      if (target.kind === 'none') return { search, vector: undefined };
      if (target.kind === 'vector') {
        at += dimension;
        return { search, vector: vectors.subarray(at - dimension, at) };
      }
      const vector = stored.get(target.id);
      if (vector !== undefined) return { search, vector };
      const text = `no point with id ${target.id} in the collection`;
      throw new AppError('point_not_found', text);
    });
  }

  async #storedVectors(ids: readonly PointId[]): Promise<Map<PointId, Float32Array>> {
    const { shards, config } = this.#record;
    const { dimension } = config.vector;
    const idsByShard = shards.map((): Set<PointId> => new Set());
    for (const id of ids) idsByShard[shardOfPoint(id, shards.length)]?.add(id);
    const stored = new Map<PointId, Float32Array>();
    const read = async (ordinal: number, own: PointId[]) => {
      const shard = must(shards[ordinal], 'ordinals count the shards');
      const body: Request<'points-retrieve'> = { ids: own, payload: NO_PAYLOAD, withVector: true };
      const deadline = this.#deadline;
      const reply = await this.#router.read(shard, 'points-retrieve', body, undefined, deadline);
      for (const [at, id] of reply.body.ids.entries()) {
        stored.set(id, reply.vectors.subarray(at * dimension, (at + 1) * dimension));
      }
    };
    const reads = idsByShard.map((own, ordinal) =>
      own.size > 0 ? read(ordinal, [...own]) : undefined,
    );
    await Promise.all(reads);
    return stored;
  }

  /** The hits of each query in turn. */
  async #ask(
    { ordinal, queries: numbers, hits }: Ask,
    queries: readonly Query[],
  ): Promise<ScoredList[]> {
    const { shards, config } = this.#record;
    const shard = must(shards[ordinal], 'ordinals count the shards');
    const own = numbers.map((number) => must(queries[number], 'numbers count the queries'));
    const searches = own.map(({ search }): Search => {
      const target = this.#targetAt(ordinal, search.target);
      const limit = this.#askedOf(search, hits);
      return { ...search, target, limit, offset: 0, ...this.#efOf(search, hits) };
    });
    const vectors = joined(own.flatMap(({ vector }) => vector ?? []));
    const deadline = this.#deadline;
    const reply = await this.#router.read(shard, 'points-query', { searches }, vectors, deadline);
    this.#replies.push(reply);
    const lists = hitsOf(reply, config.vector.dimension);
    for (const { list } of lists) this.#held.take(list);
    return lists;
  }

  #targetAt(ordinal: number, target: Search['target']): Search['target'] {
    if (target.kind !== 'point') return target;
    const isHome = shardOfPoint(target.id, this.#record.shards.length) === ordinal;
    return isHome ? { kind: 'vector', exclude: target.id } : { kind: 'vector' };
  }

  #askedOf({ limit, offset }: Search, hits: Ask['hits']): number {
    const wanted = limit + offset;
    return hits === 'all' ? wanted : shareOf(wanted, this.#record.shards.length);
  }

  /** A shard that is asked for all may have most of what is near. */
  #efOf({ exact, ef = HNSW_EF_DEFAULT }: Search, hits: Ask['hits']): Pick<Search, 'ef'> {
    if (exact) return {};
    const { length } = this.#record.shards;
    return { ef: hits === 'all' ? ef : shareOf(ef, length, EF_DEVIATIONS) };
  }

  #merge(
    lists: readonly ScoredList[][],
    queries: readonly Query[],
    query: number,
    hits: Ask['hits'],
  ): ReturnType<typeof mergeHits> {
    const { search } = must(queries[query], 'numbers count the queries');
    const { limit, offset } = search;
    const higher = higherIsNearer(this.#record.config.vector.distance);
    const wanted = { limit, offset, asked: this.#askedOf(search, hits), higher };
    const own = lists.map((ofShard) => must(ofShard[query], 'a list a query'));
    return mergeHits(own, wanted, this.#slices);
  }

  #answer(found: readonly ScoredList[]): Answer {
    const held = new HeldReplies(LIMITS.replyBytesMax);
    for (const { list } of found) held.take(list);
    const results = found.map(({ list, scores }) => ({ scores, records: list.records }));
    const vectors = joined(found.map(({ list }) => list.vectors));
    return { body: { results, ...examinedBy(this.#replies) }, vectors };
  }
}

/** One after the other; a single one is not copied. */
function joined(vectors: readonly Float32Array[]): Float32Array {
  const [first] = vectors;
  if (first !== undefined && vectors.length === 1) return first;
  const all = new Float32Array(vectors.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const vector of vectors) {
    all.set(vector, at);
    at += vector.length;
  }
  return all;
}
