/** What can be asked of one shard. Each request has one deadline and gives others their turn. */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { Filter } from '../../shared/domain/filter.ts';
import type { Search } from '../../shared/protocol/messages/points-query.ts';
import type { Reply, Request, WithVectors } from '../../shared/protocol/messages.ts';
import type { ReaderOf } from './evaluate.ts';
import { evaluate, plan } from './evaluate.ts';
import { readAll } from './read-rows.ts';
import type { RecentRows } from './recent-rows.ts';
import { columnsOf, RecordsWriter, type View } from './records.ts';
import { type ScrollRequest, scroll } from './scroll.ts';
import { type FoundPoints, type SearchContext, search } from './search.ts';
import { Slices } from './slices.ts';
import type { ShardState } from './state.ts';

export class ShardReads {
  readonly #state: ShardState;
  readonly #reader: ReaderOf;
  readonly #recent: RecentRows;
  readonly #clock: Clock;

  constructor(parts: {
    state: ShardState;
    reader: ReaderOf;
    recent: RecentRows;
    clock: Clock;
  }) {
    this.#state = parts.state;
    this.#reader = parts.reader;
    this.#recent = parts.recent;
    this.#clock = parts.clock;
  }

  async query(
    { searches }: Request<'points-query'>,
    vectors: Float32Array,
    deadline: Deadline,
  ): Promise<WithVectors<Reply<'points-query'>>> {
    const { dimension } = this.#state.descriptor.config.vector;
    const context = this.#context(deadline);
    const writer = new RecordsWriter(context.slices);
    const results: Reply<'points-query'>['results'] = [];
    let at = 0;
    for (const request of searches) {
      let vector: Float32Array | undefined;
      if (request.target.kind === 'vector') {
        vector = vectors.subarray(at, at + dimension);
        at += dimension;
      }
      const { rows, scores } = await findPoints(request, vector, context);
      results.push({ scores, records: await writer.write(rows, request) });
      if (context.slices.due) await context.slices.rest();
    }
    return { body: { results, ...workOf(context.slices) }, vectors: writer.vectors() };
  }

  async retrieve(
    request: Request<'points-retrieve'>,
    deadline: Deadline,
  ): Promise<WithVectors<Reply<'points-retrieve'>>> {
    const { slices } = this.#context(deadline);
    const columns = columnsOf(request);
    const rows = await readAll(request.ids, (ids) => this.#reader().byIds(ids, columns), slices);
    const writer = new RecordsWriter(slices);
    const present = rows.filter((row) => row !== undefined);
    return { body: await writer.write(present, request), vectors: writer.vectors() };
  }

  async scroll(
    request: ScrollRequest,
    deadline: Deadline,
  ): Promise<WithVectors<Reply<'points-scroll'>>> {
    const context = this.#context(deadline);
    const { rows, next } = await scroll(request, context);
    const writer = new RecordsWriter(context.slices);
    const records = await writer.write(rows, request);
    return { body: { records, next, ...workOf(context.slices) }, vectors: writer.vectors() };
  }

  /** How many points match; with `exact` false perhaps an estimate. */
  async count(
    filter: Filter | undefined,
    exact: boolean,
    deadline: Deadline,
  ): Promise<Reply<'points-count'>> {
    if (filter === undefined) return { count: this.#state.index.count };
    if (exact) {
      const { labels, examined } = await this.matching(filter, deadline);
      return { count: labels.length, ...workOf({ examined }) };
    }
    const { candidates, residual, estimate } = plan(filter, this.#state, this.#reader);
    const count = residual ? Math.round(estimate.expected) : candidates.count();
    return { count };
  }

  /** The labels that match, exactly, and how many rows were read to know. */
  async matching(
    filter: Filter,
    deadline: Deadline,
  ): Promise<{ labels: Uint32Array; examined: number }> {
    const { slices } = this.#context(deadline);
    const found = await evaluate(filter, this.#state, this.#reader, slices);
    return { labels: found.toLabels(), examined: slices.examined };
  }

  status(): Omit<Reply<'shard-status'>, 'diskBytes'> {
    const { index, payloads, appliedVersion } = this.#state;
    const payloadIndexPoints: Record<string, number> = {};
    for (const field of Object.keys(payloads.fields)) {
      payloadIndexPoints[field] = payloads.pointsWith(field);
    }
    return {
      points: index.count,
      indexed: index.linked,
      version: appliedVersion,
      state: index.linkPending ? 'linking' : 'ready',
      payloadIndexPoints,
      memoryBytes: index.memoryBytes + payloads.memoryBytes + this.#recent.bytes,
    };
  }

  #context(deadline: Deadline): SearchContext {
    const slices = new Slices(this.#clock, deadline);
    return { state: this.#state, reader: this.#reader, recent: this.#recent, slices };
  }
}

/** Nothing is told of what took nothing: most answers stay as short as they are. */
function workOf({ examined }: Pick<Slices, 'examined'>): { examined?: number } {
  return examined === 0 ? {} : { examined };
}

async function findPoints(
  request: Search,
  vector: Float32Array | undefined,
  context: SearchContext,
): Promise<FoundPoints> {
  if (request.target.kind !== 'none') return search(request, vector, context);
  const { filter, payload, withVector, offset } = request;
  const view: View = { payload, withVector };
  const limit = offset + request.limit;
  const listed = await scroll({ ...view, ...(filter && { filter }), limit }, context);
  const rows = listed.rows.slice(offset);
  return { rows, scores: rows.map(() => 0) };
}
