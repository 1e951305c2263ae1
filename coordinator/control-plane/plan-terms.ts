/** Limits and prices as operators write them, checked by the tables of `shared/domain/plan.ts`. */
import { InvalidInput } from '../../shared/base/invalid.ts';
import {
  PLAN_LIMITS,
  PLAN_PRICES,
  type PlanLimit,
  type PlanLimits,
  type PlanPrices,
} from '../../shared/domain/plan.ts';

export type Terms = Readonly<Record<string, unknown>>;

/** All limits. Throws `InvalidInput`. */
export function parseLimits(terms: Terms, path: string): PlanLimits {
  const limits = parseSomeLimits(terms, path);
  for (const name of Object.keys(PLAN_LIMITS) as PlanLimit[]) {
    if (limits[name] === undefined) throw new InvalidInput(`${path}.${name}`, 'is missing');
  }
  return limits as PlanLimits;
}

/** Those that are given. Throws `InvalidInput`. */
export function parseSomeLimits(terms: Terms, path: string): Partial<PlanLimits> {
  const limits: Partial<PlanLimits> = {};
  for (const [name, value] of Object.entries(terms)) {
    if (!isName(PLAN_LIMITS, name)) throw unknownName(path, name, PLAN_LIMITS);
    const { min, max } = PLAN_LIMITS[name];
    limits[name] = parseInteger(value, { path: `${path}.${name}`, min, max });
  }
  return limits;
}

/** All prices. Throws `InvalidInput`. */
export function parsePrices(terms: Terms, path: string): PlanPrices {
  const prices: Partial<PlanPrices> = {};
  for (const [name, value] of Object.entries(terms)) {
    if (!isName(PLAN_PRICES, name)) throw unknownName(path, name, PLAN_PRICES);
    const bounds = { min: 0, max: Number.MAX_SAFE_INTEGER };
    prices[name] = parseInteger(value, { path: `${path}.${name}`, ...bounds });
  }
  for (const name of Object.keys(PLAN_PRICES)) {
    if (!Object.hasOwn(prices, name)) throw new InvalidInput(`${path}.${name}`, 'is missing');
  }
  return prices as PlanPrices;
}

function isName<Table extends object>(table: Table, name: string): name is keyof Table & string {
  return Object.hasOwn(table, name);
}

function unknownName(path: string, name: string, table: object): InvalidInput {
  const names = Object.keys(table).join(', ');
  return new InvalidInput(path, `has no ${JSON.stringify(name.slice(0, 64))}, only ${names}`);
}

function parseInteger(
  value: unknown,
  { path, min, max }: { path: string; min: number; max: number },
): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw new InvalidInput(path, `must be a whole number from ${min} to ${max}`);
  }
  return value;
}
