/**
 * What is billed, from `ledger.db`: of live data the queries that were answered, the points written, and the
 * bytes stored, by the hours for which they were. Amounts are added up over spans of hours, each
 * by itself, and by namespace, key or collection when that is asked for.
 *
 *   span     [----------------------------------)      from one hour on, before another
 *   days        |-----|-----|-----|-----|-----|
 *   parts    [--)[----------------------------)[-)     whole days: one row a day, namespace and key of
 *            hours       whole days          hours     `daily_usage`; at the ends the hourly rows
 *
 * `daily_usage` is written in the transaction of the hourly rows (`addWrites`, `addRequests`), so it is
 * their sum whatever comes late and whatever dies, and costs one more row a batch, key and day.
 * Years of hours are then thousands of rows instead of millions.
 *
 * A row of `storage_usage` is of a whole day: it counts as its bytes for each hour of the day.
 */
import type Database from 'better-sqlite3';
import type { ClientId } from '../../shared/base/ids.ts';

/** Hours of a day. */
const DAY = 24;

export const BILLED_GROUPS = ['none', 'namespace', 'key', 'collection'] as const;
export type BilledGroup = (typeof BILLED_GROUPS)[number];

/** From one hour on and before another; spans of one question do not overlap. */
export interface BilledSpan {
  from: number;
  until: number;
}

export interface BilledQuestion {
  clientId: ClientId;
  spans: readonly BilledSpan[];
  by: BilledGroup;
}

/** What was used within one span, of one namespace, key or collection where it is known. */
export interface BilledAmounts {
  /** Index of the span. */
  span: number;
  namespace: string | null;
  keyId: string | null;
  collection: string | null;
  queries: bigint;
  written: bigint;
  /** Bytes stored, by hours. */
  byteHours: bigint;
}

/** Part of a span; of each row that it takes, so many hours. */
interface Part {
  span: number;
  from: number;
  until: number;
  hours: number;
}

interface SpanUse {
  span: bigint;
  namespace: string | null;
  keyId: string | null;
  queries: bigint;
  written: bigint;
}

interface SpanStored {
  span: bigint;
  hours: bigint;
  namespace: string | null;
  collection: string | null;
  bytes: bigint;
}

interface Parts {
  clientId: ClientId;
  parts: string;
}

export interface DailyAmounts {
  clientId: string;
  hour: number;
  namespace: string;
  keyId: string;
  queries: number;
  written: number;
}

export class BilledUsage {
  readonly #sql: ReturnType<typeof prepareStatements>;
  readonly #addDaily: Database.Statement<[DailyAmounts]>;

  constructor(db: Database.Database) {
    this.#sql = prepareStatements(db);
    this.#addDaily = db.prepare(
      `INSERT INTO daily_usage (client_id, day, namespace, key_id, queries, written)
         VALUES (@clientId, @hour - @hour % ${DAY}, @namespace, @keyId, @queries, @written)
       ON CONFLICT DO UPDATE SET
         queries = queries + excluded.queries, written = written + excluded.written`,
    );
  }

  /** To be called in the transaction that adds them to the hourly rows. */
  add(amounts: DailyAmounts): void {
    if (amounts.queries > 0 || amounts.written > 0) this.#addDaily.run(amounts);
  }

  /** Rows with something in them; of one span and group several, which are to be added up. */
  amounts({ clientId, spans, by }: BilledQuestion): BilledAmounts[] {
    const parts = spans.flatMap(partsOf);
    const of = (chosen: readonly Part[]) => ({ clientId, parts: JSON.stringify(chosen) });
    const days = of(parts.filter(({ hours }) => hours === DAY));
    const ends = of(parts.filter(({ hours }) => hours !== DAY));
    const sql = this.#sql[by];
    const used = [...sql.days.all(days), ...sql.written.all(ends), ...sql.queries.all(ends)];
    const dated = parts.map((part) => ({ ...part, from: dayOf(part.from) }));
    return [
      ...used.map((row) => {
        return { ...row, span: Number(row.span), collection: null, byteHours: 0n };
      }),
      ...sql.stored.all(of(dated)).map(({ span, hours, namespace, collection, bytes }) => {
        const whose = { span: Number(span), namespace, keyId: null, collection };
        return { ...whose, queries: 0n, written: 0n, byteHours: bytes * hours };
      }),
    ];
  }
}

function dayOf(hour: number): number {
  return hour - (hour % DAY);
}

function partsOf({ from, until }: BilledSpan, span: number): Part[] {
  const firstDay = Math.min(until, Math.ceil(from / DAY) * DAY);
  const lastDay = Math.max(firstDay, dayOf(until));
  const parts = [
    { span, from, until: firstDay, hours: firstDay - from },
    { span, from: firstDay, until: lastDay, hours: DAY },
    { span, from: lastDay, until, hours: until - lastDay },
  ];
  return parts.filter((part) => part.until > part.from);
}

/**
 * Parts of spans come as JSON. They are the outer loop (`CROSS JOIN` fixes the order), each is one range of
 * the table's key. Sums may pass 2^53, so all of these answer with BigInts.
 */
function prepareStatements(db: Database.Database) {
  // Materialized: else their JSON is parsed again for each row that is looked at.
  const parts = `WITH p AS MATERIALIZED (SELECT value ->> 'span' AS span, value ->> 'from' AS first,
    value ->> 'until' AS end, value ->> 'hours' AS hours FROM json_each(@parts))`;
  const use = (
    table: string,
    time: string,
    amounts: string,
    { namespace, key, more = '' }: Shown,
  ) => {
    const groups = ['span', namespace && 'namespace', key && 'key_id'].filter(Boolean).join(', ');
    return db
      .prepare<[Parts], SpanUse>(
        `${parts} SELECT span, ${namespace ? 'namespace' : 'NULL'} AS namespace,
                ${key ? 'key_id' : 'NULL'} AS keyId, ${amounts}
           FROM p CROSS JOIN ${table} u
             ON u.client_id = @clientId ${more} AND u.${time} >= p.first AND u.${time} < p.end
          GROUP BY ${groups}`,
      )
      .safeIntegers();
  };
  const live = `AND u.mode = 'live'`;
  return byGroup((namespace, key, collection) => {
    const shown = { namespace, key };
    const hourly = { ...shown, more: live };
    const both = 'sum(queries) AS queries, sum(written) AS written';
    const groups = ['span', 'hours', namespace && 'namespace', collection && 'collection'];
    return {
      days: use('daily_usage', 'day', both, shown),
      written: use('write_usage', 'hour', '0 AS queries, sum(written) AS written', hourly),
      queries: use('request_usage', 'hour', 'sum(queries) AS queries, 0 AS written', hourly),
      stored: db
        .prepare<[Parts], SpanStored>(
          `${parts} SELECT span, hours, ${namespace ? 'namespace' : 'NULL'} AS namespace,
                  ${collection ? 'collection' : 'NULL'} AS collection, sum(bytes) AS bytes
             FROM p CROSS JOIN storage_usage u
               ON u.client_id = @clientId ${live} AND u.hour >= p.first AND u.hour < p.end
            GROUP BY ${groups.filter(Boolean).join(', ')}`,
        )
        .safeIntegers(),
    };
  });
}

interface Shown {
  namespace: boolean;
  key: boolean;
  /** What else a row has to be. */
  more?: string;
}

function byGroup<T>(prepare: (namespace: boolean, key: boolean, collection: boolean) => T) {
  return {
    none: prepare(false, false, false),
    namespace: prepare(true, false, false),
    key: prepare(false, true, false),
    collection: prepare(true, false, true),
  } satisfies Record<BilledGroup, T>;
}
