/**
 * What the admin API answers, checked once here. Rows keep the API's own field names: they are
 * printed as they are with `--json`.
 */
import {
  type Fields,
  list,
  type Numbers,
  number,
  numberOrNull,
  numbers,
  object,
  text,
  textOrNull,
} from './reply-fields.ts';

export interface ClientRow {
  client_id: string;
  name: string;
  state: string;
  reason: string | null;
  plan: string;
  overrides: Numbers;
  version: number;
  created_at: string;
  /** When all that the client has is erased, if it is being deleted. */
  erase_at: string | null;
}

export interface PlanRow {
  plan: string;
  limits: Numbers;
  prices: Numbers;
  version: number;
  updated_at: string;
}

export interface KeyRow {
  key_id: string;
  client_id: string;
  name: string;
  mode: string;
  role: string;
  /** Null: all of the client's. */
  namespaces: string[] | null;
  requests_per_second: number | null;
  secrets: { prefix: string; created_at: string; ends_at: string | null }[];
  version: number;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  last_used_at: string | null;
}

/** `key` is shown this once. */
export interface KeyWithSecret extends KeyRow {
  key: string;
}

export interface WriteAmounts {
  /** Those that changed something, counted by each shard. */
  writes: number;
  points_written: number;
  points_deleted: number;
  bytes_written: number;
}

export interface RequestAmounts {
  requests: number;
  queries: number;
  units: number;
  bytes_in: number;
  bytes_out: number;
}

/** Whose use it was, and when. */
export interface UsageOf {
  /** What the period begins with. */
  start: string;
  namespace: string;
  key_id: string;
}

export interface UsageReport {
  writes: (UsageOf & WriteAmounts)[];
  /** By route and status. */
  requests: (UsageOf & RequestAmounts)[];
  /** By day at most: what each day's census found. */
  stored: StoredRow[];
  total: WriteAmounts & RequestAmounts & { byte_hours: string };
}

export interface StoredRow {
  start: string;
  namespace: string;
  points: number;
  bytes: number;
  /** An integer that may pass 2^53. */
  byte_hours: string;
}

export interface AuditRow {
  sequence: number;
  at: string;
  actor: string;
  action: string;
  target: string;
  before: Fields | null;
  after: Fields | null;
  request_id: string;
}

export interface AuditPage {
  items: AuditRow[];
  next: number | null;
}

export interface WorkerMachine {
  shards_on_disk: number;
  /** Processors in use. */
  cpu: number;
  memory_bytes: number;
  disk_free_bytes: number;
  disk_bytes: number;
}

export interface WorkerRow {
  worker_id: string;
  connected: boolean;
  state: string;
  zone: string | null;
  dedicated_to: string | null;
  draining: boolean;
  /** Replicas on it; of these, those that lack writes, and those that nobody may take from it. */
  shards: number;
  behind: number;
  stranded: number;
  /** Former replicas whose files it has still. */
  erasing: number;
  in_flight: number;
  /** What it takes of its machine; null when it is away or has not said it yet. */
  machine: WorkerMachine | null;
  version: number;
  first_seen_at: string;
  last_seen_at: string;
}

export interface ReplicaRow {
  client_id: string;
  mode: string;
  namespace: string;
  collection: string;
  deleting: boolean;
  filling: boolean;
  shard_id: string;
  ordinal: number;
  worker_id: string;
  state: string;
  /** Null when the last version of the shard is not known at the moment, as of the next. */
  synced_version: number | null;
  versions_behind: number | null;
  since: string;
}

/** Counts since the coordinator started, but for `waiting`. */
export interface ComparisonRow {
  waiting: number;
  compared: number;
  differed: number;
  repaired_rows: number;
  skipped: number;
  failed: number;
}

export interface StatusRow {
  clients: number;
  collections: number;
  /** Those of them that are being divided into another number of shards. */
  resharding: number;
  shards: number;
  /** Without a replica in sync on a worker that is connected. */
  shards_unreachable: number;
  replicas: { total: number; behind: number };
  workers: { known: number; connected: number };
  in_flight: number;
  uptime_ms: number;
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

export function parseClient(value: unknown): ClientRow {
  const fields = object(value);
  return {
    client_id: text(fields, 'client_id'),
    name: text(fields, 'name'),
    state: text(fields, 'state'),
    reason: textOrNull(fields, 'reason'),
    plan: text(fields, 'plan'),
    overrides: numbers(fields, 'overrides'),
    version: number(fields, 'version'),
    created_at: text(fields, 'created_at'),
    erase_at: textOrNull(fields, 'erase_at'),
  };
}

export function parsePlan(value: unknown): PlanRow {
  const fields = object(value);
  return {
    plan: text(fields, 'plan'),
    limits: numbers(fields, 'limits'),
    prices: numbers(fields, 'prices'),
    version: number(fields, 'version'),
    updated_at: text(fields, 'updated_at'),
  };
}

export function parsePlans(value: unknown): PlanRow[] {
  return list(object(value), 'plans').map(parsePlan);
}

export function parseKey(value: unknown): KeyRow {
  const fields = object(value);
  return {
    key_id: text(fields, 'key_id'),
    client_id: text(fields, 'client_id'),
    name: text(fields, 'name'),
    mode: text(fields, 'mode'),
    role: text(fields, 'role'),
    namespaces: fields.namespaces === null ? null : list(fields, 'namespaces').map(String),
    requests_per_second: numberOrNull(fields, 'requests_per_second'),
    secrets: list(fields, 'secrets').map(parseSecret),
    version: number(fields, 'version'),
    created_at: text(fields, 'created_at'),
    expires_at: textOrNull(fields, 'expires_at'),
    revoked_at: textOrNull(fields, 'revoked_at'),
    last_used_at: textOrNull(fields, 'last_used_at'),
  };
}

function parseSecret(value: unknown): KeyRow['secrets'][number] {
  const fields = object(value);
  return {
    prefix: text(fields, 'prefix'),
    created_at: text(fields, 'created_at'),
    ends_at: textOrNull(fields, 'ends_at'),
  };
}

export function parseKeyWithSecret(value: unknown): KeyWithSecret {
  return { ...parseKey(value), key: text(object(value), 'key') };
}

export function parseAudit(value: unknown): AuditPage {
  const fields = object(value);
  const items = list(fields, 'entries').map((item): AuditRow => {
    const entry = object(item);
    return {
      sequence: number(entry, 'sequence'),
      at: text(entry, 'at'),
      actor: text(entry, 'actor'),
      action: text(entry, 'action'),
      target: text(entry, 'target'),
      before: entry.before === null ? null : object(entry.before),
      after: entry.after === null ? null : object(entry.after),
      request_id: text(entry, 'request_id'),
    };
  });
  return { items, next: numberOrNull(fields, 'next') };
}

export function parseAuditKey(value: unknown): string {
  return text(object(value), 'public_key');
}

/** Its heads are lines, too. */
export function parseAuditExport(value: unknown): {
  text: string;
  next: number | null;
  until: number;
} {
  const fields = object(value);
  const heads = list(fields, 'heads').map((head) => `${JSON.stringify(head)}\n`);
  const lines = heads.join('') + text(fields, 'text');
  return { text: lines, next: numberOrNull(fields, 'next'), until: number(fields, 'until') };
}

export function parseUsage(value: unknown): UsageReport {
  const fields = object(value);
  const writes = list(fields, 'writes').map((item) => {
    const row = object(item);
    return { ...usageOf(row), ...writesOf(row) };
  });
  const requests = list(fields, 'requests').map((item) => {
    const row = object(item);
    return { ...usageOf(row), ...requestsOf(row) };
  });
  const stored = list(fields, 'stored').map(parseStored);
  const total = object(fields.total);
  const byte_hours = text(total, 'byte_hours');
  const sums = { ...writesOf(total), ...requestsOf(total), byte_hours };
  return { writes, requests, stored, total: sums };
}

function parseStored(value: unknown): StoredRow {
  const fields = object(value);
  return {
    start: text(fields, 'start'),
    namespace: text(fields, 'namespace'),
    points: number(fields, 'points'),
    bytes: number(fields, 'bytes'),
    byte_hours: text(fields, 'byte_hours'),
  };
}

function usageOf(row: Fields): UsageOf {
  return {
    start: text(row, 'start'),
    namespace: text(row, 'namespace'),
    key_id: text(row, 'key_id'),
  };
}

function requestsOf(fields: Fields): RequestAmounts {
  return {
    requests: number(fields, 'requests'),
    queries: number(fields, 'queries'),
    units: number(fields, 'units'),
    bytes_in: number(fields, 'bytes_in'),
    bytes_out: number(fields, 'bytes_out'),
  };
}

function writesOf(fields: Fields): WriteAmounts {
  return {
    writes: number(fields, 'writes'),
    points_written: number(fields, 'points_written'),
    points_deleted: number(fields, 'points_deleted'),
    bytes_written: number(fields, 'bytes_written'),
  };
}

export function parseWorkers(value: unknown): WorkerRow[] {
  return list(object(value), 'workers').map(parseWorker);
}

export function parseWorker(value: unknown): WorkerRow {
  const fields = object(value);
  return {
    worker_id: text(fields, 'worker_id'),
    connected: fields.connected === true,
    state: text(fields, 'state'),
    zone: textOrNull(fields, 'zone'),
    dedicated_to: textOrNull(fields, 'dedicated_to'),
    draining: fields.draining === true,
    shards: number(fields, 'shards'),
    behind: number(fields, 'behind'),
    stranded: number(fields, 'stranded'),
    erasing: number(fields, 'erasing'),
    in_flight: number(fields, 'in_flight'),
    machine: fields.machine === null ? null : parseMachine(fields.machine),
    version: number(fields, 'version'),
    first_seen_at: text(fields, 'first_seen_at'),
    last_seen_at: text(fields, 'last_seen_at'),
  };
}

function parseMachine(value: unknown): WorkerMachine {
  const fields = object(value);
  return {
    shards_on_disk: number(fields, 'shards_on_disk'),
    cpu: number(fields, 'cpu'),
    memory_bytes: number(fields, 'memory_bytes'),
    disk_free_bytes: number(fields, 'disk_free_bytes'),
    disk_bytes: number(fields, 'disk_bytes'),
  };
}

export function parseComparison(value: unknown): ComparisonRow {
  const fields = object(value);
  return {
    waiting: number(fields, 'waiting'),
    compared: number(fields, 'compared'),
    differed: number(fields, 'differed'),
    repaired_rows: number(fields, 'repaired_rows'),
    skipped: number(fields, 'skipped'),
    failed: number(fields, 'failed'),
  };
}

export function parseReplica(value: unknown): ReplicaRow {
  const fields = object(value);
  return {
    client_id: text(fields, 'client_id'),
    mode: text(fields, 'mode'),
    namespace: text(fields, 'namespace'),
    collection: text(fields, 'collection'),
    deleting: fields.deleting === true,
    filling: fields.filling === true,
    shard_id: text(fields, 'shard_id'),
    ordinal: number(fields, 'ordinal'),
    worker_id: text(fields, 'worker_id'),
    state: text(fields, 'state'),
    synced_version: numberOrNull(fields, 'synced_version'),
    versions_behind: numberOrNull(fields, 'versions_behind'),
    since: text(fields, 'since'),
  };
}

export function parseStatus(value: unknown): StatusRow {
  const fields = object(value);
  const workers = object(fields.workers);
  const replicas = object(fields.replicas);
  return {
    clients: number(fields, 'clients'),
    collections: number(fields, 'collections'),
    resharding: number(fields, 'resharding'),
    shards: number(fields, 'shards'),
    shards_unreachable: number(fields, 'shards_unreachable'),
    replicas: { total: number(replicas, 'total'), behind: number(replicas, 'behind') },
    workers: { known: number(workers, 'known'), connected: number(workers, 'connected') },
    in_flight: number(fields, 'in_flight'),
    uptime_ms: number(fields, 'uptime_ms'),
  };
}

/** One page of a listing: `{ [name]: [...], next }`. */
export function parsePage<T>(value: unknown, name: string, parse: (item: unknown) => T): Page<T> {
  const fields = object(value);
  return { items: list(fields, name).map(parse), next: textOrNull(fields, 'next') };
}
