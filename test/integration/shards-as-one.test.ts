/**
 * A collection with three shards on two workers answers byte for byte what one with a single shard
 * does that holds the same points. Most vectors are there many times, so most scores are shared and
 * every order depends on the ids. Searches are exact: what a graph misses depends on the graph.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import { parseJsonBytes, stringifyJson } from '../../shared/domain/json.ts';
import type { JsonValue } from '../../shared/domain/point.ts';
import { IS_LONG } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Service, startService } from '../harness/service.ts';
import { Generator } from '../model/generate.ts';
import type { Clause, Distance, Id, Json, ModelPoint } from '../model/model.ts';

const DISTANCES: readonly Distance[] = ['Cosine', 'Dot', 'Euclid', 'Manhattan'];
const SHARDS = 3;
const POINTS = 2_000;
const BATCH = 500;
const DIMENSION = 8;
const VECTORS = 40;
const STEPS = 60;
const BYTES_MIN = 500_000;

/** The same requests to both collections. */
class Twins {
  readonly #service: Service;
  readonly #name: string;
  /** Bytes of answers that were no errors. */
  bytes = 0;

  constructor(service: Service, name: string) {
    this.#service = service;
    this.#name = name;
  }

  async create(distance: Distance): Promise<void> {
    const vectors = { size: DIMENSION, distance };
    for (const shards of [1, SHARDS]) {
      const body = { vectors, shard_number: shards };
      await this.#ask(shards, 'PUT', '', body);
    }
  }

  /** What both answered. */
  async same(method: string, path: string, body: Clause): Promise<Json> {
    const [one, several] = await Promise.all(
      [1, SHARDS].map((shards) => this.#ask(shards, method, path, body)),
    );
    assert.equal(several, one, `${path} ${stringifyJson(body as JsonValue)}`);
    const { result } = parseJsonBytes(Buffer.from(one ?? '')) as { result: Json };
    if (result !== null) this.bytes += one?.length ?? 0;
    return result;
  }

  /** The reply without the time it took. */
  async #ask(shards: number, method: string, path: string, body: Clause): Promise<string> {
    const url = `/collections/${this.#name}-${shards}${path}`;
    const text = stringifyJson(body as JsonValue);
    const response = await this.#service.fetch(method, url, text);
    const reply = await response.text();
    return reply.replace(/"time":[0-9.e-]+/, '"time":0');
  }
}

/** How scores are compared and merged is the same for the others. */
const USUAL: readonly Distance[] = ['Cosine', 'Manhattan'];

for (const distance of IS_LONG ? DISTANCES : USUAL) {
  test(`three shards answer as one, ${distance}`, async (t) => {
    const random = new SeededRandom(takeSeed(t, 20_261_303));
    const service = await startService(t, { workers: 2 });
    const generate = new Generator(random, { first: 0, count: POINTS + 50 });
    const twins = new Twins(service, distance);
    await twins.create(distance);
    const vectors = Array.from({ length: VECTORS }, () => {
      return Array.from({ length: DIMENSION }, () => random.below(3) - 1 || 0.5);
    });
    const anyVector = () => random.pick(vectors);
    const points = generate.firstPoints(POINTS).map((point) => ({ ...point, vector: anyVector() }));
    await fill(twins, points);
    const asks: ((requests: Requests) => Promise<void>)[] = [search, batch, pages, counts, byIds];
    for (let step = 0; step < STEPS; step += 1) {
      await random.pick(asks)({ twins, generate, anyVector });
    }
    t.diagnostic(`${twins.bytes} bytes`);
    assert.ok(twins.bytes > BYTES_MIN, 'most was answered, and not with errors');
  });
}

/** Every batch has points of all shards, so all versions are alike, too. */
async function fill(twins: Twins, points: ModelPoint[]): Promise<void> {
  for (let from = 0; from < points.length; from += BATCH) {
    const some = points.slice(from, from + BATCH) as unknown as JsonValue;
    const done = (await twins.same('PUT', '/points', { points: some as never })) as Clause;
    assert.equal(done.status, 'completed');
  }
  const gone = points.slice(100, 200).map(({ id }) => id);
  await twins.same('POST', '/points/delete', { points: gone });
  const filter = { must: [{ key: 'flag', match: { value: true } }] };
  await twins.same('POST', '/points/payload', { filter, payload: { flag: true, seen: 1 } });
}

interface Requests {
  twins: Twins;
  generate: Generator;
  anyVector: () => number[];
}

/** One exact search: by vector, stored or new, by id, for nothing, diverse or not. */
function searchOf({ generate, anyVector }: Requests): Clause {
  const { random } = generate;
  const limit = 1 + random.below(random.next() < 0.2 ? 400 : 20);
  const nearest = random.pick<() => number[] | Id>([
    anyVector,
    () => generate.vector(),
    () => generate.id(),
  ])();
  const mmr = { diversity: random.next(), candidates_limit: 20 + random.below(80) };
  const isDiverse = random.next() < 0.25 && limit < 20;
  const query: Clause = isDiverse ? { nearest, mmr } : { nearest };
  return {
    ...(random.next() < 0.9 && { query }),
    ...(random.next() < 0.5 && { filter: generate.filter() }),
    ...(random.next() < 0.5 && { offset: random.below(isDiverse ? 30 : 300) }),
    ...(random.next() < 0.2 && { score_threshold: random.below(5) }),
    limit,
    with_payload: random.next() < 0.5,
    with_vector: random.next() < 0.5,
    params: { exact: true },
  };
}

async function search(requests: Requests): Promise<void> {
  await requests.twins.same('POST', '/points/query', searchOf(requests));
}

async function batch(requests: Requests): Promise<void> {
  const count = 1 + requests.generate.random.below(5);
  const searches = Array.from({ length: count }, () => searchOf(requests));
  await requests.twins.same('POST', '/points/query/batch', { searches });
}

async function pages({ twins, generate }: Requests): Promise<void> {
  const { random } = generate;
  const limit = 100 + random.below(1_000);
  const filter: Clause = random.next() < 0.5 ? { filter: generate.filter() } : {};
  let offset: Json = null;
  do {
    const from: Clause = offset === null ? {} : { offset };
    const body = { ...filter, ...from, limit, with_vector: random.next() < 0.5 };
    const page = (await twins.same('POST', '/points/scroll', body)) as Clause;
    offset = page.next_page_offset ?? null;
  } while (offset !== null);
}

async function counts({ twins, generate }: Requests): Promise<void> {
  await twins.same('POST', '/points/count', { filter: generate.filter(), exact: true });
  await twins.same('POST', '/points/count', { exact: true });
}

async function byIds({ twins, generate }: Requests): Promise<void> {
  const ids = [...generate.ids(60), 2 ** 40];
  await twins.same('POST', '/points', { ids, with_vector: generate.random.next() < 0.5 });
}
