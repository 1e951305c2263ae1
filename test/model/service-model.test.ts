/**
 * The whole service against a plain Map: random writes, reads and filtered queries over HTTP, with
 * `kill -9` of workers and coordinator in between. Zero differences are allowed; only how many of
 * the true neighbours an approximate query finds has a floor.
 *
 * BULKHEAD_TEST_SEED repeats a run.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import { startService } from '../harness/service.ts';
import { Generator } from './generate.ts';
import { type Distance, Model } from './model.ts';
import { ModelSession } from './session.ts';

const OPERATIONS = 4_000;
const RESTART_EVERY = 400;
const RECALL_MIN = 0.95;
const seed = Number(process.env.TEST_SEED ?? 20_261_122);

test('thousands of random operations leave no difference to a plain Map', async (t) => {
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  // A graph from 50 points on, so that approximate queries are that.
  const service = await startService(t, { env: { BULKHEAD_FLAT_POINTS_MAX: '50' } });
  const sessions: ModelSession[] = [];
  for (const distance of ['Cosine', 'Dot', 'Euclid', 'Manhattan'] satisfies Distance[]) {
    const generator = new Generator(new SeededRandom(random.below(2 ** 31)));
    const session = new ModelSession(service, new Model(distance), `m-${distance}`, generator);
    await session.create();
    sessions.push(session);
  }
  const done: Record<string, number> = {};
  for (let i = 1; i <= OPERATIONS; i += 1) {
    const session = random.pick(sessions);
    const name = await session.step();
    done[name] = (done[name] ?? 0) + 1;
    if (i % RESTART_EVERY === 0) {
      await service.killAndWait(random.pick(['coordinator', ...service.workerNames]));
      for (const each of sessions) await each.compareAll();
    }
  }
  const wanted = sessions.reduce((sum, session) => sum + session.wanted, 0);
  const found = sessions.reduce((sum, session) => sum + session.found, 0);
  t.diagnostic(`${JSON.stringify(done)}, recall ${(found / wanted).toFixed(4)}`);
  assert.ok(found / wanted >= RECALL_MIN, `recall ${found / wanted}`);
});
