/**
 * The whole service against a plain Map, on each engine: random writes, reads and filtered queries over HTTP, with
 * `kill -9` of workers and coordinator in between. Each collection has its own sequence of
 * operations, one after the other; the sequences run beside each other. Zero differences are
 * allowed; only how many of the true neighbours an approximate query finds has a floor. Some have
 * several shards, on both workers.
 *
 * That the floor measures the graph: the collections hold several times the points up to which an
 * approximate search is a scan, and searches with a small `hnsw_ef` do miss neighbours, which no
 * scan does. (Manhattan has no graph, so there none may be missed.)
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import { ENGINES, type Engine } from '../../shared/domain/collection.ts';
import { byProfile } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Service, startService } from '../harness/service.ts';
import { Generator } from './generate.ts';
import { type Distance, Model } from './model.ts';
import { ModelSession, type Recall } from './session.ts';

/** The other engine has its own indexes and shares the rest. */
const ROUNDS = { kernel: byProfile(2, 60), hnswlib: byProfile(1, 60) };
/** Of each collection, in each round. */
const OPERATIONS = 100;
const IDS = { first: 0, count: 3_000 };
const POINTS_AT_START = 1_500;
const RECALL_MIN = 0.97;
/** Unfiltered searches at the smallest `hnsw_ef`, when everything is linked. */
const HASTY_SEARCHES = 100;
const HASTY_RECALL_MIN = 0.7;
const COLLECTIONS: readonly [Distance, shards: number][] = [
  ['Cosine', 1],
  ['Cosine', 3],
  ['Dot', 1],
  ['Euclid', 1],
  ['Euclid', 3],
  ['Manhattan', 1],
];

for (const engine of ENGINES) {
  test(`thousands of random operations leave no difference to a plain Map, ${engine}`, async (t) => {
    const random = new SeededRandom(takeSeed(t, 20_261_122));
    const service = await startService(t, { env: { BULKHEAD_FLAT_POINTS_MAX: '50' } });
    const sessions = await startSessions(service, engine, random);
    const done: Record<string, number> = {};
    for (let round = 1; round <= ROUNDS[engine]; round += 1) {
      await Promise.all(sessions.map((session) => runOperations(session, done)));
      await service.killAndWait(random.pick(['coordinator', ...service.workerNames]));
      await Promise.all(sessions.map((session) => session.compareAll()));
    }
    t.diagnostic(JSON.stringify(done));
    for (const session of sessions) {
      const { distance } = session.model;
      const usual = shareOf(session.recall);
      await session.client.becomeGreen();
      const hasty = shareOf(await session.searchHastily(HASTY_SEARCHES));
      t.diagnostic(
        `${distance} in ${session.shards}: recall ${usual.toFixed(4)}, hasty ${hasty.toFixed(4)}`,
      );
      assert.ok(usual >= RECALL_MIN, `${distance}: recall ${usual}`);
      assert.ok(hasty >= HASTY_RECALL_MIN, `${distance}: recall ${hasty} at the smallest ef`);
      if (distance === 'Manhattan') assert.equal(hasty, 1, 'a scan misses nothing');
      // Small shards each with their own graph miss next to nothing together.
      else if (session.shards === 1)
        assert.ok(hasty < 1, `${distance}: no neighbour was missed, so no graph was searched`);
    }
  });
}

async function startSessions(
  service: Service,
  engine: Engine,
  random: SeededRandom,
): Promise<ModelSession[]> {
  const sessions = COLLECTIONS.map(([distance, shards]) => {
    const generator = new Generator(new SeededRandom(random.below(2 ** 31)), IDS);
    return new ModelSession(service, new Model(distance), generator, shards);
  });
  await Promise.all(sessions.map((session) => session.create(engine, POINTS_AT_START)));
  return sessions;
}

async function runOperations(session: ModelSession, done: Record<string, number>): Promise<void> {
  for (let i = 0; i < OPERATIONS; i += 1) {
    const name = await session.step();
    done[name] = (done[name] ?? 0) + 1;
  }
}

function shareOf({ wanted, found }: Recall): number {
  return found / wanted;
}
