/**
 * A writer that alone writes a range of ids, so that between two operations of its own it knows
 * exactly what is there. Its operations are small, or so large that they take many turns of the
 * worker's event loop.
 */
import assert from 'node:assert/strict';
import type { CollectionClient } from './collection-client.ts';
import type { Generator } from './generate.ts';
import {
  type Clause,
  changedPayload,
  holdsFilter,
  type Id,
  type Json,
  type ModelPoint,
  type PayloadChange,
} from './model.ts';
import type { Timeline, Version } from './timeline.ts';

const LARGE_POINTS = 2_000;
const SMALL_POINTS = 20;
const FILTERED_POINTS = 60;

export class RangeWriter {
  readonly #client: CollectionClient;
  readonly #timeline: Timeline;
  readonly #generate: Generator;
  /** Holds for exactly the points of this writer. */
  readonly #own: Clause;
  readonly #owner: number;
  readonly #points = new Map<Id, ModelPoint>();

  constructor(
    parts: { client: CollectionClient; timeline: Timeline; generate: Generator },
    owner: number,
  ) {
    this.#client = parts.client;
    this.#timeline = parts.timeline;
    this.#generate = parts.generate;
    this.#owner = owner;
    this.#own = { key: 'owner', match: { value: owner } };
  }

  get size(): number {
    return this.#points.size;
  }

  /** One random operation on a few points; its name. */
  async smallStep(): Promise<string> {
    const few = { has_id: this.#generate.ids(FILTERED_POINTS) };
    return this.#step([
      ['upsert', () => this.#upsert(this.#generate.points(SMALL_POINTS))],
      ['upsert', () => this.#upsert(this.#generate.points(SMALL_POINTS))],
      ['delete', () => this.#delete()],
      ['delete by filter', () => this.#deleteByFilter([few, this.#generate.filter()])],
      ['payloads', () => this.#changePayloads([few])],
      ['vectors', () => this.#updateVectors()],
    ]);
  }

  /** One random operation on up to all points; its name. */
  async largeStep(): Promise<string> {
    const filter = this.#generate.filter();
    return this.#step([
      ['large upsert', () => this.largeUpsert()],
      ['large upsert', () => this.largeUpsert()],
      ['delete of all', () => this.#deleteByFilter([])],
      ['large delete', () => this.#deleteByFilter([filter])],
      ['large payloads', () => this.#changePayloads([filter])],
    ]);
  }

  /** The operation, and then now and then a look at what is there. */
  async #step(operations: [string, () => Promise<void>][]): Promise<string> {
    const { random } = this.#generate;
    const [name, run] = random.pick(operations);
    await run();
    if (random.next() < 0.5) await this.check();
    return name;
  }

  largeUpsert(count = LARGE_POINTS): Promise<void> {
    return this.#upsert(this.#generate.firstPoints(count));
  }

  /** Everything acknowledged is there, and nothing else, whatever others do meanwhile. */
  async check(): Promise<void> {
    const filter = { must: [this.#own, this.#generate.filter()] };
    const expected = [...this.#points.values()].filter((point) => holdsFilter(filter, point));
    assert.equal(await this.#client.count(filter), expected.length);
    const body = { filter, limit: LARGE_POINTS * 2, with_payload: false };
    const { points } = await this.#client.scroll(body);
    assert.deepEqual(new Set(points.map(({ id }) => id)), new Set(expected.map(({ id }) => id)));
    assert.equal(points.length, expected.length);
  }

  async #upsert(points: ModelPoint[]): Promise<void> {
    const owned = points.map((point) => {
      return { ...point, payload: { ...point.payload, owner: this.#owner } };
    });
    const body = { points: owned as unknown as Json };
    await this.#write('PUT', '/points', body, new Map(owned.map((point) => [point.id, point])));
  }

  async #delete(): Promise<void> {
    const points = this.#generate.ids(SMALL_POINTS);
    await this.#write('POST', '/points/delete', { points }, goneAll(points));
  }

  async #deleteByFilter(more: Clause[]): Promise<void> {
    const filter = { must: [this.#own, ...more] };
    const gone = this.#matching(filter).map(({ id }) => id);
    await this.#write('POST', '/points/delete', { filter }, goneAll(gone));
  }

  async #changePayloads(more: Clause[]): Promise<void> {
    const { random } = this.#generate;
    const filter = { must: [this.#own, ...more] };
    const payload = { ...this.#generate.payload(), owner: this.#owner };
    const change = random.pick<PayloadChange>(['set', 'overwrite']);
    const changes = this.#matching(filter).map((point): [Id, ModelPoint] => {
      return [point.id, { ...point, payload: changedPayload(point.payload, change, payload) }];
    });
    const method = change === 'set' ? 'POST' : 'PUT';
    await this.#write(method, '/points/payload', { filter, payload }, new Map(changes));
  }

  async #updateVectors(): Promise<void> {
    const known = this.#generate.ids(SMALL_POINTS).flatMap((id) => this.#points.get(id) ?? []);
    if (known.length === 0) return;
    const moved = known.map((point) => ({ ...point, vector: this.#generate.vector() }));
    const points = moved.map(({ id, vector }) => ({ id, vector }));
    const changes = new Map(moved.map((point) => [point.id, point]));
    await this.#write('PUT', '/points/vectors', { points }, changes);
  }

  #matching(filter: Clause): ModelPoint[] {
    return [...this.#points.values()].filter((point) => holdsFilter(filter, point));
  }

  async #write(
    method: string,
    path: string,
    body: Clause,
    changes: Map<Id, Version>,
  ): Promise<void> {
    const acknowledged = this.#timeline.send(changes);
    await this.#client.call(method, `${path}?wait=true`, body);
    acknowledged();
    for (const [id, point] of changes) {
      if (point === undefined) this.#points.delete(id);
      else this.#points.set(id, point);
    }
  }
}

function goneAll(ids: Id[]): Map<Id, Version> {
  return new Map(ids.map((id) => [id, undefined]));
}
