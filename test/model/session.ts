/**
 * Runs random operations against the service and the model side by side. After each operation both
 * hold the same points; every read is compared.
 */
import assert from 'node:assert/strict';
import type { Engine } from '../../shared/domain/collection.ts';
import { stringifyJson } from '../../shared/domain/json.ts';
import type { JsonValue } from '../../shared/domain/point.ts';
import { CollectionClient, type Endpoint, type Hit } from './collection-client.ts';
import { DIMENSION, type Generator } from './generate.ts';
import {
  type Clause,
  changedPayload,
  compareIds,
  DELETED_KEYS,
  holdsFilter,
  type Id,
  isHigherNearer,
  type Json,
  type Model,
  type PayloadChange,
  scoreOf,
} from './model.ts';

export const INDEXES: readonly [field: string, type: string][] = [
  ['kind', 'keyword'],
  ['n', 'integer'],
  ['weight', 'float'],
  ['flag', 'bool'],
  ['tags', 'keyword'],
  ['deep.kind', 'keyword'],
  ['text', 'text'],
  ['at', 'datetime'],
  ['parts[].kind', 'keyword'],
];
export const SCORE_TOLERANCE = 2e-5;
const EF_MIN = 8;
const EF_MAX = 128;
const HASTY_EF = 4;
const PAGE_POINTS = 700;
const FILL_BATCH_POINTS = 500;

/** Hits of approximate searches: how many there should have been, and were. */
export interface Recall {
  wanted: number;
  found: number;
}

export class ModelSession {
  readonly model: Model;
  readonly shards: number;
  readonly recall: Recall = { wanted: 0, found: 0 };
  readonly client: CollectionClient;
  readonly #generate: Generator;
  readonly #indexed = new Set<string>();

  constructor(endpoint: Endpoint, model: Model, generate: Generator, shards = 1) {
    this.model = model;
    this.shards = shards;
    this.client = new CollectionClient(endpoint, `m-${model.distance}-${shards}`);
    this.#generate = generate;
  }

  /** Makes the collection, with the first `count` points. */
  async create(engine: Engine, count: number): Promise<void> {
    const { distance } = this.model;
    await this.client.create({ size: DIMENSION, distance, engine, shards: this.shards });
    const points = this.#generate.firstPoints(count);
    for (let from = 0; from < count; from += FILL_BATCH_POINTS) {
      const batch = points.slice(from, from + FILL_BATCH_POINTS) as unknown as Json;
      await this.client.call('PUT', '/points?wait=true', { points: batch });
    }
    this.model.upsert(points);
  }

  /** One random operation; its name. */
  async step(): Promise<string> {
    const operations: [number, string, () => Promise<void>][] = [
      [20, 'upsert', () => this.#upsert()],
      [6, 'delete', () => this.#delete()],
      [2, 'delete by filter', () => this.#deleteByFilter()],
      [6, 'payload', () => this.#changePayload()],
      [4, 'vectors', () => this.#updateVectors()],
      [24, 'query', () => this.#query()],
      [10, 'scroll', () => this.#scroll()],
      [8, 'count', () => this.#count()],
      [6, 'retrieve', () => this.#retrieve()],
      [1, 'index', () => this.#toggleIndex()],
    ];
    const total = operations.reduce((sum, [weight]) => sum + weight, 0);
    let draw = this.#generate.random.below(total);
    for (const [weight, name, run] of operations) {
      draw -= weight;
      if (draw >= 0) continue;
      await run();
      return name;
    }
    throw new Error('the weights do not add up');
  }

  /** Every point, compared. */
  async compareAll(): Promise<void> {
    const rows: Hit[] = [];
    let offset: Id | null = null;
    do {
      const from: Clause = offset === null ? {} : { offset };
      const page = await this.client.scroll({
        limit: PAGE_POINTS,
        with_payload: true,
        with_vector: true,
        ...from,
      });
      rows.push(...page.points);
      offset = page.next_page_offset ?? null;
    } while (offset !== null);
    assert.deepEqual(
      rows.map((row) => row.id),
      [...this.model.points.keys()].sort(compareIds),
    );
    for (const row of rows) {
      const point = this.model.points.get(row.id);
      assert.ok(point);
      assert.deepEqual(row.payload ?? {}, point.payload);
      const length = this.model.distance === 'Cosine' ? Math.hypot(...point.vector) : 1;
      const far = row.vector?.findIndex((x, i) => {
        return Math.abs(x - (point.vector[i] ?? 0) / length) > SCORE_TOLERANCE;
      });
      assert.equal(far, -1, `${row.id} has another vector`);
    }
  }

  async #upsert(): Promise<void> {
    const points = this.#generate.points(20);
    await this.client.call('PUT', '/points?wait=true', { points: points as unknown as Json });
    this.model.upsert(points);
  }

  async #delete(): Promise<void> {
    const points = this.#generate.ids(6);
    await this.client.call('POST', '/points/delete?wait=true', { points });
    for (const id of points) this.model.points.delete(id);
  }

  async #deleteByFilter(): Promise<void> {
    const filter = { must: [this.#generate.filter(), { has_id: this.#generate.ids(60) }] };
    const gone = this.model.matching(filter);
    await this.client.call('POST', '/points/delete?wait=true', { filter });
    for (const point of gone) this.model.points.delete(point.id);
  }

  async #changePayload(): Promise<void> {
    const { random } = this.#generate;
    const filter = { must: [this.#generate.filter(), { has_id: this.#generate.ids(40) }] };
    const some = this.#generate.ids(5).filter((id) => this.model.points.has(id));
    const byIds = random.next() < 0.5 && some.length > 0;
    const selector: Clause = byIds ? { points: some } : { filter };
    const targets = byIds ? some : this.model.matching(filter).map((point) => point.id);
    const payload = this.#generate.payload();
    const change = random.pick<PayloadChange>(['set', 'overwrite', 'delete', 'clear']);
    const calls: Record<PayloadChange, [string, string, Clause]> = {
      set: ['POST', '/points/payload', { ...selector, payload }],
      overwrite: ['PUT', '/points/payload', { ...selector, payload }],
      delete: ['POST', '/points/payload/delete', { ...selector, keys: DELETED_KEYS }],
      clear: ['POST', '/points/payload/clear', selector],
    };
    const [method, path, body] = calls[change];
    await this.client.call(method, `${path}?wait=true`, body);
    for (const id of targets) {
      const point = this.model.points.get(id);
      assert.ok(point);
      point.payload = changedPayload(point.payload, change, payload);
    }
  }

  async #updateVectors(): Promise<void> {
    const known = [...this.model.points.values()];
    if (known.length === 0) return;
    const point = this.#generate.random.pick(known);
    const vector = this.#generate.vector();
    const points = [{ id: point.id, vector }];
    await this.client.call('PUT', '/points/vectors?wait=true', { points });
    point.vector = vector;
  }

  async #query(): Promise<void> {
    const { random } = this.#generate;
    const query = this.#generate.vector();
    const filter = random.next() < 0.6 ? this.#generate.filter() : undefined;
    const exact = random.next() < 0.4;
    const ef = EF_MIN + random.below(EF_MAX - EF_MIN + 1);
    const limit = 1 + random.below(20);
    const hits = await this.client.search({
      query,
      limit,
      with_payload: true,
      params: exact ? { exact } : { hnsw_ef: ef },
      ...(filter && { filter }),
    });
    this.#checkHits(hits, query, filter);
    const expected = this.model.nearest(query, limit, filter);
    assert.equal(hits.length, expected.length, `hits of ${textOf(filter)}`);
    expected.forEach((score, i) => {
      const hit = hits[i];
      const near = hit !== undefined && Math.abs(hit.score - score) < SCORE_TOLERANCE;
      if (exact) assert.ok(near, `rank ${i}: ${hit?.score} instead of ${score}`);
    });
    if (!exact) this.#noteRecall(hits, expected, this.recall);
  }

  /** Searches of all points with so small an `ef` that a graph must miss something. */
  async searchHastily(times: number): Promise<Recall> {
    const recall = { wanted: 0, found: 0 };
    for (let i = 0; i < times; i += 1) {
      const query = this.#generate.vector();
      const body = { query, limit: HASTY_EF, with_payload: true, params: { hnsw_ef: HASTY_EF } };
      const hits = await this.client.search(body);
      this.#checkHits(hits, query, undefined);
      this.#noteRecall(hits, this.model.nearest(query, HASTY_EF), recall);
    }
    return recall;
  }

  /** A hit counts when it is as near as the last of the true neighbours. */
  #noteRecall(hits: Hit[], expected: number[], into: Recall): void {
    const last = expected.at(-1);
    if (last === undefined) return;
    const sign = isHigherNearer(this.model.distance) ? -1 : 1;
    const near = hits.filter((hit) => (hit.score - last) * sign < SCORE_TOLERANCE);
    into.wanted += expected.length;
    into.found += near.length;
  }

  /** Whatever was missed, what came must be real, match, and carry its own score. */
  #checkHits(hits: Hit[], query: number[], filter: Clause | undefined): void {
    assert.equal(new Set(hits.map((hit) => hit.id)).size, hits.length, 'no hit comes twice');
    for (const hit of hits) {
      const point = this.model.points.get(hit.id);
      assert.ok(point, `${hit.id} was deleted`);
      const score = scoreOf(this.model.distance, query, point.vector);
      assert.ok(Math.abs(hit.score - score) < SCORE_TOLERANCE);
      assert.deepEqual(hit.payload ?? {}, point.payload);
      if (filter !== undefined) assert.ok(holdsFilter(filter, point), `${hit.id} does not match`);
    }
  }

  async #scroll(): Promise<void> {
    const { random } = this.#generate;
    const filter = this.#generate.filter();
    const limit = 1 + random.below(400);
    const offset = random.next() < 0.3 ? this.#generate.id() : undefined;
    const page = await this.client.scroll({
      filter,
      limit,
      with_payload: false,
      ...(offset !== undefined && { offset }),
    });
    const expected = this.model
      .matching(filter)
      .map((point) => point.id)
      .filter((id) => offset === undefined || compareIds(id, offset) >= 0)
      .sort(compareIds);
    assert.deepEqual(
      page.points.map((point) => point.id),
      expected.slice(0, limit),
      textOf(filter),
    );
    assert.equal(page.next_page_offset ?? undefined, expected[limit]);
  }

  async #count(): Promise<void> {
    const filter = this.#generate.filter();
    const count = await this.client.count(filter);
    assert.equal(count, this.model.matching(filter).length, textOf(filter));
  }

  async #retrieve(): Promise<void> {
    const ids = this.#generate.ids(10);
    const rows = await this.client.retrieve({ ids, with_payload: true });
    const expected = ids.filter((id) => this.model.points.has(id));
    assert.deepEqual(new Set(rows.map((row) => row.id)), new Set(expected));
    for (const row of rows) {
      assert.deepEqual(row.payload ?? {}, this.model.points.get(row.id)?.payload);
    }
  }

  async #toggleIndex(): Promise<void> {
    const [field, type] = this.#generate.random.pick(INDEXES);
    if (this.#indexed.delete(field)) {
      await this.client.call('DELETE', `/index/${encodeURIComponent(field)}`);
    } else {
      this.#indexed.add(field);
      const body = { field_name: field, field_schema: type };
      await this.client.call('PUT', '/index?wait=true', body);
    }
  }
}

/** A filter for a message. */
export function textOf(filter: Clause | undefined): string {
  return filter === undefined ? 'no filter' : stringifyJson(filter as JsonValue).toString();
}
