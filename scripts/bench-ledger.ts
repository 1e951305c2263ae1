/**
 * What the ledger costs a request: `npx node scripts/bench-ledger.ts [--rate N] [--seconds N] [--clients N]`.
 *
 * Requests are noted as the data API notes them, for the bill and the audit log, at a steady rate, and the
 * real ledger thread writes them to a file. Shown: processor time of the whole process a request, beside that of the
 * same loop without the notes; the delay of the event loop; how long the last entry took to be on disk.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { AuditLog } from '../coordinator/audit/audit-log.ts';
import { RequestMeter } from '../coordinator/billing/request-meter.ts';
import { Ledger } from '../coordinator/ledger/ledger.ts';
import { systemClock } from '../shared/base/clock.ts';
import { Deadline } from '../shared/base/deadline.ts';
import type { ClientId, KeyId } from '../shared/base/ids.ts';
import { secureRandom } from '../shared/base/random.ts';
import { quietLog } from '../shared/log/log.ts';

const TICK_MS = 5;
const KEYS_PER_CLIENT = 4;
const US_PER_MS = 1_000;
const NS_PER_MS = 1e6;

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '5000' },
    seconds: { type: 'string', default: '20' },
    clients: { type: 'string', default: '50' },
  },
});
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const clients = Number(values.clients);

const folder = mkdtempSync(path.join(tmpdir(), 'bulkhead-bench-'));
const deps = { clock: systemClock, random: secureRandom, log: quietLog };
const ledger = new Ledger(path.join(folder, 'ledger.db'), deps, {
  auditSeed: secureRandom.bytes(32),
});
await ledger.opened();
const meter = new RequestMeter({ ledger, clock: systemClock });
const auditLog = new AuditLog({ ledger, clock: systemClock });

function note(n: number): void {
  const client = n % clients;
  const whose = {
    clientId: `cl_bench${String(client).padStart(11, '0')}` as ClientId,
    keyId: `key_bench${String(client)}k${n % KEYS_PER_CLIENT}` as KeyId,
    mode: 'live' as const,
    namespace: 'default',
    status: 200,
    units: 1 + (n % 3),
  };
  meter.note({ ...whose, route: 'query', queries: 1, bytesIn: 3_000, bytesOut: 900 });
  auditLog.request({
    ...whose,
    endpoint: 'POST /collections/:collection/points/query',
    collection: 'documents',
    deleted: undefined,
    sample: 1,
    requestId: `req_bench${String(n).padStart(11, '0')}`,
  });
}

/** Calls `each` at the rate for so long; processor time of the process in microseconds. */
async function run(each: (n: number) => void): Promise<{ us: number; requests: number }> {
  const startMs = systemClock.monotonicMs();
  const before = process.cpuUsage();
  let requests = 0;
  for (;;) {
    const dueMs = systemClock.monotonicMs() - startMs;
    const due = Math.min(rate * seconds, Math.floor((dueMs / 1_000) * rate));
    while (requests < due) each(requests++);
    if (requests === rate * seconds) break;
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  const { user, system } = process.cpuUsage(before);
  return { us: user + system, requests };
}

// Its own timer costs something, too, so it is there in both runs.
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const idle = await run(() => undefined);
delay.reset();
const noted = await run(note);
const endMs = systemClock.monotonicMs();
await meter.close();
await auditLog.close();
delay.disable();
const lagMs = systemClock.monotonicMs() - endMs;
await ledger.close(Deadline.after(systemClock, 10_000));
rmSync(folder, { recursive: true });

const perRequest = (noted.us - idle.us) / noted.requests;
const loopMs = (delay.percentile(99) / NS_PER_MS).toFixed(1);
console.log(`${rate} requests/s of ${clients} clients for ${seconds} s:`);
console.log(`  ${perRequest.toFixed(1)} us of processor time a request`);
console.log(
  `  event loop p99 ${loopMs} ms (its timer is 1 ms), the ledger done ${lagMs.toFixed(0)} ms after the last`,
);
console.log(`  (the loop alone: ${(idle.us / US_PER_MS).toFixed(0)} ms)`);
