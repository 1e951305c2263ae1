/**
 * What a client owes for an interval of hours, line by line, from what it used and what its plans cost.
 *
 *   item             quantity           for one unit price            unit price of the plan
 *   plan             hours              the hours of the month        month
 *   queries          queries            1,000,000                     million_queries
 *   points_written   points             1,000,000                     million_points_written
 *   storage          bytes x hours      2^30 x hours of the month     gib_month
 *
 * The exact amount of a line is quantity x unit price / that number. Amounts are whole millionths of the
 * currency, and they are rounded so that they add up: within a calendar month (UTC), line by line in the order of
 * time and then of groups, the exact amounts of an item are added up from the month's beginning, and a line
 * gets what the *rounded sum* grows by:
 *
 *   exact sum    0 ------ 0.4 ------ 0.8 ------ 1.2 ------ 1.6
 *   rounded      0         0          1          1          2        (half a millionth is rounded up)
 *   line              0          1          0          1
 *
 * So any partition of a month comes to the month's own amount exactly, each line is less than one millionth from
 * its exact amount, and a month's item is rounded once. (To round each line by itself is simpler and
 * loses up to half a millionth a line: hundreds of statements of an hour would not be the bill of the month.)
 * What was used in the month before the interval has to be known for that, but has no line.
 *
 * Groups (namespace, key, collection) divide lines and not what they come to: with the same rule along their
 * order they sum up to the line without groups.
 */
import { must } from '../../shared/base/assert.ts';
import type { PlanPrice } from '../../shared/domain/plan.ts';
import type { BilledAmounts, BilledGroup, BilledSpan } from '../ledger/billed-usage.ts';
import type { Terms } from '../store/price-history.ts';
import { monthHours, monthOfHour, monthStart } from './months.ts';

export const STATEMENT_BY = ['none', 'day', 'namespace', 'key', 'collection'] as const;
export type StatementBy = (typeof STATEMENT_BY)[number];

export const BILLED_ITEMS = ['plan', 'queries', 'points_written', 'storage'] as const;
export type BilledItem = (typeof BILLED_ITEMS)[number];

interface ItemSpec {
  price: PlanPrice;
  /** What the quantity is counted in. */
  unit: string;
  /** The quantity that the unit price is for, in a month of so many hours. */
  per: (hours: number) => bigint;
}

const MILLION = 1_000_000n;
const GIB = 2n ** 30n;

export const ITEM_SPECS: Readonly<Record<BilledItem, ItemSpec>> = {
  plan: { price: 'month', unit: 'hour', per: (hours) => BigInt(hours) },
  queries: { price: 'million_queries', unit: 'query', per: () => MILLION },
  points_written: { price: 'million_points_written', unit: 'point', per: () => MILLION },
  storage: { price: 'gib_month', unit: 'byte-hour', per: (hours) => GIB * BigInt(hours) },
};

/** Hours of one month, plan and prices. */
export interface PricedSpan extends BilledSpan {
  month: number;
  planId: string | null;
  prices: Terms['prices'];
  /** Whether the plan itself costs something; not before the client was there. */
  hasFee: boolean;
  /** Whether the client was there: a day that a census found it on has hours before that. */
  isThere: boolean;
  /** Whether it is in the interval that was asked for, or only before it in its month. */
  isShown: boolean;
}

/** What of one item and price comes to how much. */
export interface BilledLine extends BilledSpan {
  item: BilledItem;
  planId: string | null;
  quantity: bigint;
  /** Millionths of the currency for `per` of the quantity. */
  unitPriceMicros: number;
  per: bigint;
  amountMicros: bigint;
}

export interface StatementLine extends BilledLine {
  namespace: string | null;
  keyId: string | null;
  collection: string | null;
}

export interface Interval extends BilledSpan {
  byDay: boolean;
}

/** How the ledger is asked for what a statement is divided by. */
export function groupOf(by: StatementBy): BilledGroup {
  return by === 'day' ? 'none' : by;
}

/**
 * The interval and what is before it in its month, cut where a month, a day (if that is wanted) or what holds for
 * the client ends. `terms` as `PriceHistoryTable.termsOf` has them.
 */
export function spansOf(terms: readonly Terms[], { from, until, byDay }: Interval): PricedSpan[] {
  const begin = monthStart(monthOfHour(from));
  const cuts = new Set([begin, from, until]);
  for (let month = monthOfHour(begin) + 1; monthStart(month) < until; month += 1) {
    cuts.add(monthStart(month));
  }
  for (const { from: hour } of terms) if (hour > begin && hour < until) cuts.add(hour);
  for (let day = Math.ceil(from / 24) * 24; byDay && day < until; day += 24) cuts.add(day);
  const hours = [...cuts].sort((a, b) => a - b);
  return hours.slice(0, -1).map((hour, index) => {
    const term = terms.findLast((one) => one.from <= hour);
    const { planId = null, prices = null } = term ?? terms[0] ?? {};
    const end = must(hours[index + 1], 'there is one after each but the last');
    const hasFee = term !== undefined && planId !== null;
    const month = monthOfHour(hour);
    const isThere = term !== undefined;
    return {
      from: hour,
      until: end,
      month,
      planId,
      prices,
      hasFee,
      isThere,
      isShown: hour >= from,
    };
  });
}

/** Sums of one month, exact, times `per`. */
class MonthSums {
  readonly #sums = new Map<BilledItem, bigint>();

  /** What the rounded sum of the item grows by. */
  add(item: BilledItem, exact: bigint, per: bigint): bigint {
    const before = this.#sums.get(item) ?? 0n;
    const after = before + exact;
    this.#sums.set(item, after);
    return rounded(after, per) - rounded(before, per);
  }
}

/** `exact / per` to the nearest whole number, a half up; neither is negative. */
function rounded(exact: bigint, per: bigint): bigint {
  return (2n * exact + per) / (2n * per);
}

/** The lines of the spans, with what the ledger answered of them. Those without a quantity are left out. */
export function linesOf(
  spans: readonly PricedSpan[],
  amounts: readonly BilledAmounts[],
): StatementLine[] {
  const bySpan = Map.groupBy(amounts, ({ span }) => span);
  const lines: StatementLine[] = [];
  let sums = new MonthSums();
  for (const [index, span] of spans.entries()) {
    if (span.month !== spans[index - 1]?.month) sums = new MonthSums();
    const used = addedUp(bySpan.get(index) ?? []);
    for (const item of BILLED_ITEMS) {
      const { price, per: perOf } = ITEM_SPECS[item];
      const per = perOf(monthHours(span.month));
      const unitPriceMicros = span.prices?.[price] ?? 0;
      for (const { quantity, ...group } of quantitiesOf(item, span, used)) {
        const amountMicros = sums.add(item, quantity * BigInt(unitPriceMicros), per);
        if (!span.isShown || quantity === 0n) continue;
        const { from, until, planId } = span;
        const what = { item, from, until, planId, ...group };
        lines.push({ ...what, quantity, unitPriceMicros, per, amountMicros });
      }
    }
  }
  return lines;
}

export function totalOf(lines: readonly Pick<StatementLine, 'amountMicros'>[]): bigint {
  return lines.reduce((sum, { amountMicros }) => sum + amountMicros, 0n);
}

type Group = Pick<StatementLine, 'namespace' | 'keyId' | 'collection'>;
type Use = Omit<BilledAmounts, 'span'>;

function quantitiesOf(
  item: BilledItem,
  { from, until, hasFee, isThere }: PricedSpan,
  used: readonly Use[],
): (Group & { quantity: bigint })[] {
  if (item === 'plan') {
    const quantity = hasFee ? BigInt(until - from) : 0n;
    return [{ namespace: null, keyId: null, collection: null, quantity }];
  }
  if (item === 'storage' && !isThere) return [];
  return used.map(({ namespace, keyId, collection, ...amounts }) => {
    return { namespace, keyId, collection, quantity: QUANTITIES[item](amounts) };
  });
}

const QUANTITIES: Readonly<
  Record<Exclude<BilledItem, 'plan'>, (use: Omit<Use, keyof Group>) => bigint>
> = {
  queries: ({ queries }) => queries,
  points_written: ({ written }) => written,
  storage: ({ byteHours }) => byteHours,
};

/** One row a group, in their order: what does not know its group comes first. */
function addedUp(rows: readonly BilledAmounts[]): Use[] {
  const groups = new Map<string, Use>();
  for (const { namespace, keyId, collection, queries, written, byteHours } of rows) {
    const name = JSON.stringify([namespace ?? '', collection ?? '', keyId ?? '']);
    const sum = groups.get(name);
    groups.set(name, {
      namespace,
      keyId,
      collection,
      queries: queries + (sum?.queries ?? 0n),
      written: written + (sum?.written ?? 0n),
      byteHours: byteHours + (sum?.byteHours ?? 0n),
    });
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, use]) => use);
}
