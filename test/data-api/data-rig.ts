/** The data API over a real `control.db` and a worker in memory. */
import { join } from 'node:path';
import { AuditLog } from '../../coordinator/audit/audit-log.ts';
import { Authenticator } from '../../coordinator/auth/authenticator.ts';
import { Epochs } from '../../coordinator/auth/epochs.ts';
import { KeyDigester } from '../../coordinator/auth/key-digest.ts';
import { createKeyHash } from '../../coordinator/auth/key-hash.ts';
import type { Principal } from '../../coordinator/auth/principal.ts';
import { RequestMeter } from '../../coordinator/billing/request-meter.ts';
import { Cluster } from '../../coordinator/cluster/cluster.ts';
import { REPLICATION_TIMING } from '../../coordinator/cluster/replicas/timing.ts';
import { Account } from '../../coordinator/control-plane/account.ts';
import { AuditTrail } from '../../coordinator/control-plane/audit-trail.ts';
import { OwnBilling } from '../../coordinator/control-plane/billing/own-billing.ts';
import { Idempotency } from '../../coordinator/control-plane/idempotency.ts';
import { KeyAdmin } from '../../coordinator/control-plane/keys.ts';
import { Usage } from '../../coordinator/control-plane/usage.ts';
import { WriteOnce } from '../../coordinator/control-plane/write-once.ts';
import { DataPlane } from '../../coordinator/data-plane/data-plane.ts';
import { limitsFor } from '../../coordinator/data-plane/test-limits.ts';
import { createDataServer } from '../../coordinator/http/data-server.ts';
import type { Plane } from '../../coordinator/http/endpoint.ts';
import { GracefulClose } from '../../coordinator/http/graceful-close.ts';
import { BadKeys } from '../../coordinator/limits/bad-keys.ts';
import { ClientPauses } from '../../coordinator/limits/client-pauses.ts';
import { InFlight } from '../../coordinator/limits/in-flight.ts';
import { RateLimiter } from '../../coordinator/limits/rate-limiter.ts';
import { RequestRates } from '../../coordinator/limits/request-rates.ts';
import { WorkBudget } from '../../coordinator/limits/work-budget.ts';
import { HEDGE_MS, Router } from '../../coordinator/routing/router.ts';
import { ControlStore } from '../../coordinator/store/control-store.ts';
import { must } from '../../shared/base/assert.ts';
import { type Clock, systemClock } from '../../shared/base/clock.ts';
import type { ClientId, KeyId, ShardId } from '../../shared/base/ids.ts';
import { secureRandom } from '../../shared/base/random.ts';
import type { Mode, ShardDescriptor } from '../../shared/domain/collection.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { NAMESPACE_DEFAULT } from '../../shared/domain/namespace.ts';
import { ROLES } from '../../shared/domain/permissions.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import { type Log, quietLog } from '../../shared/log/log.ts';
import { billingOver } from '../harness/billing.ts';
import { CensusWorld } from '../harness/census-world.ts';
import { type Cleanup, cleanUp } from '../harness/cleanup.ts';
import { notifyParts } from '../harness/notify-parts.ts';
import { SyncLedger } from '../harness/sync-ledger.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { FakeWorker } from './fake-worker.ts';

export const CLIENT_A = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
export const CLIENT_B = 'cl_bbbbbbbbbbbbbbbb' as ClientId;
const PEPPER = 'pepper'.repeat(8);
const keyOf = (clientId: ClientId, mode: Mode) => ({
  clientId,
  mode,
  keyId: 'key_aaaaaaaaaaaaaaaa' as KeyId,
  role: 'admin' as const,
  namespaces: [NAMESPACE_DEFAULT],
  namespace: NAMESPACE_DEFAULT,
  requestsPerSecond: null,
  endsAt: null,
});
/**
 * `a-live`, `a-test`, `b-live` may do everything in `default`; `a-live-reader`, `b-test-writer` and so
 * on what their role may; `a-live-regions` works in `eu` and `us`, `a-live-everywhere` in all namespaces.
 */
const KEYS = new Map<string, Principal>([
  ['a-live', keyOf(CLIENT_A, 'live')],
  ['a-test', keyOf(CLIENT_A, 'test')],
  ['b-live', keyOf(CLIENT_B, 'live')],
  ['a-live-regions', { ...keyOf(CLIENT_A, 'live'), namespaces: ['eu', 'us'], namespace: 'eu' }],
  ['a-live-everywhere', { ...keyOf(CLIENT_A, 'live'), namespaces: null }],
  ...ROLES.flatMap((role) => {
    return (['live', 'test'] as const).flatMap((mode) => [
      [`a-${mode}-${role}`, { ...keyOf(CLIENT_A, mode), role }] as const,
      [`b-${mode}-${role}`, { ...keyOf(CLIENT_B, mode), role }] as const,
    ]);
  }),
]);

/** Knows `KEYS`, and what `keys` makes. */
async function authOver(store: ControlStore, limits: PlanLimits, clock: Clock) {
  const digester = new KeyDigester(PEPPER);
  const hash = await createKeyHash(secureRandom.bytes);
  const base = { keys: store.apiKeys, epochs: new Epochs(), digester, hash, clock };
  const real = new Authenticator(base);
  const keys = new KeyAdmin({
    store,
    caches: real,
    digest: (key) => digester.digest(key),
    keysMax: () => limits.keys,
    random: secureRandom,
    clock,
    log: quietLog,
  });
  const authenticator = {
    authenticate: (key: string) => KEYS.get(key) ?? real.authenticate(key),
    epochOf: (clientId: ClientId) => real.epochOf(clientId),
    mayHold: (key: string) => KEYS.has(key) || real.mayHold(key),
  };
  return { authenticator, keys };
}

const REQUEST_TIMEOUT_MS = 5_000;

export interface RigOptions {
  perClientMax?: number;
  limits?: Partial<PlanLimits>;
  bodyBytesMax?: number;
  queryTimeoutMs?: number;
  trustedProxies?: string[];
  /** Bytes of bodies under way: of one client and of all. */
  clientBodiesMax?: number;
  bodiesMax?: number;
  clock?: Clock;
  /** Of retries and slices. */
  planeClock?: Clock;
}

interface RigState {
  notReady: string | undefined;
  /** How often it was said that there shall be more copies or fewer. */
  copiesChanged: number;
  planes: DataPlane[];
  clusters: Cluster[];
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: replies are read field by field in assertions
  json: any;
}

export type DataRig = Awaited<ReturnType<typeof startRig>>;

export async function startRig(t: Cleanup, options: RigOptions = {}) {
  const { store, ledger, folder } = storesIn(t);
  const worker = new FakeWorker();
  const events: { event: string; fields: object }[] = [];
  const log: Log = { event: (event, fields) => void events.push({ event, fields }) };
  const limits = limitsOf(store, options);
  const inFlight = inFlightOf(options);
  const state: RigState = { notReady: undefined, copiesChanged: 0, planes: [], clusters: [] };
  const clock = options.clock ?? systemClock;
  const gone = new Set<ClientId>();
  const work = workOver(limits, gone, clock);
  const openPlane = () => {
    const over = clusterOver(worker, { store, ledger, log });
    state.clusters.push(over.cluster);
    const plane = new DataPlane({
      ...storedIn(store),
      ...over,
      clock: options.planeClock ?? systemClock,
      limitsOf: () => limits,
      copiesChanged: () => ++state.copiesChanged,
      work,
      random: secureRandom,
      log,
    });
    plane.start();
    state.planes.push(plane);
    return plane;
  };
  const { authenticator, keys } = await authOver(store, limits, clock);
  const stores = { store, ledger, census: new CensusWorld(t, { store, ledger, folder, clock }) };
  const plane = planeOf(openPlane(), { ...stores, keys, limits, clock });
  const noting = notingOver(t, ledger, clock);
  const writeOnce = new WriteOnce({ store, secret: PEPPER, clock });
  const server = createDataServer(
    {
      authenticator,
      work,
      badKeys: new BadKeys(new RateLimiter({ clock })),
      plane,
      writeOnce,
      clientLimits: { of: () => limits },
      rates: ratesOver(clock),
      inFlight,
      ...noting,
      notReady: () => state.notReady,
      log,
      clock,
    },
    serverOptionsOf(options),
  );
  const ending = new GracefulClose(server, systemClock);
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  cleanUp(t, async () => {
    await ending.close();
    await noting.requestMeter.close();
    for (const plane of state.planes) plane.close();
    await Promise.all(state.clusters.map((cluster) => cluster.close()));
    store.close();
  });
  return {
    ...stores,
    url,
    ending,
    worker,
    events,
    inFlight,
    noting,
    state,
    limits,
    gone,
    work,
    plane,
    writeOnce,
    keys,
    call: callerOf(url),
    openPlane,
  };
}

function serverOptionsOf({ queryTimeoutMs = 2_000, trustedProxies, bodyBytesMax }: RigOptions) {
  return {
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    queryTimeoutMs,
    ...(trustedProxies && { trustedProxies }),
    ...(bodyBytesMax === undefined ? {} : { bodyBytesMax }),
  };
}

function storedIn(store: ControlStore) {
  const { collections, resharding } = store;
  const pausing = {
    control: store,
    idleDaysOf: () => 0,
    isClientPaused: () => false,
    tell: () => undefined,
  };
  return { store: collections, resharding, ...pausing, requestTimeoutMs: REQUEST_TIMEOUT_MS };
}

function ratesOver(clock: Clock): RequestRates {
  return new RequestRates({
    clients: new RateLimiter({ clock }),
    keys: new RateLimiter({ clock }),
  });
}

function inFlightOf({ clientBodiesMax, bodiesMax }: RigOptions): InFlight {
  return new InFlight({
    bodyBytesPerClientMax: clientBodiesMax ?? LIMITS.clientBodyBytesMax,
    bodyBytesMax: bodiesMax ?? LIMITS.bodiesBytesMax,
    smallBodyBytesMax: LIMITS.smallBodyBytesMax,
  });
}

function storesIn(t: Cleanup) {
  const folder = temporaryFolder(t);
  const store = ControlStore.open(join(folder, 'control.db'), { clock: systemClock });
  for (const clientId of [CLIENT_A, CLIENT_B]) store.clients.create({ clientId, name: clientId });
  return { store, ledger: new SyncLedger(t, folder), folder };
}

/** What of a cluster the data plane needs, with one worker. */
function clusterOver(
  worker: FakeWorker,
  { store, ledger, log }: { store: ControlStore; ledger: SyncLedger; log: Log },
) {
  // A class with private fields is only itself to the compiler; the fake has all it offers.
  const link = worker as never;
  const timing = { ...REPLICATION_TIMING, startGraceMs: 0 };
  const known = { link, store: store.replicas, ledger, clock: systemClock, log, timing };
  const cluster = new Cluster(known);
  const health = { isDoubtful: () => false, answered: () => undefined, lostRace: () => undefined };
  const setOf = (shardId: ShardId) => cluster.set(shardId);
  const router = new Router({ link, setOf, health, clock: systemClock, hedgeMs: HEDGE_MS });
  const placesFor = (_: ClientId, shards: readonly ShardId[]) => {
    return shards.map(() => worker.connected());
  };
  return { cluster, router, placesFor };
}

function workOver(limits: PlanLimits, gone: ReadonlySet<ClientId>, clock: Clock): WorkBudget {
  return new WorkBudget({
    limitsOf: (clientId) => (gone.has(clientId) ? undefined : limits),
    buckets: new RateLimiter({ clock }),
  });
}

function notingOver(t: Cleanup, ledger: SyncLedger, clock: Clock) {
  const requestMeter = new RequestMeter({ ledger, clock });
  const auditLog = new AuditLog({ ledger, clock });
  cleanUp(t, () => auditLog.close());
  const pauses = new ClientPauses({ pauseOf: () => null, billingUrl: undefined });
  return { requestMeter, auditLog, pauses, random: secureRandom };
}

function planeOf(
  data: DataPlane,
  known: {
    store: ControlStore;
    ledger: SyncLedger;
    census: CensusWorld;
    keys: KeyAdmin;
    limits: PlanLimits;
    clock: Clock;
  },
): Plane {
  const { collections, queries, writes, clusterInfo } = data;
  const account = accountOver(known.store, data, known.keys, known.limits);
  const auditTrail = new AuditTrail({ ...known, publicKey: known.ledger.publicKey });
  const usage = new Usage(known);
  const billing = new OwnBilling({ ...billingOver(known), spend: () => undefined });
  const census = known.census.admin;
  const { notices, webhooks } = notifyParts(known);
  const ofClient = { account, usage, auditTrail, census, billing, notices, webhooks };
  return { collections, queries, writes, clusterInfo, ...ofClient };
}

function accountOver(
  store: ControlStore,
  plane: DataPlane,
  keys: KeyAdmin,
  limits: PlanLimits,
): Account {
  const usedBy = async (owner: Principal) => {
    return { ...(await plane.usageOf(owner)), inFlight: 1 };
  };
  const limitsOf = (owner: Principal) => limitsFor(owner, limits);
  const idempotency = new Idempotency({
    store,
    secret: PEPPER,
    random: secureRandom,
    clock: systemClock,
  });
  return new Account({
    store,
    keys,
    limitsOf,
    usedBy,
    idempotency,
    spend: () => undefined,
    charge: () => undefined,
  });
}

/** `body` is sent as it is when it is a text, else as JSON. */
function callerOf(url: string) {
  return async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { 'api-key': 'a-live', ...json, ...headers },
      ...(body !== undefined && { body: text }),
    });
    const answer = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json');
    const { status, headers: answered } = response;
    return { status, headers: answered, text: answer, json: isJson && JSON.parse(answer) };
  };
}

function limitsOf(store: ControlStore, { perClientMax = 256, limits }: RigOptions): PlanLimits {
  const plan = must(store.plans.get('dedicated'), 'it is there from the start');
  return { ...plan.limits, in_flight: perClientMax, ...limits };
}

/** The collection `c` of 4 dimensions. */
export async function createSmall(rig: DataRig, distance = 'Cosine', name = 'c'): Promise<void> {
  const answer = await rig.call('PUT', `/collections/${name}`, { vectors: { size: 4, distance } });
  if (answer.status !== 200) throw new Error(answer.text);
}

/** A keyword index of the collection `c`. */
export function addIndex(rig: DataRig, field: string): Promise<Answer> {
  const body = { field_name: field, field_schema: 'keyword' };
  return rig.call('PUT', '/collections/c/index', body);
}

/** What the worker knows of its only shard. */
export function descriptor(rig: DataRig): ShardDescriptor | undefined {
  return [...rig.worker.shards.values()][0]?.descriptor;
}
