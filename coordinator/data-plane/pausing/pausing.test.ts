import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../../../shared/base/clock.ts';
import type { ClientId, CollectionId, ShardId, WorkerId } from '../../../shared/base/ids.ts';
import { SeededRandom, secureRandom } from '../../../shared/base/random.ts';
import type { Notice } from '../../../shared/domain/notices.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import { recordingLog } from '../../../test/harness/recording-log.ts';
import type { ReplicaSet } from '../../cluster/replicas/replica-set.ts';
import type { CollectionRecord } from '../../store/collections.ts';
import { ControlStore } from '../../store/control-store.ts';
import { Catalog } from '../catalog.ts';
import { Pausing, type PausingDeps } from './pausing.ts';

const DAY_MS = 86_400_000;
const CLIENT = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const OWNER = { clientId: CLIENT, mode: 'live', namespace: 'default' } as const;
const WORKERS = ['wk_aaaaaaaaaaaaaaaa', 'wk_bbbbbbbbbbbbbbbb'] as WorkerId[];
const ORIGIN = { actor: 'operator', requestId: 'req_1' };

/** Collections of one client over a real store; workers say that they did what they were told. */
function start(t: TestContext, names: readonly string[], idleDays = 28) {
  const folder = mkdtempSync(path.join(tmpdir(), 'bulkhead-pausing-'));
  const clock = new ManualClock();
  const store = ControlStore.open(path.join(folder, 'control.db'), { clock });
  t.after(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });
  store.clients.create({ clientId: CLIENT, name: 'her' });
  const random = new SeededRandom(1);
  for (const workerId of WORKERS) store.workers.seen(workerId);
  const records = names.map((name) => makeCollection(store, random, name));
  const { log, saw } = recordingLog();
  const state = {
    told: [] as Notice[],
    frozen: [] as string[],
    carried: [] as string[],
    behind: false,
    clientPaused: false,
    fails: undefined as Error | undefined,
    /** Workers answer after it. */
    gate: undefined as Promise<void> | undefined,
  };
  const setOf = (shardId: ShardId) => {
    const replicas = WORKERS.map((workerId, i) => {
      return { workerId, state: state.behind && i === 1 ? 'behind' : 'in_sync' };
    });
    return { shardId, replicas } as unknown as ReplicaSet;
  };
  const ask = async ({ shardId, workerId }: { shardId: ShardId; workerId: WorkerId }) => {
    await state.gate;
    if (state.fails !== undefined) throw state.fails;
    assert.ok(state.carried.includes(shardId), 'its notes are in the ledger first');
    state.frozen.push(`${shardId}@${workerId}`);
    return { body: {}, vectors: new Float32Array(0) };
  };
  const open = () => {
    const pausing = new Pausing({
      catalog: new Catalog(store.collections.all()),
      store,
      cluster: {
        find: setOf,
        metering: { carry: async ({ shardId }) => void state.carried.push(shardId) },
      },
      router: { ask: ask as unknown as PausingDeps['router']['ask'], connected: () => WORKERS },
      idleDaysOf: () => idleDays,
      isClientPaused: () => state.clientPaused,
      tell: (notice) => void state.told.push(notice),
      clock,
      random: secureRandom,
      log,
    });
    pausing.start();
    return pausing;
  };
  return { pausing: open(), open, records, store, clock, state, saw };
}

function makeCollection(store: ControlStore, random: SeededRandom, name: string): CollectionRecord {
  const shardId =
    `00000000-0000-4000-8000-${String(random.below(1e12)).padStart(12, '0')}` as ShardId;
  const replicas = WORKERS.map((workerId) => {
    return { workerId, state: 'in_sync' as const, syncedVersion: 0 };
  });
  const made = store.collections.create({
    ...OWNER,
    collectionId: shardId as unknown as CollectionId,
    name,
    config: { vector: { dimension: 2, distance: 'Dot' }, hnsw: { m: 16, efConstruct: 100 } },
    payloadIndexes: {},
    replicationFactor: 2,
    writeConsistencyFactor: 1,
    shards: [{ shardId, ordinal: 0, replicas }],
  });
  store.collections.activate(made.collectionId);
  return { ...made, state: 'active' };
}

const codeOf = (act: () => unknown): string | undefined => {
  try {
    act();
    return undefined;
  } catch (error) {
    return (error as AppError).code;
  }
};

test('what is not used is warned of, paused and frozen at all replicas, and its next request wakes it', async (t) => {
  const { pausing, records, clock, state, store } = start(t, ['used', 'idle']);
  await pausing.look();
  for (let day = 1; day <= 28; day += 1) {
    clock.advance(DAY_MS);
    pausing.use(OWNER, 'used');
    await pausing.look();
    const [warning] = state.told;
    if (day < 21) assert.equal(warning, undefined);
    else assert.deepEqual([warning?.type, warning?.data.collection], ['pause.warning', 'idle']);
  }
  const idle = records[1]?.shards[0]?.shardId ?? '';
  assert.deepEqual(
    state.frozen,
    WORKERS.map((workerId) => `${idle}@${workerId}`),
  );
  assert.deepEqual(state.told.at(-1)?.data, {
    namespace: 'default',
    collection: 'idle',
    reason: 'idle',
  });
  assert.deepEqual(
    pausing
      .ofClient(CLIENT)
      .map(({ record, use }) => [record.name, use.pause])
      .toSorted(),
    [
      ['idle', 'idle'],
      ['used', null],
    ],
  );
  await pausing.look();
  assert.equal(state.frozen.length, 2, 'what is frozen is left alone');
  assert.equal(pausing.use(OWNER, 'idle').name, 'idle');
  await pausing.look();
  assert.equal(state.frozen.length, 2);
  const actions = store.adminAudit.page(0, 10).map(({ action, actor }) => `${action} ${actor}`);
  assert.deepEqual(actions, ['collection.pause system', 'collection.wake system']);
});

test('collections that are due together are paused some at a time, soon after each other', async (t) => {
  const names = Array.from({ length: 50 }, (_, i) => `c${i}`);
  const { pausing, clock } = start(t, names);
  await pausing.look();
  clock.advance(28 * DAY_MS);
  const paused = () => pausing.ofClient(CLIENT).filter(({ use }) => use.pause === 'idle').length;
  for (const count of [20, 40, 50]) {
    await pausing.look();
    assert.equal(paused(), count);
  }
});

test('uses and pauses outlive the process, and an upgrade pauses nothing', async (t) => {
  const { pausing, open, clock, state } = start(t, ['a', 'b']);
  clock.advance(100 * DAY_MS);
  await pausing.look();
  assert.deepEqual(
    state.frozen,
    [],
    'of collections that nobody has looked at, time counts from then on',
  );
  clock.advance(20 * DAY_MS);
  pausing.use(OWNER, 'b');
  pausing.close();
  const next = open();
  clock.advance(8 * DAY_MS);
  await next.look();
  assert.deepEqual(
    next
      .ofClient(CLIENT)
      .map(({ record, use }) => `${record.name} ${use.pause}`)
      .toSorted(),
    ['a idle', 'b null'],
  );
  const third = open();
  state.frozen.length = 0;
  await third.look();
  assert.equal(state.frozen.length, 2, 'after a start workers are told again');
  clock.advance(0);
  third.use(OWNER, 'a');
  assert.equal(
    open()
      .ofClient(CLIENT)
      .some(({ use }) => use.pause !== null),
    false,
  );
});

test('an operator pauses and wakes; requests of it are refused meanwhile, and the reason is told', async (t) => {
  const { pausing, records, state } = start(t, ['a'], 0);
  const [record] = records;
  assert.ok(record !== undefined);
  pausing.pause(record, 'unpaid', ORIGIN);
  assert.throws(() => pausing.use(OWNER, 'a'), /paused by the operator: unpaid/);
  assert.equal(
    codeOf(() => pausing.use(OWNER, 'a')),
    'paused',
  );
  await pausing.look();
  assert.equal(state.frozen.length, 2);
  pausing.wake(record, ORIGIN);
  assert.equal(
    codeOf(() => pausing.use(OWNER, 'a')),
    undefined,
  );
});

test('replicas that are behind, workers that fail and requests in between: it is tried again', async (t) => {
  const { pausing, records, state, clock, saw } = start(t, ['a'], 0);
  const [record] = records;
  assert.ok(record !== undefined);
  state.behind = true;
  pausing.pause(record, 'why', ORIGIN);
  await pausing.look();
  assert.deepEqual(state.frozen, []);
  state.behind = false;
  state.fails = new AppError('conflict');
  await pausing.look();
  assert.equal(saw('freeze_failed').length, 0);
  state.fails = new AppError('unavailable');
  await pausing.look();
  assert.equal(saw('freeze_failed').length, 1);
  state.fails = undefined;
  await pausing.look();
  assert.equal(state.frozen.length, 2);
  clock.advance(3_600_000);
  await pausing.look();
  assert.equal(state.frozen.length, 4, 'once an hour all are told again');
});

test('one that was brought back and paused again while it was being frozen is frozen once more', async (t) => {
  const { pausing, records, state } = start(t, ['a'], 0);
  const [record] = records;
  assert.ok(record !== undefined);
  const late = Promise.withResolvers<void>();
  state.gate = late.promise;
  pausing.pause(record, 'why', ORIGIN);
  const looked = pausing.look();
  await new Promise(setImmediate);
  pausing.wake(record, ORIGIN);
  pausing.pause(record, 'again', ORIGIN);
  state.gate = undefined;
  late.resolve();
  await looked;
  const before = state.frozen.length;
  await pausing.look();
  assert.equal(state.frozen.length, before + 2);
});

test('the collections of a client that is paused as a whole are frozen, too', async (t) => {
  const { pausing, state, records } = start(t, ['a', 'b'], 0);
  state.clientPaused = true;
  await pausing.look();
  assert.equal(state.frozen.length, 4);
  assert.ok(records.every((record) => pausing.isAside(record)));
  state.clientPaused = false;
  assert.ok(records.every((record) => !pausing.isAside(record)));
});
