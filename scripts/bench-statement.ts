/**
 * How long a statement takes over a long history: `npx node scripts/bench-statement.ts [--hours N] [--keys N]
 * [--namespaces N]`.
 *
 * The ledger is filled as batches of years of requests and writes would have left it, with rows for each hour, key
 * and namespace, and for each day and collection; statements are asked of its real thread. Shown: the slowest of several.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { STATEMENT_BY } from '../coordinator/billing/statement.ts';
import { Statements } from '../coordinator/control-plane/billing/statements.ts';
import type { LedgerEntry } from '../coordinator/ledger/entries.ts';
import { Ledger } from '../coordinator/ledger/ledger.ts';
import { LedgerDb } from '../coordinator/ledger/ledger-db.ts';
import { openLedger } from '../coordinator/ledger/schema.ts';
import { systemClock } from '../shared/base/clock.ts';
import { Deadline } from '../shared/base/deadline.ts';
import type { ClientId, KeyId, ShardId } from '../shared/base/ids.ts';
import { secureRandom } from '../shared/base/random.ts';
import type { Notice } from '../shared/domain/notices.ts';
import { quietLog } from '../shared/log/log.ts';
import { hourOf } from '../shared/protocol/meter.ts';

const HOURS_PER_BATCH = 1_000;
const REPETITIONS = 5;
const CLIENT = 'cl_benchaaaaaaaaaaa' as ClientId;
const STATUSES = [200, 400];
const COLLECTIONS = ['c', 'd'];
const HOURS_PER_DAY = 24;

const { values } = parseArgs({
  options: {
    hours: { type: 'string', default: '100000' },
    keys: { type: 'string', default: '3' },
    namespaces: { type: 'string', default: '2' },
  },
});
const hours = Number(values.hours);
const keys = Array.from({ length: Number(values.keys) }, (_, n) => `key_${n}` as KeyId);
const namespaces = Array.from({ length: Number(values.namespaces) }, (_, n) => `n${n}`);
const until = hourOf(systemClock.now()) + 1;

const folder = mkdtempSync(path.join(tmpdir(), 'bulkhead-bench-'));
const file = path.join(folder, 'ledger.db');
const auditSeed = secureRandom.bytes(32);
const whose = { clientId: CLIENT, mode: 'live' as const };

function batchOf(first: number, size: number): LedgerEntry[] {
  const times = Array.from({ length: size }, (_, n) => first + n);
  return namespaces.flatMap((namespace): LedgerEntry[] => [
    {
      kind: 'requests',
      sums: times.flatMap((hour) =>
        keys.flatMap((keyId) =>
          STATUSES.map((status) => {
            const amounts = { requests: 9, queries: 7, units: 8, bytesIn: 5, bytesOut: 6 };
            return { ...whose, namespace, keyId, hour, route: 'query', status, ...amounts };
          }),
        ),
      ),
    },
    {
      kind: 'writes',
      shardId: namespace as ShardId,
      owner: { ...whose, namespace },
      after: first,
      upTo: first + size,
      sums: times.flatMap((hour) =>
        keys.map((key) => ({ key, hour, writes: 1, written: 3, deleted: 0, bytes: 9 })),
      ),
      isLast: false,
    },
  ]);
}

/** As a census leaves it: a row a day and collection. */
function fillStorage(): void {
  const raw = openLedger(file);
  const add = raw.prepare('INSERT INTO storage_usage VALUES (?, ?, ?, ?, ?, ?, ?, 0)');
  const fill = raw.transaction(() => {
    const firstDay = Math.ceil((until - hours) / HOURS_PER_DAY) * HOURS_PER_DAY;
    for (let day = firstDay; day < until; day += HOURS_PER_DAY) {
      for (const namespace of namespaces) {
        for (const collection of COLLECTIONS) {
          add.run(CLIENT, 'live', day, namespace, collection, 1_000, 3_000_000);
        }
      }
    }
  });
  fill.immediate();
  raw.close();
}

const db = new LedgerDb({ file, auditSeed });
for (let done = 0, batch = 1; done < hours; done += HOURS_PER_BATCH, batch += 1) {
  const size = Math.min(HOURS_PER_BATCH, hours - done);
  const entries = batchOf(until - hours + done, size);
  db.write({ run: 'bench', batch, entries, now: 0 });
}
db.close();
fillStorage();

const tell = ({ type }: Notice) => console.error(`told: ${type}`);
const deps = { clock: systemClock, random: secureRandom, log: quietLog, tell };
const ledger = new Ledger(file, deps, { auditSeed });
await ledger.opened();
const prices = { month: 1, million_queries: 2, million_points_written: 3, gib_month: 4 };
const termsOf = () => [{ from: until - hours, planId: 'standard', prices }];
const store = { priceHistory: { termsOf } } as never;
const statements = new Statements({ store, ledger, clock: systemClock, currency: 'EUR' });

console.log(
  `${hours} hours, ${keys.length} keys, ${namespaces.length} namespaces, ${Math.round(statSync(file).size / 2 ** 20)} MiB:`,
);
for (const by of STATEMENT_BY) {
  for (const [name, span] of [
    ['all', { from: until - hours, until }],
    ['all but its ends', { from: until - hours + 7, until: until - 5 }],
    ['30 days', { from: until - 720, until }],
  ] as const) {
    let slowestMs = 0;
    let count = 0;
    for (let n = 0; n < REPETITIONS; n += 1) {
      const startMs = systemClock.monotonicMs();
      count = (await statements.of(CLIENT, span, by)).lines.length;
      slowestMs = Math.max(slowestMs, systemClock.monotonicMs() - startMs);
    }
    console.log(`  ${by.padEnd(10)} ${name.padEnd(16)} ${count} lines, ${slowestMs.toFixed(1)} ms`);
  }
}
await ledger.close(Deadline.after(systemClock, 10_000));
rmSync(folder, { recursive: true });
