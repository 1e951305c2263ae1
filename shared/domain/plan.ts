/**
 * What a client may use and what it costs. A plan is a row that operators edit; a client is on one
 * plan and may have overrides of single limits.
 */
import { LIMITS } from './limits.ts';

/** Of a client whose operator names none. */
export const PLAN_DEFAULT = 'standard';

/** The limits of a plan: bounds of their values, and what each bounds. */
export const PLAN_LIMITS = {
  requests_per_second: {
    min: 1,
    max: 1_000_000,
    help: 'requests of all keys of the client together, over time',
  },
  burst: { min: 1, max: 1_000_000, help: 'requests that may come at once after a pause' },
  cost_per_second: {
    min: 1,
    max: 1_000_000_000,
    help: 'units of work (see Cost) over time; ten seconds of it at once after a pause',
  },
  in_flight: { min: 1, max: LIMITS.clientInFlightMax, help: 'requests under way at once' },
  points: { min: 0, max: 2 ** 40, help: 'live points of all collections together' },
  bytes: { min: 0, max: 2 ** 50, help: 'of live vectors and payloads together' },
  collections: { min: 0, max: LIMITS.collectionsPerClientMax, help: 'live collections' },
  namespaces: { min: 1, max: 100_000, help: 'that collections are in' },
  dimensions: { min: 1, max: LIMITS.dimensionMax, help: 'of the vectors of a collection' },
  replicas: { min: 1, max: 16, help: 'of each shard of a collection' },
  keys: { min: 1, max: LIMITS.keysPerClientMax, help: 'API keys that are not revoked' },
  audit_retention_days: { min: 1, max: 36_500, help: 'for which the audit log is kept' },
  audit_query_sample: {
    min: 1,
    max: 1_000_000,
    help: 'of so many searches and reads that succeed one is in the audit log; 1: each',
  },
  idle_days_before_pause: { min: 0, max: 36_500, help: 'without a request; 0 never pauses' },
} as const satisfies Record<string, { min: number; max: number; help: string }>;

export type PlanLimit = keyof typeof PLAN_LIMITS;
export type PlanLimits = Record<PlanLimit, number>;

/** Millionths of the operator's currency, whole numbers. */
export const PLAN_PRICES = {
  month: 'for the plan',
  million_queries: 'for a million queries',
  million_points_written: 'for a million points written',
  gib_month: 'for a GiB of vectors and payloads kept for a month',
} as const;

export type PlanPrice = keyof typeof PLAN_PRICES;
export type PlanPrices = Record<PlanPrice, number>;

/** What holds for a client: its plan's limits, with its own where it has any. */
export function effectiveLimits(plan: PlanLimits, overrides: Partial<PlanLimits>): PlanLimits {
  return { ...plan, ...overrides };
}
