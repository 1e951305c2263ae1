/** Which replicas can not leave a worker that should not hold them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../shared/base/clock.ts';
import type { ClientId, ShardId, WorkerId } from '../../../shared/base/ids.ts';
import { quietLog } from '../../../shared/log/log.ts';
import { Moves } from './moves.ts';
import type { PlannedWorker, WantedShard } from './outlook.ts';

const ACME = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const OTHER = 'cl_bbbbbbbbbbbbbbbb' as ClientId;
const W1 = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const W2 = 'wk_bbbbbbbbbbbbbbbb' as WorkerId;
const W3 = 'wk_cccccccccccccccc' as WorkerId;

function worker(workerId: WorkerId, terms: Partial<PlannedWorker> = {}): PlannedWorker {
  const load = { replicas: 0, points: 0, bytes: 0, cpu: 0 };
  const free = { zone: null, dedicatedTo: null, draining: false };
  return { workerId, ...free, usable: terms.draining !== true, load, ...terms };
}

/** A shard of `clientId` with a copy at each of `holders`. */
interface Held {
  clientId: ClientId;
  holders: WorkerId[];
  wanted?: number;
}

function strandedIn(workers: PlannedWorker[], held: Held[]): Record<string, number> {
  const sets = new Map(held.map(({ holders }, i) => [`shard-${i}` as ShardId, holders]));
  const shards = held.map(({ clientId, holders, wanted = holders.length }, i) => ({
    descriptor: { shardId: `shard-${i}`, place: { clientId } },
    replicationFactor: wanted,
  })) as unknown as WantedShard[];
  const find = (shardId: ShardId) => ({
    replicas: (sets.get(shardId) ?? []).map((workerId) => ({ workerId, state: 'in_sync' })),
  });
  const moves = new Moves({
    cluster: { find } as never,
    link: {} as never,
    store: {} as never,
    shards: () => shards,
    workers: () => workers,
    startGraceMs: 0,
    clock: new ManualClock(),
    log: quietLog,
  });
  return Object.fromEntries(moves.stranded());
}

test('what another worker may take is not stranded', () => {
  const held = [{ clientId: ACME, holders: [W1, W2] }];
  const draining = worker(W1, { draining: true });
  assert.deepEqual(strandedIn([worker(W1), worker(W2)], held), {});
  assert.deepEqual(strandedIn([draining, worker(W2), worker(W3)], held), {});
  assert.deepEqual(strandedIn([draining, worker(W2)], held), { [W1]: 1 });
  const away = worker(W3, { usable: false });
  assert.deepEqual(strandedIn([draining, worker(W2), away], held), { [W1]: 1 });
});

test('what is there often enough is not stranded', () => {
  const held = [{ clientId: ACME, holders: [W1, W2], wanted: 1 }];
  assert.deepEqual(strandedIn([worker(W1, { draining: true }), worker(W2)], held), {});
});

test("a client's own workers are the only ones that may take its shards", () => {
  const held = [
    { clientId: ACME, holders: [W1] },
    { clientId: OTHER, holders: [W1] },
  ];
  const own = worker(W1, { draining: true, dedicatedTo: ACME });
  assert.deepEqual(strandedIn([own, worker(W2)], held), { [W1]: 1 });
  const spread = [{ clientId: ACME, holders: [W1, W2] }];
  assert.deepEqual(strandedIn([own, worker(W2)], spread), { [W1]: 1, [W2]: 1 });
  const two = [own, worker(W2, { dedicatedTo: ACME }), worker(W3)];
  assert.deepEqual(strandedIn(two, held), {});
  const none = [worker(W1, { dedicatedTo: ACME }), worker(W2, { usable: false })];
  assert.deepEqual(strandedIn(none, held), { [W1]: 1 }, "another client's, nowhere to go");
});
