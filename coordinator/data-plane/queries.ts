/**
 * Reads. Each is one frame to the shard's worker and one back, or one to each shard's
 * (`collection-reads.ts`); the reply is written as JSON straight from it, payload bytes as they are,
 * in slices when it is large.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { Slices } from '../../shared/base/slices.ts';
import type { VectorConfig } from '../../shared/domain/collection.ts';
import type { Filter } from '../../shared/domain/filter.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { parsePointId, parsePointIdText } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Search } from '../../shared/protocol/messages/points-query.ts';
import type { Request } from '../../shared/protocol/messages.ts';
import type { Records } from '../../shared/protocol/schema.ts';
import { type Principal, requirePermission } from '../auth/principal.ts';
import type { Payer, Tally } from '../limits/tally.ts';
import type { CollectionRecord } from '../store/collections.ts';
import type { Owner } from './catalog.ts';
import type { CollectionReads } from './collection-reads.ts';
import { readCost, searchCost, sumOf, unitsOf, type Work } from './cost.ts';
import {
  type RecordList,
  type ScoredList,
  type Written,
  writeRecord,
  writeRecords,
  writeScoredPoints,
} from './encode-records.ts';
import type { FilterCosts } from './filter-costs.ts';
import type { JsonWriter } from './json-writer.ts';
import { hitsOf } from './merge-replies.ts';
import { pickDiverse } from './mmr.ts';
import {
  type OldSearchInput,
  type ParsedSearch,
  parseOldSearch,
  parseQuery,
  type QueryInput,
} from './parse-query.ts';
import {
  parseIds,
  parseOptionalFilter,
  parsePayloadSelector,
  parseWithVector,
} from './parse-selectors.ts';
import type { Pausing } from './pausing/pausing.ts';
import { settled } from './settle-work.ts';

export interface QueriesDeps {
  pausing: Pick<Pausing, 'use'>;
  reads: CollectionReads;
  work: Work;
  filterCosts: FilterCosts;
  /** Points of a collection, as far as is known. */
  pointsOf: (record: CollectionRecord) => number | undefined;
  clock: Clock;
}

/** Which collection, until when, and where the result is written. */
export interface ReadCall {
  owner: Owner & Payer & Pick<Principal, 'role'>;
  collection: string;
  deadline: Deadline;
  out: JsonWriter;
}

interface ViewInput {
  with_payload?: unknown;
  with_vector?: unknown;
}

export interface ScrollInput extends ViewInput {
  filter?: unknown;
  offset?: unknown;
  limit?: number | null;
  order_by?: unknown;
}

const SCROLL_LIMIT_DEFAULT = 10;

export class Queries {
  readonly #deps: QueriesDeps;

  constructor(deps: QueriesDeps) {
    this.#deps = deps;
  }

  /** Writes `{"points": [...]}`. */
  async query(call: ReadCall, input: QueryInput): Promise<void> {
    const record = this.#deps.pausing.use(call.owner, call.collection);
    const parsed = parseQuery(input, record.config.vector);
    checkListing(call, [parsed]);
    const [found] = await this.#search(call, record, [parsed]);
    return found && writePoints(call.out, found, this.#slices());
  }

  /** Writes `[{"points": [...]}, ...]`. */
  async queryBatch(call: ReadCall, inputs: QueryInput[]): Promise<void> {
    const record = this.#deps.pausing.use(call.owner, call.collection);
    const parsed = parseEach(inputs, record.config.vector, parseQuery);
    checkListing(call, parsed);
    const results = await this.#search(call, record, parsed);
    await writeEach(call.out, results, this.#slices(), writePoints);
  }

  /** Writes `[point, ...]`, as the older search does. */
  async oldSearch(call: ReadCall, input: OldSearchInput): Promise<void> {
    const record = this.#deps.pausing.use(call.owner, call.collection);
    const parsed = parseOldSearch(input, record.config.vector);
    const [found] = await this.#search(call, record, [parsed]);
    return found && writeScoredPoints(call.out, found, this.#slices());
  }

  /** Writes `[[point, ...], ...]`. */
  async oldSearchBatch(call: ReadCall, inputs: OldSearchInput[]): Promise<void> {
    const record = this.#deps.pausing.use(call.owner, call.collection);
    const parsed = parseEach(inputs, record.config.vector, parseOldSearch);
    const results = await this.#search(call, record, parsed);
    await writeEach(call.out, results, this.#slices(), writeScoredPoints);
  }

  /** Writes `[point, ...]`; points that are not there are left out. */
  async retrieve(call: ReadCall, input: ViewInput & { ids: unknown }): Promise<void> {
    const list = await this.#retrieve(call, {
      ids: parseIds(input.ids, 'ids'),
      payload: parsePayloadSelector(input.with_payload, true),
      withVector: parseWithVector(input.with_vector),
    });
    await writeRecords(call.out, list, this.#slices());
  }

  /** Writes the point with payload and vector. Throws `point_not_found`. */
  async point(call: ReadCall, idText: string): Promise<void> {
    const id = parsePointIdText(idText, 'id');
    const payload = { kind: 'all' } as const;
    const list = await this.#retrieve(call, { ids: [id], payload, withVector: true });
    if (list.records.ids.length === 0) {
      throw new AppError('point_not_found', `Not found: the point with id ${id} does not exist`);
    }
    writeRecord(call.out, list, 0);
  }

  /** Writes `{"points": [...], "next_page_offset": id | null}`. */
  async scroll(call: ReadCall, input: ScrollInput): Promise<void> {
    const record = this.#deps.pausing.use(call.owner, call.collection);
    const body = parseScroll(input);
    const { deadline } = call;
    const costs = [readCost(body.limit, body.filter)];
    const filters = body.filter === undefined ? [] : [body.filter];
    const ask = () => this.#deps.reads.scroll(record, body, deadline);
    const reply = await this.#ask({ payer: call.owner, record, costs, filters }, ask);
    const { records, next } = reply.body;
    call.owner.tally.queries += 1;
    noteRead(call.owner.tally, records, reply.vectors);
    call.out.ascii('{"points":');
    await writeRecords(call.out, { records, vectors: reply.vectors }, this.#slices());
    call.out.ascii(',"next_page_offset":');
    if (next === null) call.out.ascii('null');
    else call.out.pointId(next);
    call.out.ascii('}');
  }

  /** Writes `{"count": n}`. */
  async count(call: ReadCall, input: { filter?: unknown; exact?: boolean | null }): Promise<void> {
    const record = this.#deps.pausing.use(call.owner, call.collection);
    const filter = parseOptionalFilter(input.filter);
    const exact = input.exact ?? true;
    const body = filter === undefined ? { exact } : { exact, filter };
    const { deadline } = call;
    const costs = [readCost(0, filter)];
    const filters = filter === undefined ? [] : [filter];
    const ask = () => this.#deps.reads.count(record, body, deadline);
    const reply = await this.#ask({ payer: call.owner, record, costs, filters }, ask);
    call.owner.tally.queries += 1;
    call.out.ascii(`{"count":${reply.body.count}}`);
  }

  async #retrieve(call: ReadCall, body: Request<'points-retrieve'>): Promise<RecordList> {
    const record = this.#deps.pausing.use(call.owner, call.collection);
    const { reads, work } = this.#deps;
    const { tally } = call.owner;
    work.spend(call.owner, unitsOf([readCost(body.ids.length, undefined)]));
    const { body: records, vectors } = await reads.retrieve(record, body, call.deadline);
    tally.queries += 1;
    noteRead(tally, records, vectors);
    return { records, vectors };
  }

  async #search(
    call: ReadCall,
    record: CollectionRecord,
    parsed: ParsedSearch[],
  ): Promise<ScoredList[]> {
    if (parsed.length === 0) return [];
    const { vector } = record.config;
    const { dimension } = vector;
    checkDiversity(parsed, vector);
    const body = { searches: parsed.map(searchOf) };
    const vectors = joinVectors(parsed, dimension);
    const filters = parsed.flatMap(({ search }) => search.filter ?? []);
    const costs = this.#costsOf(record, parsed);
    const ask = () => this.#deps.reads.query(record, body, vectors, call.deadline);
    const found = hitsOf(
      await this.#ask({ payer: call.owner, record, costs, filters }, ask),
      dimension,
    );
    const slices = this.#slices();
    for (let i = 0; i < found.length; i += 1) {
      const search = parsed[i];
      if (search?.mmr === undefined) continue;
      found[i] = await diversify(found[i] as ScoredList, search, vector, slices);
    }
    const { tally } = call.owner;
    tally.queries += parsed.length;
    for (const { list } of found) noteRead(tally, list.records, list.vectors);
    return found;
  }

  #costsOf(record: CollectionRecord, parsed: readonly ParsedSearch[]): number[] {
    const { dimension } = record.config.vector;
    const isExact = parsed.some(({ search }) => search.exact);
    const points = isExact ? this.#deps.pointsOf(record) : undefined;
    const components = points === undefined ? undefined : points * dimension;
    return parsed.map((search) => searchCost(search, components));
  }

  /** Takes what it costs, asks, and settles what filters had to look at. */
  async #ask<Answer extends { body: { examined?: number } }>(
    { payer, record, costs, filters }: Price,
    ask: () => Promise<Answer>,
  ): Promise<Answer> {
    const { work, filterCosts } = this.#deps;
    if (filters.length === 0) {
      work.spend(payer, unitsOf(costs));
      return ask();
    }
    const expected = filters.map((filter) => filterCosts.expected(record, filter));
    work.spend(payer, unitsOf([...costs, ...expected]));
    const settling = { payer, record, expected: sumOf(expected), filters: filters.length };
    return settled(this.#deps, settling, ask, ({ body }) => {
      return { examined: body.examined ?? 0, changed: 0 };
    });
  }

  #slices(): Slices {
    return new Slices(this.#deps.clock);
  }
}

function noteRead(tally: Tally, { payloads }: Records, vectors: Float32Array): void {
  tally.vectorRead += vectors.byteLength;
  for (const payload of payloads ?? []) tally.payloadRead += payload?.length ?? 0;
}

/** What a request costs. */
interface Price {
  payer: Payer;
  record: CollectionRecord;
  /** Of all that it asks, but for what filters have to look at. */
  costs: readonly number[];
  filters: readonly Filter[];
}

/** A query for nothing lists points, page after page, as a scroll does. */
function checkListing({ owner }: ReadCall, parsed: readonly ParsedSearch[]): void {
  const lists = parsed.some(({ search }) => search.target.kind === 'none');
  if (lists) requirePermission(owner, 'points:read');
}

function parseEach<T>(
  inputs: T[],
  config: VectorConfig,
  parse: (input: T, config: VectorConfig, path: string) => ParsedSearch,
): ParsedSearch[] {
  return inputs.map((input, i) => parse(input, config, `searches[${i}]`));
}

type WriteList = (out: JsonWriter, list: ScoredList, slices: Slices) => Written;

async function writeEach(
  out: JsonWriter,
  results: ScoredList[],
  slices: Slices,
  write: WriteList,
): Promise<void> {
  out.ascii('[');
  for (const [i, found] of results.entries()) {
    if (i > 0) out.ascii(',');
    await write(out, found, slices);
  }
  out.ascii(']');
}

function writePoints(out: JsonWriter, found: ScoredList, slices: Slices): Written {
  out.ascii('{"points":');
  const written = writeScoredPoints(out, found, slices);
  if (written !== undefined) return written.then(() => out.ascii('}'));
  out.ascii('}');
}

function parseScroll(input: ScrollInput): Request<'points-scroll'> {
  const limit = input.limit ?? SCROLL_LIMIT_DEFAULT;
  if (limit > LIMITS.scrollLimitMax) {
    throw new InvalidInput('limit', `must be at most ${LIMITS.scrollLimitMax}`);
  }
  if ((input.order_by ?? null) !== null) {
    throw new InvalidInput('order_by', 'points are in the order of their ids: leave it out');
  }
  const body: Request<'points-scroll'> = {
    limit,
    payload: parsePayloadSelector(input.with_payload, true),
    withVector: parseWithVector(input.with_vector),
  };
  const filter = parseOptionalFilter(input.filter);
  if (filter !== undefined) body.filter = filter;
  if ((input.offset ?? null) !== null) body.offset = parsePointId(input.offset, 'offset');
  return body;
}

/** What the worker is asked: with diversity, all candidates with their vectors. */
function searchOf({ search, mmr }: ParsedSearch): Search {
  if (mmr === undefined) return search;
  return { ...search, limit: mmr.candidates, offset: 0, withVector: true };
}

/** Throws `InvalidInput` when all candidates of the request have too many components together. */
function checkDiversity(parsed: ParsedSearch[], { dimension }: VectorConfig): void {
  const candidates = parsed.reduce((sum, { mmr }) => sum + (mmr?.candidates ?? 0), 0);
  const most = Math.floor(LIMITS.mmrComponentsMax / dimension);
  if (candidates <= most) return;
  const problem = `the searches with "mmr" have at most ${most} candidates together at this dimension`;
  throw new InvalidInput('', problem);
}

function joinVectors(parsed: ParsedSearch[], dimension: number): Float32Array | undefined {
  if (parsed.length === 1) return parsed[0]?.vector;
  const vectors = parsed.flatMap(({ vector }) => (vector === undefined ? [] : [vector]));
  const joined = new Float32Array(vectors.length * dimension);
  vectors.forEach((vector, i) => {
    joined.set(vector, i * dimension);
  });
  return joined;
}

async function diversify(
  { list, scores }: ScoredList,
  { search, mmr }: ParsedSearch,
  of: VectorConfig,
  slices: Slices,
): Promise<ScoredList> {
  const candidates = { scores, vectors: list.vectors, ...of };
  const wanted = { limit: search.limit + search.offset, diversity: mmr?.diversity ?? 0 };
  const order = (await pickDiverse(candidates, wanted, slices)).slice(search.offset);
  const { ids, versions, payloads } = list.records;
  const pick = <T>(items: readonly T[]): T[] => order.map((index) => items[index] as T);
  const records = { ids: pick(ids), versions: pick(versions), vectors: search.withVector };
  const { dimension } = of;
  const vectors = new Float32Array(search.withVector ? order.length * dimension : 0);
  if (search.withVector) {
    order.forEach((index, i) => {
      const vector = list.vectors.subarray(index * dimension, (index + 1) * dimension);
      vectors.set(vector, i * dimension);
    });
  }
  return {
    list: {
      records: payloads === undefined ? records : { ...records, payloads: pick(payloads) },
      vectors,
    },
    scores: pick(scores),
  };
}
