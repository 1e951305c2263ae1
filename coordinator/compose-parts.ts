/** What the parts of a coordinator are handed while it is built. */
import type { Clock } from '../shared/base/clock.ts';
import type { ClientId } from '../shared/base/ids.ts';
import type { SecureRandom } from '../shared/base/random.ts';
import type { Notice } from '../shared/domain/notices.ts';
import type { PlanLimits } from '../shared/domain/plan.ts';
import type { Log } from '../shared/log/log.ts';
import type { AuditLog } from './audit/audit-log.ts';
import type { Authenticator } from './auth/authenticator.ts';
import type { RequestMeter } from './billing/request-meter.ts';
import type { Cluster } from './cluster/cluster.ts';
import type { Moves } from './cluster/placing/moves.ts';
import type { WorkerHealth } from './cluster/workers/worker-health.ts';
import type { Workforce } from './cluster/workers/workforce.ts';
import type { AuditTrail } from './control-plane/audit-trail.ts';
import type { BillingAdmin } from './control-plane/billing/billing-admin.ts';
import type { CensusAdmin } from './control-plane/census.ts';
import type { Idempotency } from './control-plane/idempotency.ts';
import type { KeyAdmin } from './control-plane/keys.ts';
import type { NoticeAdmin } from './control-plane/notices.ts';
import type { Usage } from './control-plane/usage.ts';
import type { WebhookAdmin } from './control-plane/webhooks.ts';
import type { WriteOnce } from './control-plane/write-once.ts';
import type { DataPlane, DataPlaneDeps } from './data-plane/data-plane.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { ClientLimits } from './limits/client-limits.ts';
import type { WorkBudget } from './limits/work-budget.ts';
import type { Router } from './routing/router.ts';
import type { ControlStore } from './store/control-store.ts';

/** Tells operators and clients. */
export type Tell = (notice: Notice) => void;

export interface CoordinatorDeps {
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

export interface Known extends CoordinatorDeps {
  tell: Tell;
  store: ControlStore;
  ledger: Ledger;
  router: Router;
  usage: Usage;
  billing: BillingAdmin;
  requestMeter: RequestMeter;
  auditLog: AuditLog;
  auditTrail: AuditTrail;
  notices: NoticeAdmin;
  webhooks: WebhookAdmin;
  clientLimits: ClientLimits;
  limitsOf: (clientId: ClientId) => PlanLimits;
}

/** Workers, shards and the ways to them. */
export interface Fleet {
  cluster: Cluster;
  health: WorkerHealth;
  router: Router;
  workforce: Workforce;
  placesFor: DataPlaneDeps['placesFor'];
}

export interface Composed extends Known, Fleet {
  router: Router;
  authenticator: Authenticator;
  keys: KeyAdmin;
  moves: Moves;
  dataPlane: DataPlane;
  census: CensusAdmin;
  work: WorkBudget;
  idempotency: Idempotency;
  writeOnce: WriteOnce;
}
