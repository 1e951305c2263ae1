/**
 * Reads of a collection, whose shards answer as if they were one: with all of them, or with the
 * error of the first that fails. Of a single shard message and reply are passed on as they are.
 *
 *   count      all are asked; the sum
 *   by id      those are asked that the ids belong to
 *   scroll     all are asked for their share; merged; those with too little are asked again, for all
 *   search     the same (`collection-search.ts`)
 *
 * What other shards reply when one has failed is dropped. So is everything when the replies are too
 * much together: they are held here until the answer is merged.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import { Slices } from '../../shared/base/slices.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { PointId } from '../../shared/domain/point.ts';
import { shardOfPoint } from '../../shared/domain/shard-of-point.ts';
import type { Reply, Request, WithVectors } from '../../shared/protocol/messages.ts';
import type { Records } from '../../shared/protocol/schema.ts';
import type { Router } from '../routing/router.ts';
import type { CollectionRecord, ShardPlacement } from '../store/collections.ts';
import { CollectionSearch } from './collection-search.ts';
import type { RecordList } from './encode-records.ts';
import { examinedBy, HeldReplies } from './held-replies.ts';
import { mergeById, mergePages, type Page, shareOf } from './merge-replies.ts';

type ReadName = 'points-query' | 'points-retrieve' | 'points-scroll' | 'points-count';
type Answer<N extends ReadName> = Promise<WithVectors<Reply<N>>>;

export interface CollectionReadsDeps {
  router: Pick<Router, 'read'>;
  clock: Clock;
}

const NO_VECTORS = new Float32Array();

/** Errors of all methods are those of `Router.request`. */
export class CollectionReads {
  readonly #deps: CollectionReadsDeps;

  constructor(deps: CollectionReadsDeps) {
    this.#deps = deps;
  }

  query(
    record: CollectionRecord,
    body: Request<'points-query'>,
    vectors: Float32Array | undefined,
    deadline: Deadline,
  ): Answer<'points-query'> {
    const only = onlyShard(record);
    if (only !== undefined) {
      return this.#deps.router.read(only, 'points-query', body, vectors, deadline);
    }
    const search = new CollectionSearch(this.#deps, record, deadline);
    return search.run(body.searches, vectors ?? NO_VECTORS);
  }

  retrieve(
    record: CollectionRecord,
    body: Request<'points-retrieve'>,
    deadline: Deadline,
  ): Answer<'points-retrieve'> {
    const only = onlyShard(record);
    if (only === undefined) return this.#retrieveAll(record, body, deadline);
    return this.#deps.router.read(only, 'points-retrieve', body, undefined, deadline);
  }

  scroll(
    record: CollectionRecord,
    body: Request<'points-scroll'>,
    deadline: Deadline,
  ): Answer<'points-scroll'> {
    const only = onlyShard(record);
    if (only === undefined) return this.#scrollAll(record, body, deadline);
    return this.#deps.router.read(only, 'points-scroll', body, undefined, deadline);
  }

  count(
    record: CollectionRecord,
    body: Request<'points-count'>,
    deadline: Deadline,
  ): Answer<'points-count'> {
    const only = onlyShard(record);
    if (only === undefined) return this.#countAll(record, body, deadline);
    return this.#deps.router.read(only, 'points-count', body, undefined, deadline);
  }

  async #countAll(
    { shards }: CollectionRecord,
    body: Request<'points-count'>,
    deadline: Deadline,
  ): Answer<'points-count'> {
    const { router } = this.#deps;
    const replies = await Promise.all(
      shards.map((shard) => router.read(shard, 'points-count', body, undefined, deadline)),
    );
    const count = replies.reduce((sum, reply) => sum + reply.body.count, 0);
    return { body: { count, ...examinedBy(replies) }, vectors: NO_VECTORS };
  }

  async #retrieveAll(
    { shards }: CollectionRecord,
    body: Request<'points-retrieve'>,
    deadline: Deadline,
  ): Answer<'points-retrieve'> {
    const { router } = this.#deps;
    const idsByShard = shards.map((): PointId[] => []);
    for (const id of body.ids) idsByShard[shardOfPoint(id, shards.length)]?.push(id);
    const held = new HeldReplies(LIMITS.replyBytesMax);
    const asks = shards.flatMap((shard, ordinal) => {
      const ids = idsByShard[ordinal] ?? [];
      if (ids.length === 0) return [];
      const own = { ...body, ids };
      const reply = router.read(shard, 'points-retrieve', own, undefined, deadline);
      return reply.then(({ body: records, vectors }) => held.take({ records, vectors }));
    });
    const lists: RecordList[] = await Promise.all(asks);
    if (lists.length === 0) {
      const none: Records = { ids: [], versions: [], vectors: body.withVector };
      return { body: none, vectors: NO_VECTORS };
    }
    const { records, vectors } = mergeById(lists, body.ids);
    return { body: records, vectors };
  }

  async #scrollAll(
    { shards }: CollectionRecord,
    body: Request<'points-scroll'>,
    deadline: Deadline,
  ): Answer<'points-scroll'> {
    const { router, clock } = this.#deps;
    const slices = new Slices(clock);
    const held = new HeldReplies(LIMITS.gatheredBytesMax);
    const replies: WithVectors<Reply<'points-scroll'>>[] = [];
    const ask = async (shard: ShardPlacement, limit: number): Promise<Page> => {
      const own = { ...body, limit };
      const reply = await router.read(shard, 'points-scroll', own, undefined, deadline);
      const { records, next } = reply.body;
      replies.push(reply);
      return { list: held.take({ records, vectors: reply.vectors }), next };
    };
    const share = shareOf(body.limit, shards.length);
    let pages = await Promise.all(shards.map((shard) => ask(shard, share)));
    let { merged, lacking } = await mergePages(pages, body.limit, slices);
    if (lacking.length > 0) {
      const first = pages;
      pages = await Promise.all(
        shards.map((shard, ordinal) => {
          return lacking.includes(ordinal) ? ask(shard, body.limit) : (first[ordinal] as Page);
        }),
      );
      ({ merged } = await mergePages(pages, body.limit, slices));
    }
    const { records, vectors } = new HeldReplies(LIMITS.replyBytesMax).take(merged.list);
    return { body: { records, next: merged.next, ...examinedBy(replies) }, vectors };
  }
}

function onlyShard({ shards }: CollectionRecord): ShardPlacement | undefined {
  return shards.length === 1 ? shards[0] : undefined;
}
