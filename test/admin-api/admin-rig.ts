/** The admin API over HTTP, with a store of its own and no workers. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Authenticator } from '../../coordinator/auth/authenticator.ts';
import { Epochs } from '../../coordinator/auth/epochs.ts';
import { KeyDigester } from '../../coordinator/auth/key-digest.ts';
import { createKeyHash } from '../../coordinator/auth/key-hash.ts';
import { KeyUse } from '../../coordinator/auth/key-use.ts';
import type { ClusterCounts } from '../../coordinator/cluster/cluster.ts';
import type { ReplicaSet } from '../../coordinator/cluster/replicas/replica-set.ts';
import { HEALTH_TIMING, WorkerHealth } from '../../coordinator/cluster/workers/worker-health.ts';
import type { LiveWorker } from '../../coordinator/cluster/workers/workforce.ts';
import { AuditAdmin } from '../../coordinator/control-plane/audit.ts';
import { AuditTrail } from '../../coordinator/control-plane/audit-trail.ts';
import { ClientAdmin } from '../../coordinator/control-plane/clients.ts';
import { CollectionAdmin } from '../../coordinator/control-plane/collections.ts';
import { Erasure } from '../../coordinator/control-plane/erasure.ts';
import { Idempotency } from '../../coordinator/control-plane/idempotency.ts';
import { KeyAdmin } from '../../coordinator/control-plane/keys.ts';
import { PlanAdmin } from '../../coordinator/control-plane/plans.ts';
import { ReplicaAdmin } from '../../coordinator/control-plane/replicas.ts';
import { Usage } from '../../coordinator/control-plane/usage.ts';
import { type HeldShard, WorkerAdmin } from '../../coordinator/control-plane/workers.ts';
import { Catalog } from '../../coordinator/data-plane/catalog.ts';
import { Pausing, type PausingDeps } from '../../coordinator/data-plane/pausing/pausing.ts';
import { createAdminServer } from '../../coordinator/http/admin-server.ts';
import type { CollectionRecord } from '../../coordinator/store/collections.ts';
import { ControlStore } from '../../coordinator/store/control-store.ts';
import { must } from '../../shared/base/assert.ts';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ClientId, CollectionId, KeyId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import { secureRandom } from '../../shared/base/random.ts';
import type { Notice } from '../../shared/domain/notices.ts';
import { quietLog } from '../../shared/log/log.ts';
import { billingOver, Told } from '../harness/billing.ts';
import { CensusWorld } from '../harness/census-world.ts';
import { type Cleanup, cleanUp } from '../harness/cleanup.ts';
import { notifyParts } from '../harness/notify-parts.ts';
import { SyncLedger } from '../harness/sync-ledger.ts';
import { Contract, type OpenApi } from './contract.ts';

export const OLD_TOKEN = 'an-older-token-of-the-tests-of-thirty-two-characters';
const TOKEN = 'a-token-of-the-tests-of-thirty-two-characters';

export type Reply = Record<string, unknown>;

/** Workers as the rig says they are. */
export class Fleet {
  readonly health: WorkerHealth;
  live: LiveWorker[] = [];
  counts: ClusterCounts = { shards: 0, unreachable: 0, replicas: 0, behind: 0 };
  /** The last versions of shards that have told them. */
  readonly lastVersions = new Map<ShardId, number>();
  readonly moves = {
    /** How often it was said that something may have to move. */
    asked: 0,
    strandedNow: new Map<WorkerId, number>(),
    soon(): void {
      this.asked += 1;
    },
    stranded(): Map<WorkerId, number> {
      return this.strandedNow;
    },
  };

  readonly scrub = {
    counts: { compared: 0, differed: 0, repairedRows: 0, skipped: 0, failed: 0 },
    /** How often it was said that shards are to be compared. */
    asked: 0,
    soon(): void {
      this.asked += 1;
    },
  };

  /** Of a cluster, as much as is asked here. */
  find(shardId: ShardId): ReplicaSet {
    return { lastVersion: this.lastVersions.get(shardId) } as ReplicaSet;
  }

  constructor(clock: ManualClock) {
    this.health = new WorkerHealth({
      isSilent: () => false,
      hasAnswered: () => true,
      timing: HEALTH_TIMING,
      log: quietLog,
      clock,
    });
  }
}

/** Over collections without workers. */
function pausingOver(
  base: Pick<PausingDeps, 'store' | 'random' | 'clock' | 'log' | 'tell'>,
  catalog: Catalog,
): Pausing {
  return new Pausing({
    ...base,
    catalog,
    cluster: { find: () => undefined, metering: { carry: async () => undefined } },
    router: { ask: () => assert.fail('there are no workers'), connected: () => [] },
    idleDaysOf: () => 0,
    isClientPaused: () => false,
  });
}

export interface Answer {
  status: number;
  headers: Headers;
  reply: Reply;
}

/** What a try to erase a client answers. */
interface Left {
  collections: number;
  points: number | undefined;
}

export class AdminRig {
  readonly clock: ManualClock;
  readonly authenticator: Authenticator;
  readonly store: ControlStore;
  readonly ledger: SyncLedger;
  readonly fleet: Fleet;
  readonly catalog: Catalog;
  readonly billing: ReturnType<typeof billingOver>;
  /** What operators and clients were told. */
  readonly toldOf: Told;
  readonly census: CensusWorld;
  /** How many collections each client that is erased still has. */
  readonly left: Left;
  /** Shards that workers have quarantined. */
  readonly quarantined: Set<string>;
  readonly #url: string;
  readonly #told: { limits: number };
  #contract: Contract | undefined;

  private constructor(parts: {
    clock: ManualClock;
    authenticator: Authenticator;
    store: ControlStore;
    ledger: SyncLedger;
    fleet: Fleet;
    catalog: Catalog;
    census: CensusWorld;
    url: string;
    left: Left;
    told: { limits: number };
    quarantined: Set<string>;
    billing: ReturnType<typeof billingOver>;
    toldOf: Told;
  }) {
    this.billing = parts.billing;
    this.toldOf = parts.toldOf;
    this.quarantined = parts.quarantined;
    this.left = parts.left;
    this.#told = parts.told;
    this.store = parts.store;
    this.ledger = parts.ledger;
    this.fleet = parts.fleet;
    this.catalog = parts.catalog;
    this.census = parts.census;
    this.clock = parts.clock;
    this.authenticator = parts.authenticator;
    this.#url = parts.url;
  }

  get url(): string {
    return this.#url;
  }

  get token(): string {
    return TOKEN;
  }

  /** How often the limits of clients were said to have changed. */
  get limitsChanged(): number {
    return this.#told.limits;
  }

  get contract(): Contract {
    return must(this.#contract, 'a rig that has started has its contract');
  }

  static async start(t: Cleanup): Promise<AdminRig> {
    const folder = await mkdtemp(path.join(tmpdir(), 'bulkhead-admin-'));
    const clock = new ManualClock();
    const store = ControlStore.open(path.join(folder, 'control.db'), { clock });
    const ledger = new SyncLedger(t, folder);
    const digester = new KeyDigester('pepper'.repeat(8));
    const hash = await createKeyHash(secureRandom.bytes);
    const use = new KeyUse({ store: store.apiKeys, clock, log: quietLog });
    const auth = { keys: store.apiKeys, epochs: new Epochs(), digester, hash, clock };
    const noteUse = (keyId: KeyId, at: number) => use.note(keyId, at);
    const authenticator = new Authenticator({ ...auth, noteUse });
    const digest = (key: string) => digester.digest(key);
    const base = { store, caches: authenticator, random: secureRandom, log: quietLog, clock };
    const told = { limits: 0 };
    const limitsChanged = () => {
      told.limits += 1;
    };
    const fleet = new Fleet(clock);
    const left: Left = { collections: 0, points: 7 };
    const eraseCollections = async () => ({ left: left.collections, points: left.points });
    const quarantined = new Set<string>();
    const release = async ({ shardId }: HeldShard) => quarantined.delete(shardId);
    const erasure = new Erasure({ ...base, eraseCollections });
    const notify = notifyParts(base);
    const tell = (notice: Notice) => void notify.notifier.tell(notice);
    const clients = new ClientAdmin({ ...base, limitsChanged, erasure, tell });
    const catalog = new Catalog();
    const toldOf = new Told();
    const billing = billingOver({ store, ledger, clock }, toldOf);
    const census = new CensusWorld(t, { clock, folder, store, ledger });
    const server = createAdminServer(
      {
        clients,
        collections: new CollectionAdmin({
          clients,
          pausing: pausingOver({ ...base, tell }, catalog),
        }),
        keys: new KeyAdmin({ ...base, digest, keysMax: () => 100 }),
        plans: new PlanAdmin({ ...base, limitsChanged }),
        audit: new AuditAdmin(base),
        workers: new WorkerAdmin({
          ...base,
          ...fleet,
          live: () => fleet.live,
          count: () => fleet.counts,
          release,
        }),
        replicas: new ReplicaAdmin({ store, cluster: fleet }),
        usage: new Usage({ ledger, clock }),
        ...notify,
        billing,
        auditTrail: new AuditTrail({ ledger, clock, publicKey: ledger.publicKey }),
        census: census.admin,
        idempotency: new Idempotency({ ...base, secret: 'pepper'.repeat(8) }),
        random: secureRandom,
        log: quietLog,
      },
      { tokens: [TOKEN, OLD_TOKEN] },
    );
    const url = await server.listen({ host: '127.0.0.1', port: 0 });
    cleanUp(t, async () => {
      await server.close();
      store.close();
      await rm(folder, { recursive: true });
    });
    const made = { clock, authenticator, store, ledger, fleet, catalog, census, billing, toldOf };
    const rig = new AdminRig({ ...made, url, left, told, quarantined });
    const document = (await rig.send('GET', '/openapi.json')).reply;
    rig.#contract = new Contract(document as unknown as OpenApi);
    return rig;
  }

  /** Every answer is held against the OpenAPI document. */
  async send(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(`${this.#url}/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, ...json, ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const reply = JSON.parse(await response.text()) as Reply;
    this.#contract?.check(method, `/admin/v1${path}`, response.status, reply);
    return { status: response.status, headers: response.headers, reply };
  }

  /** A collection that is in the store. */
  collection(clientId: ClientId, name: string): CollectionRecord {
    const made = this.store.collections.create({
      collectionId: secureRandom.uuid() as CollectionId,
      clientId,
      mode: 'live',
      namespace: 'default',
      name,
      config: { vector: { dimension: 2, distance: 'Dot' }, hnsw: { m: 16, efConstruct: 100 } },
      payloadIndexes: {},
      replicationFactor: 1,
      writeConsistencyFactor: 1,
      shards: [{ shardId: secureRandom.uuid() as ShardId, ordinal: 0, replicas: [] }],
    });
    this.store.collections.activate(made.collectionId);
    return { ...made, state: 'active' };
  }

  /** What is answered as a table. */
  async table(path: string, headers: Record<string, string> = {}): Promise<string> {
    const response = await fetch(`${this.#url}/admin/v1${path}`, {
      headers: { authorization: `Bearer ${TOKEN}`, ...headers },
    });
    assert.equal(response.headers.get('content-type'), 'text/csv; charset=utf-8');
    return response.text();
  }

  /** The path of a new client. */
  async client(fields: Reply = {}): Promise<string> {
    const { reply } = await this.send('POST', '/clients', { name: 'acme', ...fields });
    return `/clients/${reply.client_id}`;
  }

  /** All entries of the audit log. */
  async audit(): Promise<Reply[]> {
    return (await this.send('GET', '/audit')).reply.entries as Reply[];
  }
}
