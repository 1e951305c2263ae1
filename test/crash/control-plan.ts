/**
 * What operators and clients do to `control.db`, made from a seed: a list of changes, each of which is
 * one transaction, so that after a crash the database is as after some number of them.
 */
import Database from 'better-sqlite3';
import { Notifier } from '../../coordinator/notify/notifier.ts';
import { ControlStore } from '../../coordinator/store/control-store.ts';
import { assert, must } from '../../shared/base/assert.ts';
import { ManualClock } from '../../shared/base/clock.ts';
import {
  type ClientId,
  type CollectionId,
  type KeyId,
  randomId,
  type ShardId,
  type WorkerId,
} from '../../shared/base/ids.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { HNSW_DEFAULTS } from '../../shared/domain/collection.ts';
import { quietLog } from '../../shared/log/log.ts';
import { dumpTables } from './dump-tables.ts';

const ORIGIN = { actor: 'operator', requestId: 'r' };
const OTHER_WORKER = 'wk_bbbbbbbbbbbbbbbb' as WorkerId;
const WORKER = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const REPLICAS = [WORKER, OTHER_WORKER].map((workerId) => {
  return { workerId, state: 'in_sync' as const, syncedVersion: 0 };
});
const TERMS = {
  mode: 'live' as const,
  name: 'k',
  role: 'writer' as const,
  namespaces: null,
  requestsPerSecond: null,
  expiresAt: null,
};

export type ControlChange = (store: ControlStore) => void;

/** The time of every change, so that a plan comes to the same rows each time. */
export function openControl(file: string): ControlStore {
  return ControlStore.open(file, { clock: new ManualClock() });
}

export function controlPlanOf(seed: number, rounds: number): ControlChange[] {
  const random = new SeededRandom(seed);
  const changes: ControlChange[] = [(store) => store.workers.seen(WORKER)];
  for (let round = 0; round < rounds; round += 1) changes.push(...clientChanges(random, round));
  return changes;
}

/** A client's life, but for its end. */
function clientChanges(random: SeededRandom, round: number): ControlChange[] {
  const bytes = (count: number) =>
    Buffer.from(Array.from({ length: count }, () => random.below(256)));
  const clientId = randomId<ClientId>('cl_', bytes);
  const keyId = randomId<KeyId>('key_', bytes);
  const newSecret = () => ({ prefix: bytes(4).toString('hex'), digest: bytes(32) });
  const [first, second] = [newSecret(), newSecret()];
  // A change that is made again is the same change.
  const drawn = bytes(16);
  const collectionId = idOf('1', round) as string as CollectionId;
  const shardId = idOf('2', round) as string as ShardId;
  const key = (store: ControlStore) => must(store.apiKeys.get(clientId, keyId), 'it was made');
  const audited = (action: string, change: (store: ControlStore) => object): ControlChange => {
    return (store) => {
      store.audited(ORIGIN, () => {
        const after = change(store);
        return { action, target: clientId, before: null, after, result: undefined };
      });
    };
  };
  return [
    audited('client.create', (store) => store.clients.create({ clientId, name: `c${round}` })),
    audited('key.create', (store) => {
      return store.apiKeys.create({ ...TERMS, clientId, keyId, secret: first });
    }),
    (store) => store.collections.create(newCollection(clientId, round)),
    (store) => store.collections.activate(collectionId),
    (store) =>
      store.idempotentReplies.put(bytesOf(round), { request: bytesOf(1), sealed: SEALED }, 5),
    audited('key.rotate', (store) => store.apiKeys.rotate(key(store), second, 9e12)),
    (store) => store.replicas.leave(shardId, [{ workerId: WORKER, syncedVersion: round }]),
    (store) => store.replicas.join(shardId, WORKER),
    (store) => store.collections.beginChange(collectionId),
    (store) => store.collections.settleChange(collectionId),
    audited('invoice.issue', (store) => {
      const whose = { clientId, clientName: `c${round}`, month: round, currency: 'EUR' };
      const rest = { lines: [], totalMicros: 1n, credits: null, reason: null };
      const { number } = store.invoices.add({ kind: 'invoice', ...whose, ...rest });
      store.priceHistory.settle(clientId, 1_000 + round);
      return { number };
    }),
    (store) => store.censusRequests.add(`day ${round}`, round),
    (store) => store.censusRequests.done({ day: `day ${round}`, number: 1 }),
    audited('client.suspend', (store) => store.clients.change(clientId, { state: 'suspended' })),
    (store) => {
      const mail = { operators: ['ops@example.com'] };
      const notifier = new Notifier({ store, random: { bytes: () => drawn }, log: quietLog, mail });
      const data = { reason: 'manual', scope: 'all' };
      notifier.tell({ type: 'client.paused', clientId, key: `k${round}`, data });
    },
    (store) => {
      const to = { kind: 'mail', owner: '', target: 'ops@example.com' } as const;
      const [due] = store.noticeDeliveries.due(to, 1);
      store.noticeDeliveries.handOver(must(due, 'it was told').deliveryId, '<1@example.com>');
    },
    (store) => void store.noticeDeliveries.loseHandedOver(),
    audited('key.revoke', (store) => store.apiKeys.revoke(key(store))),
    ...(round % 2 === 0 ? [] : removals(clientId, collectionId)),
  ];
}

function removals(clientId: ClientId, collectionId: CollectionId): ControlChange[] {
  return [
    (store) => store.collections.markDeleting(collectionId),
    (store) => store.collections.remove(collectionId),
    (store) => {
      store.transaction(() => {
        store.apiKeys.removeAll(clientId);
        store.clients.remove(clientId);
      });
    },
  ];
}

/** Larger than a page. */
const SEALED = Buffer.alloc(6_000, 7);

function bytesOf(value: number): Buffer {
  return Buffer.alloc(32, value);
}

function idOf(kind: string, round: number): string {
  return `00000000-0000-4000-8000-${kind}${String(round).padStart(11, '0')}`;
}

function newCollection(clientId: ClientId, round: number) {
  return {
    collectionId: idOf('1', round) as CollectionId,
    clientId,
    mode: 'live' as const,
    namespace: 'default',
    name: 'things',
    config: { vector: { dimension: 3, distance: 'Cosine' as const }, hnsw: HNSW_DEFAULTS },
    payloadIndexes: {},
    replicationFactor: 2,
    writeConsistencyFactor: 1,
    shards: [{ shardId: idOf('2', round) as ShardId, ordinal: 0, replicas: REPLICAS }],
  };
}

/**
 * Everything that stands in the tables, as one text; the file must be sound. The plans that a new database
 * has are of the time at which it was made.
 */
export function dumpControl(file: string): string {
  const database = new Database(file);
  try {
    return dumpTables(database, { updated_at: 0 });
  } finally {
    database.close();
  }
}

/** The tables before the first change of a plan and after each. */
export function controlDumpsOf(file: string, seed: number, rounds: number): string[] {
  openControl(file).close();
  const dumps = [dumpControl(file)];
  for (const change of controlPlanOf(seed, rounds)) {
    const store = openControl(file);
    change(store);
    store.close();
    dumps.push(dumpControl(file));
    assert(dumps.at(-1) !== dumps.at(-2), 'each change changes something');
  }
  return dumps;
}
