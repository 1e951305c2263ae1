/** What a client has used, as the ledger has it, added up by hour, day or month (UTC). */
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { parseDatetime } from '../../shared/domain/datetime.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { hourOf } from '../../shared/protocol/meter.ts';
import type { Period, RequestUsage, StorageUsage, WriteUsage } from '../ledger/entries.ts';
import type { Ledger } from '../ledger/ledger.ts';

export interface UsageWanted {
  clientId: ClientId;
  mode: Mode;
  /** Null for all. */
  namespaces: readonly string[] | null;
  /** RFC 3339; the hour that it is in is the first one. By default that the month began with. */
  from?: string | undefined;
  /** RFC 3339; the hour that it is in is the last one, unless it is its beginning. By default now. */
  until?: string | undefined;
  by: Period;
}

const WRITE_AMOUNTS = ['writes', 'written', 'deleted', 'bytes'] as const;
const REQUEST_AMOUNTS = ['requests', 'queries', 'units', 'bytesIn', 'bytesOut'] as const;

export type WriteAmounts = Record<(typeof WRITE_AMOUNTS)[number], number>;
export type RequestAmounts = Record<(typeof REQUEST_AMOUNTS)[number], number>;

export interface UsageReport {
  /** Hours since 1970: from one on, and before the other. */
  from: number;
  until: number;
  by: Period;
  writes: WriteUsage[];
  requests: RequestUsage[];
  /** As each day's census found it. */
  stored: StorageUsage[];
  total: WriteAmounts & RequestAmounts & Pick<StorageUsage, 'byteHours'>;
}

const MICROS_PER_HOUR = 3_600_000_000;

export class Usage {
  readonly #ledger: Pick<Ledger, 'ask'>;
  readonly #clock: Clock;

  constructor(deps: { ledger: Pick<Ledger, 'ask'>; clock: Clock }) {
    this.#ledger = deps.ledger;
    this.#clock = deps.clock;
  }

  /** Throws `InvalidInput`, also for more rows than are answered. */
  async report(wanted: UsageWanted): Promise<UsageReport> {
    const { clientId, mode, namespaces, by } = wanted;
    const now = this.#clock.now();
    const from = wanted.from === undefined ? startOfMonth(now) : hourIn(wanted.from, 'from');
    const until = wanted.until === undefined ? hourOf(now) + 1 : hourIn(wanted.until, 'until', 1);
    if (until <= from) throw new InvalidInput('until', 'must be after "from"');
    const limit = LIMITS.usageRowsMax + 1;
    const span = { clientId, mode, namespaces, from, until, by, limit };
    const [writes, requests, stored] = await Promise.all([
      this.#ledger.ask('write-usage', span),
      this.#ledger.ask('request-usage', span),
      this.#ledger.ask('storage-usage', span),
    ]);
    if ([writes, requests, stored].some(({ length }) => length === limit)) {
      const problem = `these are more than ${LIMITS.usageRowsMax} rows: ask for a shorter time or a longer period`;
      throw new InvalidInput('by', problem);
    }
    const byteHours = stored.reduce((sum, row) => sum + row.byteHours, 0n);
    const amounts = { ...totalOf(WRITE_AMOUNTS, writes), ...totalOf(REQUEST_AMOUNTS, requests) };
    const total = { ...amounts, byteHours };
    return { from, until, by, writes, requests, stored, total };
  }
}

function totalOf<Name extends string>(
  names: readonly Name[],
  rows: readonly Record<Name, number>[],
): Record<Name, number> {
  const total = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
  for (const row of rows) for (const name of names) total[name] += row[name];
  return total;
}

/** The hour that a time is in; with `round` 1 the one after it, unless it is the beginning of one. */
function hourIn(text: string, field: string, round: 0 | 1 = 0): number {
  const micros = parseDatetime(text);
  if (micros === undefined || micros < 0) {
    throw new InvalidInput(
      field,
      'must be a time as in RFC 3339, for example 2026-11-01T00:00:00Z',
    );
  }
  const hours = micros / MICROS_PER_HOUR;
  return round === 1 ? Math.ceil(hours) : Math.floor(hours);
}

function startOfMonth(now: number): number {
  const date = new Date(now);
  return hourOf(Date.UTC(date.getUTCFullYear(), date.getUTCMonth()));
}
