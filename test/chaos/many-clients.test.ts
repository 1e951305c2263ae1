/**
 * Several clients with a collection of the same name and points of the same ids, at work at once while workers and
 * coordinator die, hang and come back. Each is held against its own account of what it has stored: nothing
 * is lost, and none ever sees a point of another, for that is in nobody's account but the other's.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '../../shared/base/random.ts';
import { byProfile } from '../harness/profile.ts';
import { runJson } from '../harness/run-command.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Service, startService } from '../harness/service.ts';
import { becomeLevel, endStorm, raiseStorm, STORM_ENV } from './storm-service.ts';

const CLIENTS = 3;
const FAULTS = byProfile(5, 150);
const PAUSE_MS_MAX = 1_500;
const HANG_MS_MAX = 3_000;

test('clients that share names and ids never meet, whatever dies', async (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_202));
  const service = await startService(t, { workers: 3, env: STORM_ENV });
  const keys = [service.key];
  while (keys.length < CLIENTS) {
    const name = `client ${keys.length}`;
    await runJson(service, ['client', 'create', name, '--plan', 'dedicated']);
    const [made] = await runJson(service, ['key', 'create', name]);
    keys.push(String(made?.key));
  }
  const raised = await Promise.all(
    keys.map((key) => {
      const options = { patience: { reads: true }, writers: 2, watchers: 1, points: 200 };
      return raiseStorm({ url: service.url, key }, random, options);
    }),
  );
  const hasFailed = () => raised.some(({ storm }) => storm.failed);
  const done: Record<string, number> = {};
  for (let fault = 0; fault < FAULTS && !hasFailed(); fault += 1) {
    await sleep(random.below(PAUSE_MS_MAX));
    const name = await strike(service, random);
    done[name] = (done[name] ?? 0) + 1;
  }
  t.diagnostic(`faults: ${JSON.stringify(done)}`);
  await becomeLevel(service);
  for (const one of raised) await endStorm(t, one);
  assert.ok(raised.every(({ storm }) => Object.keys(storm.done).length > 5));
});

/** One thing goes wrong, and is over when this resolves. */
async function strike(service: Service, random: SeededRandom): Promise<string> {
  const worker = random.pick(service.workerNames);
  switch (random.below(4)) {
    case 0:
      await service.killAndWait('coordinator');
      return 'coordinator killed';
    case 1:
      await Promise.all(service.workerNames.map((name) => service.killAndWait(name)));
      return 'all workers killed';
    case 2: {
      const pid = service.pidOf(worker);
      process.kill(pid, 'SIGSTOP');
      await sleep(random.below(HANG_MS_MAX));
      process.kill(pid, 'SIGCONT');
      return 'worker stopped';
    }
    default:
      await service.killAndWait(worker);
      return 'worker killed';
  }
}
