/**
 * What the admin API shows, field by field: snake_case, times in RFC 3339 (UTC). Nothing is ever
 * spread into a reply, so a column that is added to a table does not appear here by itself.
 */
import type { KeyWithSecret } from '../control-plane/keys.ts';
import type { SystemStatus, WorkerView } from '../control-plane/workers.ts';
import type { AdminAuditEntry } from '../store/admin-audit.ts';
import type { ApiKeyRecord } from '../store/api-keys.ts';
import type { ClientRecord } from '../store/clients.ts';
import type { PlanRecord } from '../store/plans.ts';

export function viewClient(client: ClientRecord) {
  return {
    client_id: client.clientId,
    name: client.name,
    state: client.state,
    reason: client.stateReason,
    plan: client.planId,
    overrides: client.overrides,
    version: client.version,
    created_at: formatTime(client.createdAt),
    erase_at: timeOrNull(client.eraseAt && Math.abs(client.eraseAt)),
  };
}

export function viewPlan(plan: PlanRecord) {
  return {
    plan: plan.planId,
    limits: plan.limits,
    prices: plan.prices,
    version: plan.version,
    updated_at: formatTime(plan.updatedAt),
  };
}

export function viewAuditEntry(entry: AdminAuditEntry) {
  return {
    sequence: entry.sequence,
    at: formatTime(entry.at),
    actor: entry.actor,
    action: entry.action,
    target: entry.target,
    before: entry.before,
    after: entry.after,
    request_id: entry.requestId,
  };
}

export function viewKey(key: ApiKeyRecord) {
  return {
    key_id: key.keyId,
    client_id: key.clientId,
    mode: key.mode,
    name: key.name,
    role: key.role,
    namespaces: key.namespaces,
    requests_per_second: key.requestsPerSecond,
    secrets: key.secrets.map(({ prefix, createdAt, endsAt }) => ({
      prefix: `bh_${key.mode}_${prefix}`,
      created_at: formatTime(createdAt),
      ends_at: timeOrNull(endsAt),
    })),
    version: key.version,
    created_at: formatTime(key.createdAt),
    expires_at: timeOrNull(key.expiresAt),
    revoked_at: timeOrNull(key.revokedAt),
    last_used_at: timeOrNull(key.lastUsedAt),
  };
}

export function viewKeyWithSecret({ record, secret }: KeyWithSecret) {
  return { ...viewKey(record), key: secret };
}

export function viewWorker(worker: WorkerView) {
  return {
    worker_id: worker.workerId,
    connected: worker.connected,
    shards: worker.shards,
    in_flight: worker.inFlight,
    first_seen_at: timeOrNull(worker.firstSeenAt),
    last_seen_at: timeOrNull(worker.lastSeenAt),
  };
}

export function viewStatus(status: SystemStatus) {
  return {
    status: status.workers.connected > 0 ? 'ok' : 'no_worker',
    uptime_ms: status.uptimeMs,
    clients: status.clients,
    collections: status.collections,
    shards: status.shards,
    workers: { known: status.workers.known, connected: status.workers.connected },
    in_flight: status.inFlight,
  };
}

function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : formatTime(ms);
}
