/** Statements over a real ledger, held against an account that is kept hour by hour. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { must } from '../../shared/base/assert.ts';
import type { ClientId, KeyId, ShardId } from '../../shared/base/ids.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import type { PlanPrices } from '../../shared/domain/plan.ts';
import { takeSeed } from '../../test/harness/seed.ts';
import { SyncLedger } from '../../test/harness/sync-ledger.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import type { RequestSum } from '../ledger/entries.ts';
import { openLedger } from '../ledger/schema.ts';
import type { Terms } from '../store/price-history.ts';
import { monthHours, monthOfHour, monthStart } from './months.ts';
import {
  BILLED_ITEMS,
  type BilledItem,
  groupOf,
  ITEM_SPECS,
  linesOf,
  STATEMENT_BY,
  type StatementBy,
  type StatementLine,
  spansOf,
  totalOf,
} from './statement.ts';

const CLIENT = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const OTHER = 'cl_bbbbbbbbbbbbbbbb' as ClientId;
const hourOf = (text: string) => Date.parse(text) / 3_600_000;

/** What happened in one hour. */
interface Hour {
  queries: bigint;
  written: bigint;
  bytes: bigint;
}

class History {
  readonly hours = new Map<number, Hour>();
  readonly terms: Terms[] = [];
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  note(hour: number, more: Partial<Hour>): void {
    const known = this.hours.get(hour) ?? { queries: 0n, written: 0n, bytes: 0n };
    this.hours.set(hour, {
      queries: known.queries + (more.queries ?? 0n),
      written: known.written + (more.written ?? 0n),
      bytes: known.bytes + (more.bytes ?? 0n),
    });
  }

  changeTerms(from: number, planId: string | null): void {
    const price = () => this.#random.below(4) * this.#random.below(10_000_000);
    const prices = {
      month: price(),
      million_queries: price(),
      million_points_written: price(),
      gib_month: price(),
    };
    this.terms.push({ from, planId, prices: planId === null ? null : prices });
  }

  /** Exact up to an hour from the beginning of its month, as a fraction of `per`. */
  exactOf(item: BilledItem, until: number): bigint {
    let sum = 0n;
    for (let hour = monthStart(monthOfHour(until - 1)); hour < until; hour += 1) {
      const found = this.terms.findLast(({ from }) => from <= hour);
      const prices: Partial<PlanPrices> = (found ?? this.terms[0])?.prices ?? {};
      sum += this.quantityIn(item, hour) * BigInt(prices[ITEM_SPECS[item].price] ?? 0);
    }
    return sum;
  }

  quantityIn(item: BilledItem, hour: number): bigint {
    if (item === 'plan') {
      const planId = this.terms.findLast(({ from }) => from <= hour)?.planId ?? null;
      return planId === null ? 0n : 1n;
    }
    const use = this.hours.get(hour);
    if (use === undefined) return 0n;
    return { queries: use.queries, points_written: use.written, storage: use.bytes }[item];
  }
}

/** Random use by several keys and namespaces; of the other mode and of another client, too. */
async function fill(t: TestContext, history: History, random: SeededRandom, days: number[]) {
  const folder = temporaryFolder(t);
  const db = openLedger(path.join(folder, 'ledger.db'));
  const store = db.prepare('INSERT INTO storage_usage VALUES (?, ?, ?, ?, ?, ?, ?, 0)');
  for (const day of days) {
    for (const collection of ['c', 'd']) {
      const bytes = random.below(2 ** 40);
      store.run(CLIENT, 'live', day, random.pick(['a', 'b']), collection, 1, bytes);
      store.run(CLIENT, 'test', day, 'a', collection, 1, 77);
      store.run(OTHER, 'live', day, 'a', collection, 1, 77);
      for (let hour = day; hour < day + 24; hour += 1) history.note(hour, { bytes: BigInt(bytes) });
    }
  }
  db.close();
  const ledger = new SyncLedger(t, folder);
  for (const mode of ['live', 'test'] as Mode[]) {
    const whose = { clientId: CLIENT, mode };
    const isBilled = mode === 'live';
    const used = days.flatMap((day) => {
      return Array.from({ length: 8 }, () => ({
        hour: day + random.below(24),
        namespace: random.pick(['a', 'b']),
        key: random.pick(['key_a', 'key_b', 'key_c']),
        count: random.below(3) === 0 ? 1_000_000_000_000 + random.below(9) : random.below(900_000),
      }));
    });
    const sums = used.map(({ hour, namespace, key, count }): RequestSum => {
      if (isBilled) history.note(hour, { queries: BigInt(count) });
      const more = { requests: 1, units: 1, bytesIn: 1, bytesOut: 1 };
      const of = { route: random.pick(['query', 'read']), status: 200, keyId: key as KeyId };
      return { ...whose, namespace, hour, queries: count, ...of, ...more };
    });
    await ledger.append({ kind: 'requests', sums });
    for (const namespace of ['a', 'b']) {
      const own = used.filter((use) => use.namespace === namespace);
      await ledger.append({
        kind: 'writes',
        shardId: `${mode}-${namespace}` as ShardId,
        owner: { ...whose, namespace },
        after: 0,
        upTo: 1,
        sums: own.map(({ hour, key, count: written }) => {
          if (isBilled) history.note(hour, { written: BigInt(written) });
          return { key, hour, writes: 1, written, deleted: 0, bytes: 1 };
        }),
        isLast: false,
      });
    }
  }
  return ledger;
}

async function statement(
  ledger: SyncLedger,
  terms: readonly Terms[],
  { from, until, by = 'none' }: { from: number; until: number; by?: StatementBy },
): Promise<StatementLine[]> {
  const spans = spansOf(terms, { from, until, byDay: by === 'day' });
  const about = { clientId: CLIENT, spans, by: groupOf(by) };
  return linesOf(spans, await ledger.ask('billed', about));
}

function quantities(lines: readonly StatementLine[]): Record<BilledItem, bigint> {
  const sums = { plan: 0n, queries: 0n, points_written: 0n, storage: 0n };
  for (const { item, quantity } of lines) sums[item] += quantity;
  return sums;
}

function amounts(lines: readonly StatementLine[]): Record<BilledItem, bigint> {
  const sums = { plan: 0n, queries: 0n, points_written: 0n, storage: 0n };
  for (const { item, amountMicros } of lines) sums[item] += amountMicros;
  return sums;
}

function added(...parts: Record<BilledItem, bigint>[]): Record<BilledItem, bigint> {
  return {
    plan: parts.reduce((sum, part) => sum + part.plan, 0n),
    queries: parts.reduce((sum, part) => sum + part.queries, 0n),
    points_written: parts.reduce((sum, part) => sum + part.points_written, 0n),
    storage: parts.reduce((sum, part) => sum + part.storage, 0n),
  };
}

/** The end of January to the beginning of April of a leap year: months of 31, 29 and 31 days. */
const FROM = hourOf('2028-01-30T00:00:00Z');
const UNTIL = hourOf('2028-04-02T00:00:00Z');

async function randomHistory(t: TestContext, seed: number) {
  const random = new SeededRandom(seed);
  const history = new History(random);
  // After the first use, as after a clock that was set back; later ones at any hour, within one day, too.
  history.changeTerms(FROM + 5, 'standard');
  const changes = Array.from({ length: 6 }, () => FROM + 6 + random.below(UNTIL - FROM - 6));
  for (const from of [...new Set(changes)].sort((a, b) => a - b)) {
    history.changeTerms(from, random.below(5) === 0 ? null : random.pick(['standard', 'large']));
  }
  const days = Array.from({ length: (UNTIL - FROM) / 24 }, (_, day) => FROM + day * 24);
  const used = days.filter((day) => random.below(3) > 0 || day === hourOf('2028-02-29T00:00:00Z'));
  const ledger = await fill(t, history, random, used);
  return { random, history, ledger };
}

test('a statement is what was used, to the unit, and what that comes to', async (t) => {
  const seed = takeSeed(t, 61);
  const { random, history, ledger } = await randomHistory(t, seed);
  for (let round = 0; round < 60; round += 1) {
    const from = FROM + random.below(UNTIL - FROM);
    const until = from + 1 + random.below(UNTIL - from);
    const by = random.pick(STATEMENT_BY);
    const lines = await statement(ledger, history.terms, { from, until, by });
    const found = quantities(lines);
    const paid = amounts(lines);
    for (const item of BILLED_ITEMS) {
      let quantity = 0n;
      for (let hour = from; hour < until; hour += 1) quantity += history.quantityIn(item, hour);
      const context = `seed ${seed}: ${item} of [${from}, ${until}) by ${by}`;
      assert.equal(found[item], quantity, context);
      assert.equal(paid[item], expectedOf(history, item, from, until), context);
    }
    for (const line of lines) checkLine(line, { from, until, by });
  }
});

/** Month by month: the rounded sum at the end, less that at the beginning. */
function expectedOf(history: History, item: BilledItem, from: number, until: number): bigint {
  let sum = 0n;
  for (let month = monthOfHour(from); monthStart(month) < until; month += 1) {
    const per = ITEM_SPECS[item].per(monthHours(month));
    const roundedAt = (hour: number) => {
      if (hour <= monthStart(month)) return 0n;
      return (2n * history.exactOf(item, hour) + per) / (2n * per);
    };
    const end = Math.min(until, monthStart(month + 1));
    sum += roundedAt(end) - roundedAt(Math.max(from, monthStart(month)));
  }
  return sum;
}

function checkLine(line: StatementLine, wanted: { from: number; until: number; by: StatementBy }) {
  assert.ok(line.from >= wanted.from && line.until <= wanted.until && line.from < line.until);
  assert.equal(monthOfHour(line.from), monthOfHour(line.until - 1), 'a line is of one month');
  if (wanted.by === 'day') assert.ok(Math.floor(line.from / 24) === Math.ceil(line.until / 24) - 1);
  const error = line.amountMicros * line.per - line.quantity * BigInt(line.unitPriceMicros);
  assert.ok(error < line.per && -error < line.per, 'less than one from the exact amount');
  const { namespace, keyId, collection, item } = line;
  if (item === 'plan' || wanted.by === 'none' || wanted.by === 'day') {
    assert.deepEqual([namespace, keyId, collection], [null, null, null]);
  }
  if (wanted.by === 'key') assert.equal(keyId === null, item === 'plan' || item === 'storage');
  if (wanted.by === 'collection') assert.equal(collection !== null, item === 'storage');
}

test('the statements of any partition come to that of the whole', async (t) => {
  const seed = takeSeed(t, 62);
  const { random, history, ledger } = await randomHistory(t, seed);
  for (let round = 0; round < 20; round += 1) {
    const cuts = Array.from(
      { length: 2 + random.below(9) },
      () => FROM + random.below(UNTIL - FROM),
    );
    const hours = [...new Set(cuts)].sort((a, b) => a - b);
    if (hours.length < 2) continue;
    const parts = await Promise.all(
      hours.slice(1).map((until, index) => {
        const by = random.pick(STATEMENT_BY);
        return statement(ledger, history.terms, { from: hours[index] ?? 0, until, by });
      }),
    );
    const span = { from: hours[0] ?? 0, until: hours.at(-1) ?? 0 };
    const whole = await statement(ledger, history.terms, span);
    const context = `seed ${seed}: cut at ${hours.join(', ')}`;
    assert.deepEqual(added(...parts.map(quantities)), quantities(whole), context);
    assert.deepEqual(added(...parts.map(amounts)), amounts(whole), context);
    assert.equal(totalOf(parts.flat()), totalOf(whole), context);
  }
});

test('the days are the sums of their hours in the ledger, of live data', async (t) => {
  const seed = takeSeed(t, 62);
  const { history, ledger } = await randomHistory(t, seed);
  const about = { clientId: CLIENT, mode: 'live' as const, namespaces: null, limit: 100_000 };
  const span = { ...about, from: FROM, until: UNTIL, by: 'day' as const };
  const ofDays = await statement(ledger, history.terms, { from: FROM, until: UNTIL, by: 'day' });
  const sumOf = (item: BilledItem, day: number) => {
    const own = ofDays.filter(
      (line) => line.item === item && Math.floor(line.from / 24) * 24 === day,
    );
    return own.reduce((sum, { quantity }) => sum + quantity, 0n);
  };
  const hourly = Map.groupBy(await ledger.ask('request-usage', span), ({ start }) => start);
  for (const [day, rows] of hourly) {
    const queries = rows.reduce((sum, row) => sum + BigInt(row.queries), 0n);
    assert.equal(sumOf('queries', day), queries, `seed ${seed}: day ${day}`);
  }
  const writes = Map.groupBy(await ledger.ask('write-usage', span), ({ start }) => start);
  for (const [day, rows] of writes) {
    const written = rows.reduce((sum, row) => sum + BigInt(row.written), 0n);
    assert.equal(sumOf('points_written', day), written, `seed ${seed}: day ${day}`);
  }
  assert.ok(hourly.size > 20 && writes.size > 20);
});

const PRICES = {
  month: 29_000_000,
  million_queries: 2_000_000,
  million_points_written: 1_000_000,
  gib_month: 300_000,
};

test('a plan costs its price for a month of any length, and its share for hours of one', () => {
  const from = hourOf('2028-02-10T07:00:00Z');
  const terms = [{ from, planId: 'standard', prices: PRICES }];
  const feeOf = (begin: string, end: string) => {
    const span = { from: hourOf(begin), until: hourOf(end), byDay: false };
    return Number(totalOf(linesOf(spansOf(terms, span), [])));
  };
  for (const [begin, end] of [
    ['2028-03-01T00:00:00Z', '2028-04-01T00:00:00Z'],
    ['2028-04-01T00:00:00Z', '2028-05-01T00:00:00Z'],
    ['2030-02-01T00:00:00Z', '2030-03-01T00:00:00Z'],
    ['2032-02-01T00:00:00Z', '2032-03-01T00:00:00Z'],
  ] as const) {
    assert.equal(feeOf(begin, end), PRICES.month, begin);
  }
  const hours = hourOf('2028-03-01T00:00:00Z') - from;
  const share = Math.round((PRICES.month * hours) / (29 * 24));
  assert.equal(feeOf('2028-02-01T00:00:00Z', '2028-03-01T00:00:00Z'), share);
  assert.equal(feeOf('2028-02-29T00:00:00Z', '2028-03-01T00:00:00Z'), 1_000_000);
  assert.equal(feeOf('2028-01-01T00:00:00Z', '2028-02-10T07:00:00Z'), 0);
});

test('a change of plan or price within a month divides it, each hour at its own price', () => {
  const march = hourOf('2028-03-01T00:00:00Z');
  const changed = hourOf('2028-03-11T00:00:00Z');
  const double = { ...PRICES, month: 2 * PRICES.month };
  const terms = [
    { from: march, planId: 'standard', prices: PRICES },
    { from: changed, planId: 'standard', prices: double },
    { from: changed + 240, planId: 'large', prices: PRICES },
    { from: changed + 480, planId: null, prices: null },
  ];
  const spans = spansOf(terms, { from: march, until: march + 31 * 24, byDay: false });
  const used = { namespace: null, keyId: null, collection: null, written: 0n, byteHours: 0n };
  const lines = linesOf(
    spans,
    spans.map((_, span) => ({ span, ...used, queries: 500_000n })),
  );
  const told = lines.map(({ item, planId, quantity, unitPriceMicros, amountMicros }) => {
    return [item, planId, Number(quantity), unitPriceMicros, Number(amountMicros)];
  });
  const day = (price: number, days: number) => Math.round((price * days) / 31);
  assert.deepEqual(told, [
    ['plan', 'standard', 240, PRICES.month, day(PRICES.month, 10)],
    ['queries', 'standard', 500_000, 2_000_000, 1_000_000],
    ['plan', 'standard', 240, double.month, day(PRICES.month, 30) - day(PRICES.month, 10)],
    ['queries', 'standard', 500_000, 2_000_000, 1_000_000],
    ['plan', 'large', 240, PRICES.month, day(PRICES.month, 40) - day(PRICES.month, 30)],
    ['queries', 'large', 500_000, 2_000_000, 1_000_000],
    ['queries', null, 500_000, 0, 0],
  ]);
});

const NO_GROUP = { namespace: null, keyId: null, collection: null };

test('10^12 units in each of many hours have no rounding', () => {
  const march = hourOf('2028-03-01T00:00:00Z');
  const prices = { ...PRICES, million_queries: Number.MAX_SAFE_INTEGER };
  const terms = [{ from: march, planId: 'p', prices }];
  const spans = spansOf(terms, { from: march, until: march + 744, byDay: true });
  const used = { namespace: null, keyId: null, collection: null, written: 0n, byteHours: 0n };
  const queries = 10n ** 12n + 1n;
  const lines = linesOf(
    spans,
    spans.map((_, span) => ({ span, ...used, queries })),
  );
  const own = lines.filter(({ item }) => item === 'queries');
  const exact = 31n * queries * BigInt(Number.MAX_SAFE_INTEGER);
  assert.equal(totalOf(own), (exact + 500_000n) / 1_000_000n);
  assert.equal(must(quantities(own).queries, 'it is there'), 31n * queries);
});

test('what is stored costs nothing before the client was there', () => {
  const day = hourOf('2028-03-07T00:00:00Z');
  const prices = { month: 0, million_queries: 0, million_points_written: 0, gib_month: 744 };
  const terms = [{ from: day + 13, planId: 'standard', prices }];
  const spans = spansOf(terms, { from: day, until: day + 24, byDay: false });
  const perHour = 2n ** 30n;
  const amounts = spans.map(({ from, until }, span) => {
    const byteHours = perHour * BigInt(until - from);
    return { span, ...NO_GROUP, queries: 0n, written: 0n, byteHours };
  });
  const stored = linesOf(spans, amounts).filter(({ item }) => item === 'storage');
  assert.deepEqual(
    stored.map(({ from, quantity, amountMicros }) => [from, quantity, amountMicros]),
    [[day + 13, 11n * perHour, 11n]],
  );
});
