/**
 * Builds the coordinator's parts once and hands each what it needs. Listening comes last, so that
 * nobody is answered by half a coordinator; closing goes the other way round, so that requests
 * under way still find their workers and the store.
 */
import path from 'node:path';
import { must } from '../shared/base/assert.ts';
import type { ClientId } from '../shared/base/ids.ts';
import type { Shutdown } from '../shared/base/shutdown.ts';
import { SteadyClock } from '../shared/base/steady-clock.ts';
import { auditSeedOf } from '../shared/crypto/audit-chain.ts';
import type { Notice } from '../shared/domain/notices.ts';
import { effectiveLimits } from '../shared/domain/plan.ts';
import { RequestMeter } from './billing/request-meter.ts';
import type { Moves } from './cluster/placing/moves.ts';
import { composeAudit } from './compose-audit.ts';
import { composeBilling } from './compose-billing.ts';
import { composeCensus } from './compose-census.ts';
import { composeCluster, composeMoves, noteSeen } from './compose-cluster.ts';
import { composeAdmin, composeData, listen } from './compose-http.ts';
import { composeKeys } from './compose-keys.ts';
import { composeNotify } from './compose-notify.ts';
import type { CoordinatorDeps, Fleet, Known, Tell } from './compose-parts.ts';
import type { CoordinatorConfig } from './config.ts';
import { Idempotency } from './control-plane/idempotency.ts';
import { Usage } from './control-plane/usage.ts';
import { WriteOnce } from './control-plane/write-once.ts';
import { DataPlane } from './data-plane/data-plane.ts';
import { Ledger } from './ledger/ledger.ts';
import { ClientLimits, type ClientTerms } from './limits/client-limits.ts';
import { RateLimiter } from './limits/rate-limiter.ts';
import { WorkBudget } from './limits/work-budget.ts';
import { ControlStore } from './store/control-store.ts';
import { WorkerLink } from './worker-link/worker-link.ts';

/** So long has the machine's clock gone as it should before anything is pruned or billed by it. */
const CLOCK_STEADY_MS = 3_600_000;

/** Starts a coordinator; resolves to the ports it listens on. */
export async function startCoordinator(
  config: CoordinatorConfig,
  deps: CoordinatorDeps,
  shutdown: Shutdown,
) {
  const { clock, log } = deps;
  const startMs = clock.monotonicMs();
  // Who has something to tell is made before who carries it on.
  const tell = (notice: Notice) => notify.tell(notice);
  const told = { ...deps, tell };
  const { store, ledger, link } = openConnections(config, told, shutdown);
  const fleet = composeCluster({ ...deps, store, ledger, link }, shutdown);
  const live = () => fleet.workforce.live();
  const notify = composeNotify(config, { ...deps, store, live }, shutdown);

  const clientLimits = new ClientLimits((clientId) => termsIn(store, clientId));
  const limitsOf = (clientId: ClientId) => clientLimits.of(clientId);
  const limits = { clientLimits, limitsOf };
  const usage = new Usage({ ledger, clock });
  const requestMeter = shutdown.add('request meter', new RequestMeter({ ledger, clock }));
  const findLimits = (clientId: ClientId) => clientLimits.find(clientId);
  const steady = new SteadyClock(clock, { steadyMs: CLOCK_STEADY_MS });
  const kept = { ...deps, store, ledger, steady };
  const audit = composeAudit(config, { ...kept, findLimits }, shutdown);
  const { auditLog, auditTrail } = audit;
  const noting = { usage, requestMeter, auditLog, auditTrail, ...notify.admin };
  const { router } = fleet;
  const billing = composeBilling(config, { ...kept, tell, clients: () => clients }, shutdown);
  const known: Known = { ...told, ...noting, ...limits, billing, store, ledger, router };
  const auth = await composeKeys(config, known, shutdown);
  const secret = config.keyPepper;
  const idempotency = new Idempotency({ ...known, secret });
  const writeOnce = new WriteOnce({ ...known, secret });
  const work = new WorkBudget({ limitsOf: findLimits, buckets: new RateLimiter(known) });
  const served = composeDataPlane(config, { ...known, ...fleet, link, work }, shutdown);
  const { dataPlane, moves } = served;
  const { census, censusAdmin } = composeCensus(config, { ...known, ...fleet, dataPlane });
  shutdown.add('census', census);
  const made = { ...served, census: censusAdmin, work, idempotency, writeOnce };
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
  notify.start();
  const { port: linkPort } = await link.start();
  const { host } = config;
  const ending = { clock, shutdown };
  const adminPort = await listen(admin, 'admin API', { host, port: config.adminPort }, ending);
  const port = await listen(data, 'data API', { host, port: config.port }, ending);
  const ms = clock.monotonicMs() - startMs;
  log.event('coordinator_ready', { host, port, adminPort, linkPort, ms });
  return { host, port, adminPort, linkPort };
}

/** The two databases, and the port that workers dial, which does not listen yet. */
function openConnections(
  { dataDir, keyPepper, ...config }: CoordinatorConfig,
  deps: CoordinatorDeps & { tell: Tell },
  shutdown: Shutdown,
) {
  const { clock, log } = deps;
  const store = ControlStore.open(path.join(dataDir, 'control.db'), { clock });
  shutdown.add('control store', store);
  const auditSeed = auditSeedOf(keyPepper);
  const ledger = new Ledger(path.join(dataDir, 'ledger.db'), deps, { auditSeed });
  shutdown.add('ledger', ledger);
  const { host, linkPort: port, linkSecret: secret } = config;
  const link = shutdown.add('worker link', new WorkerLink(deps, { host, port, secret }));
  noteSeen(store, link, log);
  return { store, ledger, link };
}

function composeDataPlane(
  { requestTimeoutMs }: CoordinatorConfig,
  parts: Known & Fleet & { link: WorkerLink; work: WorkBudget },
  shutdown: Shutdown,
) {
  const { store, clientLimits } = parts;
  const dataPlane = new DataPlane({
    ...parts,
    store: store.collections,
    resharding: store.resharding,
    copiesChanged: () => moves.soon(),
    requestTimeoutMs,
    control: store,
    idleDaysOf: (clientId) => clientLimits.find(clientId)?.idle_days_before_pause ?? 0,
    isClientPaused: (clientId) => clientLimits.pauseOf(clientId)?.scope === 'all',
  });
  shutdown.add('data plane', dataPlane);
  parts.link.onDamage((shardId, workerId) => dataPlane.damaged(shardId, workerId));
  const moves: Moves = composeMoves({ ...parts, dataPlane }, shutdown);
  return { dataPlane, moves };
}

function termsIn(store: ControlStore, clientId: ClientId): ClientTerms | undefined {
  const client = store.clients.get(clientId);
  if (client === undefined) return undefined;
  const plan = must(store.plans.get(client.planId), 'a client is on a plan');
  const paused = client.state === 'paused' ? client.paused : null;
  return { limits: effectiveLimits(plan.limits, client.overrides), paused };
}
