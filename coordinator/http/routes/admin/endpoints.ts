/** The whole admin API. */
import type { AdminEndpoint } from '../../admin-endpoint.ts';
import { ANOMALY_ENDPOINTS } from './anomalies.ts';
import { AUDIT_ENDPOINTS } from './audit.ts';
import { BILLING_ENDPOINTS } from './billing.ts';
import { BUDGET_ENDPOINTS } from './budgets.ts';
import { CENSUS_ENDPOINTS } from './censuses.ts';
import { CLIENT_ENDPOINTS } from './clients.ts';
import { COLLECTION_ENDPOINTS } from './collections.ts';
import { KEY_ENDPOINTS } from './keys.ts';
import { NOTICE_ENDPOINTS } from './notices.ts';
import { PLAN_ENDPOINTS } from './plans.ts';
import { REPLICA_ENDPOINTS } from './replicas.ts';
import { WEBHOOK_ENDPOINTS } from './webhooks.ts';
import { WORKER_ENDPOINTS } from './workers.ts';

export const ADMIN_ENDPOINTS: readonly AdminEndpoint[] = [
  ...CLIENT_ENDPOINTS,
  ...COLLECTION_ENDPOINTS,
  ...KEY_ENDPOINTS,
  ...PLAN_ENDPOINTS,
  ...BILLING_ENDPOINTS,
  ...BUDGET_ENDPOINTS,
  ...ANOMALY_ENDPOINTS,
  ...AUDIT_ENDPOINTS,
  ...CENSUS_ENDPOINTS,
  ...NOTICE_ENDPOINTS,
  ...WEBHOOK_ENDPOINTS,
  ...WORKER_ENDPOINTS,
  ...REPLICA_ENDPOINTS,
];
