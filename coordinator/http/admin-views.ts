/**
 * What the admin API shows, field by field: snake_case, times in RFC 3339 (UTC). Nothing is ever
 * spread into a reply, so a column that is added to a table does not appear here by itself.
 */

import type { WorkerLoad } from '../cluster/workers/worker-loads.ts';
import type { CensusView, ClientCensusPage, OwnCensus } from '../control-plane/census.ts';
import type { CollectionView } from '../control-plane/collections.ts';
import type { KeyWithSecret } from '../control-plane/keys.ts';
import type { ComparisonView, ReplicaView } from '../control-plane/replicas.ts';
import type { RequestAmounts, UsageReport, WriteAmounts } from '../control-plane/usage.ts';
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
    paused: client.paused,
    plan: client.planId,
    overrides: client.overrides,
    version: client.version,
    created_at: formatTime(client.createdAt),
    erase_at: timeOrNull(client.eraseAt && Math.abs(client.eraseAt)),
  };
}

export function viewCollection({ record, use }: CollectionView) {
  return {
    collection_id: record.collectionId,
    client_id: record.clientId,
    mode: record.mode,
    namespace: record.namespace,
    name: record.name,
    shards: record.shards.length,
    replication_factor: record.replicationFactor,
    created_at: formatTime(record.createdAt),
    used_at: formatTime(use.usedAt),
    pause: use.pause,
    reason: use.reason,
    paused_at: timeOrNull(use.pausedAt),
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
    state: worker.state,
    zone: worker.zone,
    dedicated_to: worker.dedicatedTo,
    draining: worker.draining,
    shards: worker.shards,
    behind: worker.behind,
    stranded: worker.stranded,
    erasing: worker.erasing,
    in_flight: worker.inFlight,
    machine: worker.machine && viewMachine(worker.machine),
    version: worker.version,
    first_seen_at: formatTime(worker.firstSeenAt),
    last_seen_at: formatTime(worker.lastSeenAt),
  };
}

function viewMachine(machine: WorkerLoad) {
  return {
    shards_on_disk: machine.shards,
    cpu: machine.cpu,
    memory_bytes: machine.memoryBytes,
    disk_free_bytes: machine.diskFreeBytes,
    disk_bytes: machine.diskBytes,
  };
}

export function viewReplica(replica: ReplicaView) {
  return {
    client_id: replica.clientId,
    mode: replica.mode,
    namespace: replica.namespace,
    collection: replica.collection,
    deleting: replica.deleting,
    filling: replica.filling,
    shard_id: replica.shardId,
    ordinal: replica.ordinal,
    worker_id: replica.workerId,
    state: replica.state,
    synced_version: replica.syncedVersion,
    versions_behind: replica.versionsBehind,
    since: formatTime(replica.since),
  };
}

export function viewComparison({ repairedRows, ...counts }: ComparisonView) {
  return { ...counts, repaired_rows: repairedRows };
}

export function viewStatus(status: SystemStatus) {
  return {
    status: status.workers.connected > 0 ? 'ok' : 'no_worker',
    uptime_ms: status.uptimeMs,
    clients: status.clients,
    collections: status.collections,
    resharding: status.resharding,
    shards: status.shards,
    shards_unreachable: status.shardsUnreachable,
    replicas: { total: status.replicas.total, behind: status.replicas.behind },
    workers: { known: status.workers.known, connected: status.workers.connected },
    in_flight: status.inFlight,
  };
}

export function viewUsage({ from, until, by, writes, requests, stored, total }: UsageReport) {
  return {
    from: formatHour(from),
    until: formatHour(until),
    by,
    writes: writes.map((row) => ({
      start: formatHour(row.start),
      namespace: row.namespace,
      key_id: row.keyId,
      ...viewWrites(row),
    })),
    requests: requests.map((row) => ({
      start: formatHour(row.start),
      namespace: row.namespace,
      key_id: row.keyId,
      route: row.route,
      status: row.status,
      ...viewRequests(row),
    })),
    stored: stored.map((row) => ({
      start: formatHour(row.start),
      namespace: row.namespace,
      points: row.points,
      bytes: row.bytes,
      byte_hours: String(row.byteHours),
    })),
    total: { ...viewWrites(total), ...viewRequests(total), byte_hours: String(total.byteHours) },
  };
}

export function viewCensus(census: CensusView) {
  const taken = census.state === 'under_way' ? undefined : census;
  return {
    census: census.census,
    day: census.day,
    kind: census.kind,
    state: census.state,
    started_at: formatTime(census.startedAt),
    finished_at: timeOrNull(taken?.finishedAt ?? null),
    file: taken?.file ?? null,
    sha256: taken?.sha256 ?? null,
    clients: taken?.clients ?? null,
    collections: taken?.collections ?? null,
    shards: taken?.shards ?? null,
    unknown_shards: taken?.unknownShards ?? null,
    points: taken?.points ?? null,
    bytes: taken?.bytes ?? null,
    memory_bytes: taken?.memoryBytes ?? null,
    disk_bytes: taken?.diskBytes ?? null,
  };
}

/** The parts of an archive's lines are named as here. */
export function viewClientCensus({
  census,
  clientId,
  client,
  collections,
  next,
}: ClientCensusPage) {
  return {
    census,
    client_id: clientId,
    plan: client?.plan ?? null,
    state: client?.state ?? null,
    live: client?.live ?? null,
    test: client?.test ?? null,
    collections,
    next,
  };
}

/** Where copies are is not a client's to know. */
export function viewOwnCensus({ record, rows }: OwnCensus) {
  const collections = rows.map((row) => ({
    namespace: row.namespace,
    collection: row.collection,
    points: row.points,
    bytes: row.bytes,
    unknown_shards: row.unknownShards,
  }));
  const sum = (of: (row: (typeof collections)[number]) => number) => {
    return collections.reduce((total, row) => total + of(row), 0);
  };
  return {
    day: record?.day ?? null,
    finished_at: timeOrNull(record?.finishedAt ?? null),
    sha256: record?.sha256 ?? null,
    collections,
    total: { points: sum(({ points }) => points), bytes: sum(({ bytes }) => bytes) },
  };
}

function viewWrites({ writes, written, deleted, bytes }: WriteAmounts) {
  return { writes, points_written: written, points_deleted: deleted, bytes_written: bytes };
}

function viewRequests({ requests, queries, units, bytesIn, bytesOut }: RequestAmounts) {
  return { requests, queries, units, bytes_in: bytesIn, bytes_out: bytesOut };
}

const MS_PER_HOUR = 3_600_000;

/** Of an hour since 1970, its beginning. */
export function formatHour(hour: number): string {
  return formatTime(hour * MS_PER_HOUR);
}

function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}

export function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : formatTime(ms);
}
