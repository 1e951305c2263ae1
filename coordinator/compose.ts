/**
 * Builds the coordinator's parts once and hands each what it needs. Listening comes last, so that
 * nobody is answered by half a coordinator; closing goes the other way round, so that requests
 * under way still find their workers and the store.
 */
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { must } from '../shared/base/assert.ts';
import type { Clock } from '../shared/base/clock.ts';
import type { Deadline } from '../shared/base/deadline.ts';
import type { ClientId, ShardId, WorkerId } from '../shared/base/ids.ts';
import type { SecureRandom } from '../shared/base/random.ts';
import type { Shutdown } from '../shared/base/shutdown.ts';
import { auditKeyOf, auditSeedOf, publicPemOf } from '../shared/crypto/audit-chain.ts';
import { censusSeedOf } from '../shared/crypto/census-seal.ts';
import { LIMITS } from '../shared/domain/limits.ts';
import type { Notice } from '../shared/domain/notices.ts';
import { effectiveLimits, type PlanLimits } from '../shared/domain/plan.ts';
import type { Log } from '../shared/log/log.ts';
import { AuditLog } from './audit/audit-log.ts';
import { ChangeLog } from './audit/change-log.ts';
import { Retention } from './audit/retention.ts';
import { Authenticator } from './auth/authenticator.ts';
import { Epochs } from './auth/epochs.ts';
import { KeyDigester } from './auth/key-digest.ts';
import { createKeyHash } from './auth/key-hash.ts';
import { KeyUse } from './auth/key-use.ts';
import type { Principal } from './auth/principal.ts';
import { RequestMeter } from './billing/request-meter.ts';
import { CensusArchive } from './census/archive.ts';
import { Census } from './census/census.ts';
import { Surveyor } from './census/survey.ts';
import { Cluster } from './cluster/cluster.ts';
import { Moves } from './cluster/placing/moves.ts';
import { placeShards } from './cluster/placing/placement.ts';
import { REPLICATION_TIMING } from './cluster/replicas/timing.ts';
import { HEALTH_TIMING, WorkerHealth } from './cluster/workers/worker-health.ts';
import { WorkerLoads } from './cluster/workers/worker-loads.ts';
import { Workforce } from './cluster/workers/workforce.ts';
import { composeBilling } from './compose-billing.ts';
import { type CoordinatorConfig, proxiesOf } from './config.ts';
import { Account } from './control-plane/account.ts';
import { AuditAdmin } from './control-plane/audit.ts';
import { AuditTrail } from './control-plane/audit-trail.ts';
import type { BillingAdmin } from './control-plane/billing/billing-admin.ts';
import { OwnBilling } from './control-plane/billing/own-billing.ts';
import { CensusAdmin } from './control-plane/census.ts';
import { ClientAdmin } from './control-plane/clients.ts';
import { CollectionAdmin } from './control-plane/collections.ts';
import { Erasure } from './control-plane/erasure.ts';
import { Idempotency } from './control-plane/idempotency.ts';
import { KeyAdmin } from './control-plane/keys.ts';
import { PlanAdmin } from './control-plane/plans.ts';
import { ReplicaAdmin } from './control-plane/replicas.ts';
import { Usage } from './control-plane/usage.ts';
import { type HeldShard, WorkerAdmin } from './control-plane/workers.ts';
import { WriteOnce } from './control-plane/write-once.ts';
import { DataPlane } from './data-plane/data-plane.ts';
import { limitsFor } from './data-plane/test-limits.ts';
import { createAdminServer } from './http/admin-server.ts';
import { createDataServer } from './http/data-server.ts';
import { GracefulClose } from './http/graceful-close.ts';
import { Ledger } from './ledger/ledger.ts';
import { BadKeys } from './limits/bad-keys.ts';
import { ClientLimits, type ClientTerms } from './limits/client-limits.ts';
import { ClientPauses } from './limits/client-pauses.ts';
import { InFlight } from './limits/in-flight.ts';
import { RateLimiter } from './limits/rate-limiter.ts';
import { RequestRates } from './limits/request-rates.ts';
import type { Payer } from './limits/tally.ts';
import { WorkBudget } from './limits/work-budget.ts';
import { HEDGE_MS, Router } from './routing/router.ts';
import { ControlStore } from './store/control-store.ts';
import { WorkerLink } from './worker-link/worker-link.ts';

export interface CoordinatorDeps {
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

/** Starts a coordinator; resolves to the ports it listens on. */
export async function startCoordinator(
  config: CoordinatorConfig,
  deps: CoordinatorDeps,
  shutdown: Shutdown,
) {
  const { clock, log } = deps;
  const startMs = clock.monotonicMs();
  const store = ControlStore.open(path.join(config.dataDir, 'control.db'), { clock });
  shutdown.add('control store', store);
  const auditSeed = auditSeedOf(config.keyPepper);
  const ledger = new Ledger(path.join(config.dataDir, 'ledger.db'), deps, { auditSeed });
  shutdown.add('ledger', ledger);

  const link = new WorkerLink(deps, {
    host: config.host,
    port: config.linkPort,
    secret: config.linkSecret,
  });
  shutdown.add('worker link', link);
  noteSeen(store, link, log);
  const fleet = composeCluster({ ...deps, store, ledger, link }, shutdown);
  const { router } = fleet;

  const clientLimits = new ClientLimits((clientId) => termsIn(store, clientId));
  const limitsOf = (clientId: ClientId) => clientLimits.of(clientId);
  const usage = new Usage({ ledger, clock });
  const parts = { ...deps, store, ledger, clients: () => clients };
  const billing = composeBilling(config, parts, shutdown);
  const requestMeter = new RequestMeter({ ledger, clock });
  shutdown.add('request meter', requestMeter);
  const audit = composeAudit(config, { ...deps, store, ledger }, shutdown);
  const { auditLog, auditTrail } = audit;
  const noting = { requestMeter, auditLog, auditTrail };
  const known = { ...deps, ...noting, store, router, usage, billing, clientLimits, limitsOf };
  const auth = await composeKeys(config, known, shutdown);
  const secret = config.keyPepper;
  const idempotency = new Idempotency({ ...known, secret });
  const writeOnce = new WriteOnce({ ...known, secret });
  const work = new WorkBudget({
    limitsOf: (clientId) => clientLimits.find(clientId),
    buckets: new RateLimiter(known),
  });
  const { collections, resharding } = store;
  const { requestTimeoutMs } = config;
  const stored = { store: collections, resharding };
  const copiesChanged = () => moves.soon();
  const planned = { work, copiesChanged, requestTimeoutMs };
  const dataPlane = new DataPlane({
    ...known,
    ...fleet,
    ...stored,
    ...planned,
    ...pausesOver(known),
  });
  shutdown.add('data plane', dataPlane);
  const moves: Moves = composeMoves({ ...known, ...fleet, link, dataPlane }, shutdown);
  const { census, censusAdmin } = composeCensus(config, { ...known, ...fleet, ledger, dataPlane });
  shutdown.add('census', census);
  const made = { moves, dataPlane, census: censusAdmin, work, idempotency, writeOnce };
  const composed = { ...known, ...auth, ...fleet, ...made };
  const { admin, erasure, clients } = composeAdmin(config, composed);
  shutdown.add('erasure', erasure);
  const data = composeData(config, composed);

  await ledger.opened();
  dataPlane.start();
  moves.start();
  erasure.plan();
  billing.start();
  census.start();
  audit.changeLog.start();
  audit.retention.start();
  const { port: linkPort } = await link.start();
  const { host } = config;
  const ending = { clock, shutdown };
  const adminPort = await listen(admin, 'admin API', { host, port: config.adminPort }, ending);
  const port = await listen(data, 'data API', { host, port: config.port }, ending);
  const ms = clock.monotonicMs() - startMs;
  log.event('coordinator_ready', { host, port, adminPort, linkPort, ms });
  return { host, port, adminPort, linkPort };
}

/** When a worker was seen last is for people: a disk that is full or fails must neither end this process nor
 * keep a worker out. */
function noteSeen(store: ControlStore, link: WorkerLink, log: Log): void {
  const seen = (workerId: WorkerId) => {
    try {
      store.workers.seen(workerId);
    } catch (error) {
      log.event('unexpected_error', { place: 'worker seen', error });
    }
  };
  link.onConnect(seen);
  link.onLoss(seen);
}

function composeAudit(
  config: CoordinatorConfig,
  parts: CoordinatorDeps & { store: ControlStore; ledger: Ledger },
  shutdown: Shutdown,
) {
  const { store } = parts;
  const auditLog = new AuditLog(parts);
  shutdown.add('audit log', auditLog);
  const changeLog = new ChangeLog(parts);
  shutdown.add('change log', changeLog);
  const daysOf = (chain: string) => {
    const days = termsIn(store, chain as ClientId)?.limits.audit_retention_days;
    return days ?? config.auditRetentionDays;
  };
  const retention = new Retention({ ...parts, daysOf });
  shutdown.add('retention', retention);
  const publicKey = publicPemOf(auditKeyOf(auditSeedOf(config.keyPepper)));
  return { auditLog, changeLog, retention, auditTrail: new AuditTrail({ ...parts, publicKey }) };
}

function composeCluster(
  parts: CoordinatorDeps & { store: ControlStore; ledger: Ledger; link: WorkerLink },
  shutdown: Shutdown,
) {
  const { store, ledger, link, clock, log } = parts;
  const health = new WorkerHealth({
    isSilent: (workerId) => link.isSilent(workerId),
    hasAnswered: (workerId) => link.hasAnswered(workerId),
    timing: HEALTH_TIMING,
    clock,
    log,
  });
  for (const { workerId, draining } of store.workers.all()) if (draining) health.drain(workerId);
  link.onConnect((workerId) => health.connected(workerId));
  link.onLoss((workerId) => health.disconnected(workerId));
  health.start();
  shutdown.add('worker health', health);
  const timing = REPLICATION_TIMING;
  const cluster = new Cluster({ link, store: store.replicas, ledger, clock, log, timing });
  shutdown.add('cluster', cluster);
  const setOf = (shardId: ShardId) => cluster.set(shardId);
  const router = new Router({ link, setOf, health, clock, hedgeMs: HEDGE_MS });
  const loads = new WorkerLoads({ link, clock, log });
  loads.start();
  shutdown.add('worker loads', loads);
  const workforce = new Workforce({ store, link, cluster, health, loadOf: (id) => loads.of(id) });
  const placesFor = (clientId: ClientId, shards: readonly ShardId[], count: number) => {
    return placeShards(clientId, shards, count, workforce.all());
  };
  return { cluster, health, router, workforce, placesFor };
}

function composeMoves(
  parts: CoordinatorDeps & {
    store: ControlStore;
    link: WorkerLink;
    cluster: Cluster;
    workforce: Workforce;
    dataPlane: DataPlane;
  },
  shutdown: Shutdown,
): Moves {
  const { store, workforce, dataPlane } = parts;
  const moves = new Moves({
    ...parts,
    store: store.replicas,
    shards: () => dataPlane.wantedShards(),
    workers: () => workforce.all(),
    startGraceMs: REPLICATION_TIMING.startGraceMs,
  });
  return shutdown.add('moves', moves);
}

/** Of pauses, what the data plane has to know. */
function pausesOver({ store, clientLimits, log }: Pick<Known, 'store' | 'clientLimits' | 'log'>) {
  return {
    control: store,
    idleDaysOf: (clientId: ClientId) => clientLimits.find(clientId)?.idle_days_before_pause ?? 0,
    isClientPaused: (clientId: ClientId) => clientLimits.pauseOf(clientId)?.scope === 'all',
    tell: ({ type, clientId, key }: Notice) => {
      log.event('notice_told', { type, clientId: clientId ?? '', about: key });
    },
  };
}

function composeCensus(
  config: CoordinatorConfig,
  parts: Known & { ledger: Ledger; cluster: Cluster; dataPlane: DataPlane },
) {
  const { store, ledger, router, cluster, dataPlane, clock } = parts;
  const surveyor = new Surveyor({
    clients: store.clients,
    collections: () => dataPlane.allCollections(),
    current: (record) => dataPlane.collectionNow(record),
    setOf: (shardId) => cluster.find(shardId),
    ask: async (route, deadline) => {
      return (await router.ask(route, 'shard-census', {}, undefined, deadline)).body;
    },
    isConnected: (workerId) => router.connected().includes(workerId),
    lastKnown: (shardIds) => ledger.ask('census-shards', shardIds),
    clock,
  });
  const key = auditKeyOf(censusSeedOf(config.keyPepper));
  const archive = new CensusArchive({ folder: path.join(config.dataDir, 'census'), key });
  const requests = store.censusRequests;
  const { censusKeepDays: keepDays } = config;
  const { tell } = pausesOver(parts);
  const census = new Census({ ...parts, surveyor, archive, requests, tell }, { keepDays });
  router.onConnect(() => census.workerCame());
  const publicKey = publicPemOf(key);
  return { census, censusAdmin: new CensusAdmin({ ...parts, archive, census, publicKey }) };
}

function termsIn(store: ControlStore, clientId: ClientId): ClientTerms | undefined {
  const client = store.clients.get(clientId);
  if (client === undefined) return undefined;
  const plan = must(store.plans.get(client.planId), 'a client is on a plan');
  const paused = client.state === 'paused' ? client.paused : null;
  return { limits: effectiveLimits(plan.limits, client.overrides), paused };
}

interface Known extends CoordinatorDeps {
  store: ControlStore;
  router: Router;
  usage: Usage;
  billing: BillingAdmin;
  requestMeter: RequestMeter;
  auditLog: AuditLog;
  auditTrail: AuditTrail;
  clientLimits: ClientLimits;
  limitsOf: (clientId: ClientId) => PlanLimits;
}

type Composed = Known &
  ReturnType<typeof composeCluster> & { moves: Moves } & Awaited<ReturnType<typeof composeKeys>> & {
    dataPlane: DataPlane;
    census: CensusAdmin;
    work: WorkBudget;
    idempotency: Idempotency;
    writeOnce: WriteOnce;
  };

async function composeKeys(config: CoordinatorConfig, known: Known, shutdown: Shutdown) {
  const { store, limitsOf, random } = known;
  const digester = new KeyDigester(config.keyPepper);
  const hash = await createKeyHash(random.bytes);
  const use = new KeyUse({ ...known, store: store.apiKeys });
  shutdown.add('key use', use);
  const authenticator = new Authenticator({
    ...known,
    keys: store.apiKeys,
    epochs: new Epochs(),
    digester,
    hash,
    noteUse: (keyId, at) => use.note(keyId, at),
  });
  const digest = (key: string) => digester.digest(key);
  const keysMax = (clientId: ClientId) => limitsOf(clientId).keys;
  const keys = new KeyAdmin({ ...known, caches: authenticator, digest, keysMax });
  return { authenticator, keys };
}

function composeAdmin(config: CoordinatorConfig, composed: Composed) {
  const { store, cluster, workforce, clientLimits, dataPlane, work } = composed;
  const { authenticator: caches } = composed;
  const limitsChanged = () => {
    clientLimits.changed();
    work.limitsChanged();
  };
  const eraseCollections = (clientId: ClientId) => dataPlane.collections.eraseAll(clientId);
  const erasure = new Erasure({ ...composed, eraseCollections });
  const release = async (shard: HeldShard, deadline: Deadline) => {
    return (await composed.router.ask(shard, 'shard-release', {}, undefined, deadline)).body
      .released;
  };
  const clients = new ClientAdmin({ ...composed, caches, limitsChanged, erasure });
  const { pausing } = dataPlane;
  const admin = createAdminServer(
    {
      ...composed,
      clients,
      collections: new CollectionAdmin({ clients, pausing }),
      plans: new PlanAdmin({ ...composed, limitsChanged }),
      audit: new AuditAdmin({ store }),
      workers: new WorkerAdmin({
        ...composed,
        live: () => workforce.live(),
        count: () => cluster.count(),
        release,
      }),
      replicas: new ReplicaAdmin(composed),
    },
    { tokens: [config.adminToken, config.adminTokenOld] },
  );
  return { admin, erasure, clients };
}

function composeData(config: CoordinatorConfig, composed: Composed) {
  const { dataPlane } = composed;
  const inFlight = new InFlight({
    bodyBytesPerClientMax: LIMITS.clientBodyBytesMax,
    bodyBytesMax: LIMITS.bodiesBytesMax,
    smallBodyBytesMax: LIMITS.smallBodyBytesMax,
  });
  const usedBy = async (owner: Principal) => {
    return { ...(await dataPlane.usageOf(owner)), inFlight: inFlight.count(owner.clientId) };
  };
  const spend = (payer: Payer, units: number) => composed.work.spend(payer, units);
  const limitsOf = (owner: Principal) => limitsFor(owner, composed.limitsOf(owner.clientId));
  const { collections, queries, writes, clusterInfo } = dataPlane;
  return createDataServer(
    {
      ...composed,
      plane: {
        collections,
        queries,
        writes,
        clusterInfo,
        account: new Account({ ...composed, limitsOf, usedBy, spend }),
        usage: composed.usage,
        auditTrail: composed.auditTrail,
        billing: new OwnBilling({ ...composed.billing, spend }),
        census: composed.census,
      },
      pauses: new ClientPauses({
        pauseOf: (clientId) => composed.clientLimits.pauseOf(clientId),
        billingUrl: config.billingUrl === 'none' ? undefined : config.billingUrl,
      }),
      badKeys: new BadKeys(new RateLimiter(composed)),
      rates: new RequestRates({
        clients: new RateLimiter(composed),
        keys: new RateLimiter(composed),
      }),
      inFlight,
      notReady: () => dataPlane.notReady(),
    },
    { ...config, trustedProxies: proxiesOf(config) },
  );
}

async function listen(
  server: ReturnType<typeof createDataServer>,
  name: string,
  address: { host: string; port: number },
  { clock, shutdown }: { clock: Clock; shutdown: Shutdown },
): Promise<number> {
  shutdown.add(name, new GracefulClose(server, clock));
  await server.listen(address);
  return (server.server.address() as AddressInfo).port;
}
