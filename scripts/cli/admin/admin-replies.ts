/**
 * What the admin API answers, checked once here. Rows keep the API's own field names: they are
 * printed as they are with `--json`.
 */
import { CommandError } from '../command-error.ts';

type Fields = Record<string, unknown>;

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

export type Numbers = Readonly<Record<string, number>>;

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

export interface WorkerRow {
  worker_id: string;
  connected: boolean;
  shards: number;
  in_flight: number;
  first_seen_at: string | null;
  last_seen_at: string | null;
}

export interface StatusRow {
  clients: number;
  collections: number;
  shards: number;
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
    version: integer(fields, 'version'),
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
    version: integer(fields, 'version'),
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
    requests_per_second: integerOrNull(fields, 'requests_per_second'),
    secrets: list(fields, 'secrets').map(parseSecret),
    version: integer(fields, 'version'),
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
      sequence: integer(entry, 'sequence'),
      at: text(entry, 'at'),
      actor: text(entry, 'actor'),
      action: text(entry, 'action'),
      target: text(entry, 'target'),
      before: entry.before === null ? null : object(entry.before),
      after: entry.after === null ? null : object(entry.after),
      request_id: text(entry, 'request_id'),
    };
  });
  return { items, next: integerOrNull(fields, 'next') };
}

export function parseWorkers(value: unknown): WorkerRow[] {
  return list(object(value), 'workers').map(parseWorker);
}

export function parseWorker(value: unknown): WorkerRow {
  const fields = object(value);
  return {
    worker_id: text(fields, 'worker_id'),
    connected: fields.connected === true,
    shards: integer(fields, 'shards'),
    in_flight: integer(fields, 'in_flight'),
    first_seen_at: textOrNull(fields, 'first_seen_at'),
    last_seen_at: textOrNull(fields, 'last_seen_at'),
  };
}

export function parseStatus(value: unknown): StatusRow {
  const fields = object(value);
  const { workers: counts } = fields;
  const workers = object(counts);
  return {
    clients: integer(fields, 'clients'),
    collections: integer(fields, 'collections'),
    shards: integer(fields, 'shards'),
    workers: { known: integer(workers, 'known'), connected: integer(workers, 'connected') },
    in_flight: integer(fields, 'in_flight'),
    uptime_ms: integer(fields, 'uptime_ms'),
  };
}

/** One page of a listing: `{ [name]: [...], next }`. */
export function parsePage<T>(value: unknown, name: string, parse: (item: unknown) => T): Page<T> {
  const fields = object(value);
  return { items: list(fields, name).map(parse), next: textOrNull(fields, 'next') };
}

function object(value: unknown): Fields {
  if (typeof value !== 'object' || value === null) throw unexpected('an object');
  return { ...value };
}

function list(fields: Fields, name: string): unknown[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw unexpected(name);
  return value;
}

function numbers(fields: Fields, name: string): Numbers {
  const values = object(fields[name]);
  return Object.fromEntries(Object.keys(values).map((key) => [key, integer(values, key)]));
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw unexpected(name);
  return value;
}

function textOrNull(fields: Fields, name: string): string | null {
  return fields[name] === null ? null : text(fields, name);
}

function integer(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number') throw unexpected(name);
  return value;
}

function integerOrNull(fields: Fields, name: string): number | null {
  return fields[name] === null ? null : integer(fields, name);
}

function unexpected(what: string): CommandError {
  return new CommandError(`the answer is not one of a Bulkhead admin API: ${what} is missing`);
}
