/**
 * Runs random operations against the service and the model side by side. After each operation both
 * hold the same points; every read is compared.
 */
import assert from 'node:assert/strict';
import { parseJsonBytes, stringifyJson } from '../../shared/domain/json.ts';
import type { JsonValue } from '../../shared/domain/point.ts';
import { DIMENSION, type Generator } from './generate.ts';
import { type Clause, holdsFilter, type Id, type Json, type Model, type Payload } from './model.ts';

export interface Endpoint {
  url: string;
  key: string;
}

const INDEXES: [string, string][] = [
  ['kind', 'keyword'],
  ['n', 'integer'],
  ['weight', 'float'],
  ['flag', 'bool'],
  ['tags', 'keyword'],
  ['deep.kind', 'keyword'],
];
const SCORE_TOLERANCE = 2e-5;

interface Hit {
  id: Id;
  score: number;
  payload?: Payload;
}

export class ModelSession {
  readonly model: Model;
  readonly collection: string;
  readonly #endpoint: Endpoint;
  readonly #generate: Generator;
  readonly #indexed = new Set<string>();
  /** Hits of approximate queries: how many there should have been, and how many were found. */
  wanted = 0;
  found = 0;

  constructor(endpoint: Endpoint, model: Model, collection: string, generate: Generator) {
    this.#endpoint = endpoint;
    this.model = model;
    this.collection = collection;
    this.#generate = generate;
  }

  async create(): Promise<void> {
    const vectors = { size: DIMENSION, distance: this.model.distance };
    await this.#call('PUT', '', { vectors });
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
    const rows: { id: Id; payload: Payload | null; vector: number[] }[] = [];
    let offset: Json = null;
    do {
      const page = (await this.#call('POST', '/points/scroll', {
        limit: 97,
        with_payload: true,
        with_vector: true,
        ...(offset === null ? {} : { offset }),
      })) as { points: typeof rows; next_page_offset: Json };
      rows.push(...page.points);
      offset = page.next_page_offset ?? null;
    } while (offset !== null);
    assert.deepEqual(new Set(rows.map((row) => row.id)), new Set(this.model.points.keys()));
    assert.equal(rows.length, this.model.points.size, 'no point is there twice');
    for (const row of rows) {
      const point = this.model.points.get(row.id);
      assert.ok(point);
      assert.deepEqual(row.payload ?? {}, point.payload);
      const length = this.model.distance === 'Cosine' ? Math.hypot(...point.vector) : 1;
      row.vector.forEach((x, i) => {
        assert.ok(Math.abs(x - (point.vector[i] ?? 0) / length) < SCORE_TOLERANCE);
      });
    }
  }

  async #upsert(): Promise<void> {
    const points = this.#generate.points(20);
    await this.#call('PUT', '/points?wait=true', { points: points as unknown as Json });
    this.model.upsert(points);
  }

  async #delete(): Promise<void> {
    const points = this.#generate.ids(6);
    await this.#call('POST', '/points/delete?wait=true', { points });
    for (const id of points) this.model.points.delete(id);
  }

  async #deleteByFilter(): Promise<void> {
    const filter = { must: [this.#generate.filter(), { has_id: this.#generate.ids(60) }] };
    const gone = this.model.matching(filter);
    await this.#call('POST', '/points/delete?wait=true', { filter });
    for (const point of gone) this.model.points.delete(point.id);
  }

  async #changePayload(): Promise<void> {
    const { random } = this.#generate;
    const filter = { must: [this.#generate.filter(), { has_id: this.#generate.ids(40) }] };
    const some = [...this.model.points.keys()].slice(0, 5);
    const byIds = random.next() < 0.5 && some.length > 0;
    const selector: Clause = byIds ? { points: some } : { filter };
    const targets = byIds ? some : this.model.matching(filter).map((point) => point.id);
    const payload = this.#generate.payload();
    const change = random.pick(['set', 'overwrite', 'delete', 'clear'] as const);
    const keys = ['kind', 'deep.kind', 'tags'];
    const calls: Record<typeof change, [string, string, Clause]> = {
      set: ['POST', '/points/payload', { ...selector, payload }],
      overwrite: ['PUT', '/points/payload', { ...selector, payload }],
      delete: ['POST', '/points/payload/delete', { ...selector, keys }],
      clear: ['POST', '/points/payload/clear', selector],
    };
    const [method, path, body] = calls[change];
    await this.#call(method, `${path}?wait=true`, body);
    for (const id of targets) {
      const point = this.model.points.get(id);
      assert.ok(point);
      point.payload = changed(point.payload, change, payload);
    }
  }

  async #updateVectors(): Promise<void> {
    const known = [...this.model.points.values()];
    if (known.length === 0) return;
    const point = this.#generate.random.pick(known);
    const vector = this.#generate.vector();
    await this.#call('PUT', '/points/vectors?wait=true', { points: [{ id: point.id, vector }] });
    point.vector = vector;
  }

  async #query(): Promise<void> {
    const { random } = this.#generate;
    const query = this.#generate.vector();
    const filter = random.next() < 0.6 ? this.#generate.filter() : undefined;
    const exact = random.next() < 0.5;
    const limit = 1 + random.below(20);
    const { points } = (await this.#call('POST', '/points/query', {
      query,
      limit,
      with_payload: true,
      params: { exact },
      ...(filter && { filter }),
    })) as { points: Hit[] };
    this.#checkHits(points, query, filter);
    const expected = this.model.nearest(query, limit, filter);
    if (exact) assert.equal(points.length, expected.length);
    expected.forEach((score, i) => {
      const hit = points[i];
      const near = hit !== undefined && Math.abs(hit.score - score) < SCORE_TOLERANCE;
      if (exact) assert.ok(near, `rank ${i}: ${hit?.score} instead of ${score}`);
      this.wanted += 1;
      if (near) this.found += 1;
    });
  }

  /** Whatever was missed, what came must be real, match, and carry its own score. */
  #checkHits(hits: Hit[], query: number[], filter: Clause | undefined): void {
    assert.equal(new Set(hits.map((hit) => hit.id)).size, hits.length, 'no hit comes twice');
    for (const hit of hits) {
      const point = this.model.points.get(hit.id);
      assert.ok(point, `${hit.id} was deleted`);
      assert.ok(Math.abs(hit.score - this.model.score(query, point.vector)) < SCORE_TOLERANCE);
      assert.deepEqual(hit.payload ?? {}, point.payload);
      if (filter !== undefined) assert.ok(holdsFilter(filter, point), `${hit.id} does not match`);
    }
  }

  async #scroll(): Promise<void> {
    const filter = this.#generate.filter();
    const { points } = (await this.#call('POST', '/points/scroll', { filter, limit: 500 })) as {
      points: Hit[];
    };
    const expected = this.model.matching(filter).map((point) => point.id);
    assert.deepEqual(new Set(points.map((point) => point.id)), new Set(expected));
    assert.equal(points.length, expected.length);
  }

  async #count(): Promise<void> {
    const filter = this.#generate.filter();
    const { count } = (await this.#call('POST', '/points/count', { filter, exact: true })) as {
      count: number;
    };
    assert.equal(count, this.model.matching(filter).length);
  }

  async #retrieve(): Promise<void> {
    const ids = this.#generate.ids(10);
    const rows = (await this.#call('POST', '/points', { ids, with_payload: true })) as Hit[];
    const expected = ids.filter((id) => this.model.points.has(id));
    assert.deepEqual(new Set(rows.map((row) => row.id)), new Set(expected));
    for (const row of rows) {
      assert.deepEqual(row.payload ?? {}, this.model.points.get(row.id)?.payload);
    }
  }

  async #toggleIndex(): Promise<void> {
    const [field, type] = this.#generate.random.pick(INDEXES);
    if (this.#indexed.delete(field)) await this.#call('DELETE', `/index/${field}`);
    else {
      this.#indexed.add(field);
      await this.#call('PUT', '/index?wait=true', { field_name: field, field_schema: type });
    }
  }

  /** `result` of a call that must succeed. */
  async #call(method: string, path: string, body?: Clause): Promise<unknown> {
    const response = await fetch(`${this.#endpoint.url}/collections/${this.collection}${path}`, {
      method,
      headers: { 'api-key': this.#endpoint.key, 'content-type': 'application/json' },
      ...(body && { body: stringifyJson(body as JsonValue) }),
    });
    const reply = Buffer.from(await response.arrayBuffer());
    assert.equal(response.status, 200, `${method} ${path}: ${reply}`);
    return (parseJsonBytes(reply) as { result: unknown }).result;
  }
}

function changed(
  before: Payload,
  change: 'set' | 'overwrite' | 'delete' | 'clear',
  payload: Payload,
): Payload {
  if (change === 'clear') return {};
  if (change === 'overwrite') return structuredClone(payload);
  if (change === 'set') return merged(before, structuredClone(payload));
  const { kind: _kind, tags: _tags, ...rest } = structuredClone(before);
  const { deep } = rest;
  if (deep !== undefined && deep !== null) delete (deep as Payload).kind;
  return rest;
}

/** Setting a key to null removes it. */
function merged(before: Payload, payload: Payload): Payload {
  const after = { ...before };
  for (const [key, value] of Object.entries(payload)) {
    if (value === null) delete after[key];
    else after[key] = value;
  }
  return after;
}
