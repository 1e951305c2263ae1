/**
 * What the admin API answers, as JSON Schema. The OpenAPI document names these; a test holds every
 * reply against them.
 */
import Type, { type TSchema } from 'typebox';
import { CENSUS_KINDS } from '../../shared/crypto/census-seal.ts';
import { ROLES } from '../../shared/domain/permissions.ts';
import { PLAN_LIMITS, PLAN_PRICES } from '../../shared/domain/plan.ts';
import { ERROR_CODES } from '../../shared/errors/codes.ts';
import { SHARD_SOURCES } from '../census/lines.ts';
import { HEALTH_STATES } from '../cluster/workers/worker-health.ts';
import { CENSUS_STATES, PERIODS } from '../ledger/entries.ts';
import { REPLICA_STATES } from '../store/replicas.ts';
import {
  Anomaly,
  Budget,
  Invoice,
  InvoiceLine,
  Statement,
  StatementLine,
} from './billing-schemas.ts';
import {
  Notice,
  Recipients,
  Replayed,
  Told,
  Webhook,
  WebhookDelivery,
  WebhookWithSecret,
} from './notify-schemas.ts';
import { ROUTE_CLASSES } from './route-class.ts';
import { closedObject } from './validation.ts';

const Time = Type.String({ format: 'date-time', description: 'UTC' });
const orNull = (schema: TSchema) => Type.Union([schema, Type.Null()]);
const Version = Type.Integer({ minimum: 1, description: 'raised with each change; the ETag' });

const Limits = closedObject(
  Object.fromEntries(
    Object.entries(PLAN_LIMITS).map(([name, { min, max, help }]) => {
      return [name, Type.Integer({ minimum: min, maximum: max, description: help })];
    }),
  ),
);
const Prices = closedObject(
  Object.fromEntries(
    Object.entries(PLAN_PRICES).map(([name, help]) => {
      return [name, Type.Integer({ minimum: 0, description: `millionths, ${help}` })];
    }),
  ),
);

export const Client = closedObject({
  client_id: Type.String(),
  name: Type.String(),
  state: Type.Enum(['active', 'paused', 'suspended', 'deleting']),
  reason: orNull(Type.String()),
  paused: orNull(
    closedObject({
      pause: Type.Enum(['budget', 'manual']),
      scope: Type.Enum(['writes', 'all'], { description: 'what is refused' }),
    }),
  ),
  plan: Type.String(),
  overrides: Type.Partial(Limits),
  version: Version,
  created_at: Time,
  erase_at: orNull(Time),
});

export const Collection = closedObject({
  collection_id: Type.String(),
  client_id: Type.String(),
  mode: Type.Enum(['live', 'test']),
  namespace: Type.String(),
  name: Type.String(),
  shards: Type.Integer({ minimum: 1 }),
  replication_factor: Type.Integer({ minimum: 1 }),
  created_at: Time,
  used_at: { ...Time, description: 'the last request for its points, or later' },
  pause: orNull(Type.Enum(['idle', 'manual'], { description: 'idle: its next request wakes it' })),
  reason: orNull(Type.String()),
  paused_at: orNull(Time),
});

export const Plan = closedObject({
  plan: Type.String(),
  limits: Limits,
  prices: Prices,
  version: Version,
  updated_at: Time,
});

const keyFields = {
  key_id: Type.String(),
  client_id: Type.String(),
  mode: Type.Enum(['live', 'test']),
  name: Type.String(),
  role: Type.Enum([...ROLES]),
  namespaces: orNull(Type.Array(Type.String(), { description: 'those it may touch; null: all' })),
  requests_per_second: orNull(Type.Integer({ minimum: 1 })),
  secrets: Type.Array(
    closedObject({ prefix: Type.String(), created_at: Time, ends_at: orNull(Time) }),
    { description: 'the current one, and the one before while it holds' },
  ),
  version: Version,
  created_at: Time,
  expires_at: orNull(Time),
  revoked_at: orNull(Time),
  last_used_at: orNull(Time),
};
export const Key = closedObject(keyFields);
export const KeyWithSecret = closedObject({
  ...keyFields,
  key: Type.String({ description: 'the key itself, shown this once' }),
});

export const AuditEntry = closedObject({
  sequence: Type.Integer({ minimum: 1 }),
  at: Time,
  actor: Type.String(),
  action: Type.String(),
  target: Type.String({ description: 'id of what was changed' }),
  before: orNull(Type.Object({})),
  after: orNull(Type.Object({})),
  request_id: Type.String(),
});

const Count = Type.Integer({ minimum: 0 });

/** Of a worker that is away, or that has not said it yet, there is none. */
const WorkerMachine = closedObject({
  shards_on_disk: Type.Integer({ minimum: 0, description: 'in its folder, as it says itself' }),
  cpu: Type.Number({ minimum: 0, description: 'processors in use, over the last seconds' }),
  memory_bytes: Type.Integer({ minimum: 0, description: 'of the whole process' }),
  disk_free_bytes: Type.Integer({ minimum: 0, description: 'where its data folder is' }),
  disk_bytes: Count,
});

export const Worker = closedObject({
  worker_id: Type.String(),
  connected: Type.Boolean(),
  state: Type.Enum([...HEALTH_STATES]),
  zone: orNull(Type.String({ description: 'what fails together with it' })),
  dedicated_to: orNull(Type.String({ description: 'the client whose data alone it holds' })),
  draining: Type.Boolean({ description: 'it gives away what it holds and gets nothing new' }),
  shards: Type.Integer({ minimum: 0, description: 'replicas on it' }),
  behind: Type.Integer({ minimum: 0, description: 'of these, that lack writes' }),
  stranded: Type.Integer({
    minimum: 0,
    description: 'of these, that should move away and no other worker may take now',
  }),
  erasing: Type.Integer({ minimum: 0, description: 'former replicas whose files it has still' }),
  in_flight: Count,
  machine: orNull(WorkerMachine),
  version: Version,
  first_seen_at: Time,
  last_seen_at: Time,
});

export const Replica = closedObject({
  client_id: Type.String(),
  mode: Type.Enum(['live', 'test']),
  namespace: Type.String(),
  collection: Type.String({ description: 'its name' }),
  deleting: Type.Boolean({ description: 'the collection is deleted, this is left of it' }),
  filling: Type.Boolean({
    description: 'points are copied to the shard, requests do not come yet',
  }),
  shard_id: Type.String(),
  ordinal: Type.Integer({ minimum: 0, description: 'of the shard in its collection' }),
  worker_id: Type.String(),
  state: Type.Enum([...REPLICA_STATES]),
  synced_version: orNull(Type.Integer({ minimum: 0, description: 'it has all writes up to it' })),
  versions_behind: orNull(
    Type.Integer({ minimum: 0, description: 'null: the last version is not known at the moment' }),
  ),
  since: Time,
});

export const Comparison = closedObject({
  waiting: Type.Integer({ minimum: 0, description: 'shards asked for that are still to come' }),
  compared: Type.Integer({ minimum: 0, description: 'this and what follows: since the start' }),
  differed: Count,
  repaired_rows: Count,
  skipped: Type.Integer({ minimum: 0, description: 'without two replicas in sync to ask' }),
  failed: Count,
});

export const ReleasedShard = closedObject({
  worker_id: Type.String(),
  shard_id: Type.String(),
  state: Type.Enum(['released']),
});

export const Status = closedObject({
  status: Type.Enum(['ok', 'no_worker']),
  uptime_ms: Count,
  clients: Count,
  collections: Count,
  resharding: Type.Integer({ minimum: 0, description: 'collections that get other shards' }),
  shards: Count,
  shards_unreachable: Type.Integer({
    minimum: 0,
    description: 'without a replica in sync on a worker that is connected',
  }),
  replicas: closedObject({ total: Count, behind: Count }),
  workers: closedObject({ known: Count, connected: Count }),
  in_flight: Count,
});

const writeAmounts = {
  writes: Type.Integer({
    minimum: 0,
    description: 'that changed something, counted by each shard',
  }),
  points_written: Type.Integer({
    minimum: 0,
    description: 'stored, or with another vector or payload',
  }),
  points_deleted: Count,
  bytes_written: Type.Integer({ minimum: 0, description: 'of vectors and payloads' }),
};
const requestAmounts = {
  requests: Count,
  queries: Type.Integer({
    minimum: 0,
    description: 'that were answered: searches, each of a batch, counts, pages, lists by id',
  }),
  units: Type.Integer({ minimum: 0, description: 'of work, see Cost in the data API' }),
  bytes_in: Type.Integer({ minimum: 0, description: 'of bodies' }),
  bytes_out: Type.Integer({ minimum: 0, description: 'of answers' }),
};
const storedAmounts = {
  points: Type.Integer({ minimum: 0, description: 'the most of one day' }),
  bytes: Type.Integer({ minimum: 0, description: 'the same, as the quota counts them' }),
};
/** May pass 2^53. */
const ByteHours = Type.String({
  pattern: '^[0-9]+$',
  description: 'an integer as text: 24 times the bytes of each day',
});
const usageOf = { start: Time, namespace: Type.String(), key_id: Type.String() };

export const Usage = closedObject({
  from: Time,
  until: Time,
  by: Type.Enum([...PERIODS]),
  writes: Type.Array(closedObject({ ...usageOf, ...writeAmounts })),
  requests: Type.Array(
    closedObject({
      ...usageOf,
      route: Type.Enum([...ROUTE_CLASSES]),
      status: Type.Integer(),
      ...requestAmounts,
    }),
  ),
  stored: Type.Array(
    closedObject({
      start: Time,
      namespace: Type.String(),
      ...storedAmounts,
      byte_hours: ByteHours,
    }),
    { description: 'as the census of each day found it, at the day that the period begins with' },
  ),
  total: closedObject({ ...writeAmounts, ...requestAmounts, byte_hours: ByteHours }),
});

const censusCounts = {
  clients: orNull(Count),
  collections: orNull(Count),
  shards: orNull(Count),
  unknown_shards: orNull(
    Type.Integer({ minimum: 0, description: 'that count as they were last heard of' }),
  ),
  points: orNull(Count),
  bytes: orNull(Type.Integer({ minimum: 0, description: 'as the quota counts them' })),
  memory_bytes: orNull(Type.Integer({ minimum: 0, description: 'of all copies that answered' })),
  disk_bytes: orNull(Count),
};

export const Census = closedObject({
  census: Type.String({ description: 'the day; of one on demand, a dot and its number' }),
  day: Type.String({ description: 'UTC' }),
  kind: Type.Enum([...CENSUS_KINDS]),
  state: Type.Enum([...CENSUS_STATES, 'under_way'], {
    description: 'incomplete: of some shards nothing new was known to the end of the day',
  }),
  started_at: Time,
  finished_at: orNull(Time),
  file: orNull(Type.String({ description: 'of the archive' })),
  sha256: orNull(Type.String({ description: 'of the whole archive' })),
  ...censusCounts,
});

const shardSums = {
  shards: Count,
  unknown_shards: Count,
  points: Count,
  bytes: Count,
  memory_bytes: Count,
  disk_bytes: Count,
};
const ClientSums = closedObject({ collections: Count, ...shardSums });

const CensusReplica = closedObject({
  worker_id: Type.String(),
  state: Type.Enum([...REPLICA_STATES]),
  versions_behind: orNull(Count),
  version: orNull(Type.Integer({ minimum: 0, description: 'null, and so on: it did not answer' })),
  points: orNull(Count),
  bytes: orNull(Count),
  memory_bytes: orNull(Count),
  disk_bytes: orNull(Count),
});

const CensusShard = closedObject({
  shard_id: Type.String(),
  ordinal: Count,
  source: Type.Enum([...SHARD_SOURCES], {
    description:
      'replica: asked; coordinator, census: as last heard after a write, or by an earlier census; none: never',
  }),
  at: orNull(Time),
  version: orNull(Count),
  points: Count,
  bytes: Count,
  replicas: Type.Array(CensusReplica),
});

export const ClientCensus = closedObject({
  census: Type.String(),
  client_id: Type.String(),
  plan: orNull(Type.String({ description: 'null: the client was not there' })),
  state: orNull(Type.String()),
  live: orNull(ClientSums),
  test: orNull(ClientSums),
  collections: Type.Array(
    closedObject({
      client_id: Type.String(),
      mode: Type.Enum(['live', 'test']),
      namespace: Type.String(),
      collection: Type.String(),
      collection_id: Type.String(),
      sums: closedObject(shardSums),
      shards: Type.Array(CensusShard),
    }),
  ),
  next: orNull(Type.Integer({ description: 'what to go on after; null: that was all' })),
});

const signedPlace = {
  at: Time,
  chain: Type.String(),
  hash: Type.String(),
  sequence: Type.Integer({ minimum: 0 }),
};
const signature = Type.String({ description: 'Ed25519, base64url' });
const SignedHead = closedObject({ head: closedObject(signedPlace), signature });
const SignedCheckpoint = closedObject({
  checkpoint: closedObject({ ...signedPlace, pruned: Type.Integer({ minimum: 1 }) }),
  signature,
});

export const AuditExport = closedObject({
  heads: Type.Array(Type.Union([SignedHead, SignedCheckpoint]), {
    description: 'with the first part: the first lines',
  }),
  text: Type.String({ description: 'lines of an export, to be written as they are' }),
  next: orNull(Type.Integer({ description: 'what to go on after; null: that was all' })),
  until: Type.Integer({ minimum: 0, description: 'to be sent for the next part' }),
});

export const AuditKey = closedObject({ public_key: Type.String({ description: 'PEM' }) });

export const CensusKey = closedObject({ public_key: Type.String({ description: 'PEM' }) });

export const Problem = closedObject({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String({ description: 'what to change, for people' }),
  code: Type.Enum(Object.keys(ERROR_CODES)),
  field: Type.Optional(Type.String({ description: 'what in the request is wrong' })),
});

export const PlanTerms = closedObject({ limits: Limits, prices: Prices });
export const ClientTerms = closedObject({
  name: Type.Optional(Type.String()),
  plan: Type.Optional(Type.String()),
  overrides: Type.Optional(Type.Partial(Limits)),
});

/** The names that the OpenAPI document gives them. */
export const ADMIN_SCHEMAS = {
  Client,
  Plan,
  Key,
  KeyWithSecret,
  AuditEntry,
  Worker,
  Replica,
  Comparison,
  ReleasedShard,
  Status,
  Usage,
  AuditExport,
  AuditKey,
  StatementLine,
  Statement,
  InvoiceLine,
  Invoice,
  Budget,
  Anomaly,
  Census,
  ClientCensus,
  CensusKey,
  Notice,
  Recipients,
  Told,
  Webhook,
  WebhookWithSecret,
  WebhookDelivery,
  Replayed,
  Problem,
  PlanTerms,
  ClientTerms,
} as const;

/** One page of a listing: `next` is what `after` continues from. */
export function pageSchema(name: string, item: TSchema, next: TSchema = Type.String()) {
  return closedObject({ [name]: Type.Array(item), next: orNull(next) });
}
