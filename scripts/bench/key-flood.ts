/** Random well-formed keys against a real service, and a client with a good one beside them. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../shared/base/clock.ts';
import type { Row } from '../cli/output.ts';
import { UpProcess } from '../cli/up/up-process.ts';
import { Flood } from './flood.ts';
import { runOpenLoop } from './open-loop.ts';
import { cpuMsOf, rssBytesOf } from './process-stats.ts';
import { quantile } from './quantile.ts';
import { getBytes } from './raw-caller.ts';

/** The coordinator answers it alone, so that what workers do meanwhile is not by good keys. */
const PATH = '/collections';
const CONNECTIONS = 64;
const MIB = 2 ** 20;

export interface KeyFloodOptions {
  /** Of the flood, and of the client beside it. */
  perSecond: number;
  beside: number;
  durationMs: number;
}

interface Ready {
  url: string;
  key: string;
  pids: { coordinator: number; workers: number[] };
}

export async function measureKeyFlood(folder: string, options: KeyFloodOptions): Promise<Row> {
  const up = new UpProcess([
    ...[fileURLToPath(new URL('../bulkhead.ts', import.meta.url)), 'up', '--json'],
    ...['--data', join(folder, 'data'), '--port', '0', '--admin-port', '0', '--workers', '2'],
  ]);
  const flood = new Flood();
  try {
    const ready = (await up.waitFor('ready')) as unknown as Ready;
    return await measure(ready, flood, options);
  } finally {
    flood.close();
    up.signal('SIGTERM');
    await up.exited;
  }
}

/** A third of the time without the flood, then three thirds with it. */
async function measure(ready: Ready, flood: Flood, options: KeyFloodOptions): Promise<Row> {
  const thirdMs = options.durationMs / 3;
  const { url, pids } = ready;
  const workersMs = () => pids.workers.reduce((sum, pid) => sum + cpuMsOf(pid), 0);
  const atRest = workersMs();
  const quiet = await runBeside(ready, options, thirdMs);
  const restMs = (workersMs() - atRest) / (thirdMs / 1_000);
  const before = { coordinator: cpuMsOf(pids.coordinator), workers: workersMs() };
  const startMs = systemClock.monotonicMs();
  const order = { url, path: PATH, perSecond: options.perSecond };
  const flooding = flood.run({
    ...order,
    durationMs: options.durationMs,
    connections: CONNECTIONS,
  });
  const first = await runBeside(ready, options, thirdMs);
  const rssThird = rssBytesOf(pids.coordinator);
  const [report, rest] = await Promise.all([flooding, runBeside(ready, options, 2 * thirdMs)]);
  const seconds = (systemClock.monotonicMs() - startMs) / 1_000;
  const latencies = [...first.latenciesMs, ...rest.latenciesMs].sort((a, b) => a - b);
  const coordinatorMs = cpuMsOf(pids.coordinator) - before.coordinator;
  return {
    keys: report.sent,
    per_s: Math.round(report.sent / report.seconds),
    // The address is slowed down after some bad keys: 429 from then on.
    refused_401: report.statuses[401] ?? 0,
    refused_429: report.statuses[429] ?? 0,
    other_answers: report.sent - (report.statuses[401] ?? 0) - (report.statuses[429] ?? 0),
    coordinator_us_a_request: Math.round(
      (1_000 * coordinatorMs) / (report.sent + latencies.length),
    ),
    workers_rest_ms_a_s: round(restMs),
    workers_ms_a_s: round((workersMs() - before.workers) / seconds),
    rss_mib_third: Math.round(rssThird / MIB),
    rss_mib_end: Math.round(rssBytesOf(pids.coordinator) / MIB),
    beside_errors: quiet.errors + first.errors + rest.errors,
    p50_ms: round(quantile(quiet.latenciesMs, 0.5)),
    p50_flood: round(quantile(latencies, 0.5)),
    p99_ms: round(quantile(quiet.latenciesMs, 0.99)),
    p99_flood: round(quantile(latencies, 0.99)),
    latest_ms: round(report.latestMs),
  };
}

async function runBeside({ url, key }: Ready, { beside }: KeyFloodOptions, durationMs: number) {
  const request = getBytes(url, PATH, { 'api-key': key });
  const latenciesMs: number[] = [];
  let errors = 0;
  await runOpenLoop({
    ...{ url, connections: 8, perSecond: beside, durationMs },
    request: () => request,
    answered({ status, ms }) {
      latenciesMs.push(ms);
      if (status !== 200) errors += 1;
    },
  });
  latenciesMs.sort((a, b) => a - b);
  return { latenciesMs, errors };
}

function round(value: number): number {
  return Number(value.toFixed(2));
}
