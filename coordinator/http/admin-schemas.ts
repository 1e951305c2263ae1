/**
 * What the admin API answers, as JSON Schema. The OpenAPI document names these; a test holds every
 * reply against them.
 */
import Type, { type TSchema } from 'typebox';
import { ROLES } from '../../shared/domain/permissions.ts';
import { PLAN_LIMITS, PLAN_PRICES } from '../../shared/domain/plan.ts';
import { ERROR_CODES } from '../../shared/errors/codes.ts';
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
  plan: Type.String(),
  overrides: Type.Partial(Limits),
  version: Version,
  created_at: Time,
  erase_at: orNull(Time),
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

export const Worker = closedObject({
  worker_id: Type.String(),
  connected: Type.Boolean(),
  shards: Count,
  in_flight: Count,
  first_seen_at: orNull(Time),
  last_seen_at: orNull(Time),
});

export const Status = closedObject({
  status: Type.Enum(['ok', 'no_worker']),
  uptime_ms: Count,
  clients: Count,
  collections: Count,
  shards: Count,
  workers: closedObject({ known: Count, connected: Count }),
  in_flight: Count,
});

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
  Status,
  Problem,
  PlanTerms,
  ClientTerms,
} as const;

/** One page of a listing: `next` is what `after` continues from. */
export function pageSchema(name: string, item: TSchema, next: TSchema = Type.String()) {
  return closedObject({ [name]: Type.Array(item), next: orNull(next) });
}
