/** Requests about one collection that must succeed, with ids exact both ways. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../../shared/domain/collection.ts';
import { parseJsonBytes, stringifyJson } from '../../shared/domain/json.ts';
import type { JsonValue } from '../../shared/domain/point.ts';
import type { Clause, Distance, Id, Payload } from './model.ts';

const GREEN_TRIES = 1_000;
const GREEN_PAUSE_MS = 20;

export interface Endpoint {
  url: string;
  key: string;
}

/** A point of a reply. */
export interface Hit {
  id: Id;
  score: number;
  payload?: Payload | null;
  vector?: number[] | null;
}

export interface Page {
  points: Hit[];
  next_page_offset?: Id | null;
}

export class CollectionClient {
  readonly #endpoint: Endpoint;
  readonly #name: string;

  constructor(endpoint: Endpoint, name: string) {
    this.#endpoint = endpoint;
    this.#name = name;
  }

  /** With `links` the graph is that coarse, so that it can be told from a scan by what it misses. */
  async create(shape: {
    size: number;
    distance: Distance;
    engine: Engine;
    links?: number;
    shards?: number;
    replicas?: number;
  }): Promise<void> {
    const { engine, links, shards = 1, replicas = 1, ...vectors } = shape;
    const coarse = links === undefined ? {} : { m: links, ef_construct: 4 * links };
    const hnsw_config = { engine, ...coarse };
    const spread = { shard_number: shards, replication_factor: replicas };
    await this.call('PUT', '', { vectors, hnsw_config, ...spread });
  }

  async info(): Promise<{ status: string; points_count: number; indexed_vectors_count: number }> {
    return (await this.call('GET', '')) as Awaited<ReturnType<CollectionClient['info']>>;
  }

  /** Waits until every point is linked. */
  async becomeGreen(): Promise<void> {
    for (let tries = 0; tries < GREEN_TRIES; tries += 1) {
      const { status, points_count, indexed_vectors_count } = await this.info();
      assert.ok(indexed_vectors_count <= points_count);
      if (status === 'green') {
        assert.equal(indexed_vectors_count, points_count);
        return;
      }
      await sleep(GREEN_PAUSE_MS);
    }
    assert.fail(`${this.#name} does not become green`);
  }

  async search(body: Clause): Promise<Hit[]> {
    return ((await this.call('POST', '/points/query', body)) as { points: Hit[] }).points;
  }

  async scroll(body: Clause): Promise<Page> {
    return (await this.call('POST', '/points/scroll', body)) as Page;
  }

  async retrieve(body: Clause): Promise<Hit[]> {
    return (await this.call('POST', '/points', body)) as Hit[];
  }

  async count(filter: Clause): Promise<number> {
    const body = { filter, exact: true };
    return ((await this.call('POST', '/points/count', body)) as { count: number }).count;
  }

  /** `result` of the reply. */
  async call(method: string, path: string, body?: Clause): Promise<unknown> {
    const { status, reply } = await this.send(method, path, body);
    assert.equal(status, 200, `${method} ${path}: ${reply}`);
    return (parseJsonBytes(reply) as { result: unknown }).result;
  }

  protected async send(
    method: string,
    path: string,
    body?: Clause,
  ): Promise<{ status: number; reply: Buffer }> {
    const response = await fetch(`${this.#endpoint.url}/collections/${this.#name}${path}`, {
      method,
      headers: { 'api-key': this.#endpoint.key, 'content-type': 'application/json' },
      ...(body && { body: stringifyJson(body as JsonValue) }),
    });
    return { status: response.status, reply: Buffer.from(await response.arrayBuffer()) };
  }
}
