/**
 * One client far above its rate limit, and another beside it, on a service of their own:
 *
 *   npx node scripts/bench-limits.ts [--rate 600] [--window 20] [--rounds 6] [--json]
 *
 * First the flood for some seconds: how many requests are accepted, and what the others are told.
 * Then windows without and with the flood by turns, so that what else the machine does meets both
 * alike: the latencies of the client beside it. A window is as long as the first flood: the burst that
 * the plan allows is served as fast as it comes, and would be much of a short one. All requests are searches of a small collection,
 * sent on schedule. It ends with 1 when anything but a time is not as promised.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { QdrantClient } from '@qdrant/js-client-rest';
import { Command } from 'commander';
import { SeededRandom } from '../shared/base/random.ts';
import { Flood } from './bench/flood.ts';
import type { FloodReport } from './bench/flood-process.ts';
import { runOpenLoop } from './bench/open-loop.ts';
import { quantile } from './bench/quantile.ts';
import { isRateHeaderRight } from './bench/rate-answers.ts';
import { postBytes } from './bench/raw-caller.ts';
import { AdminClient } from './cli/admin/admin-client.ts';
import { readAdminToken } from './cli/env-files.ts';
import { printRows, type Row } from './cli/output.ts';
import { UpProcess } from './cli/up/up-process.ts';

const PATH = '/collections/bench/points/query';
const DIMENSION = 64;
const POINTS = 2_000;
const SEED = 20_261_127;
const CONNECTIONS = 32;
const WARM_UP_MS = 5_000;
/** The plan of the client that floods, and the time in which its burst is there again. */
const PLAN = { name: 'standard', perSecond: 60, burst: 120 };
const REFILL_MS = 100 + (1_000 * PLAN.burst) / PLAN.perSecond;
const DEVIATION_MAX = 0.02;
const TARGET_RATIO = 1.1;

const options = new Command('bench-limits')
  .option('--rate <n>', 'requests a second of the flood', '600')
  .option('--seconds <n>', 'how long the first flood lasts', '20')
  .option('--rounds <n>', 'windows without and with a flood', '6')
  .option('--window <n>', 'seconds of a window', '20')
  .option('--beside <n>', 'requests a second of the client beside it', '200')
  .option('--json', 'print one JSON object a line', false)
  .parse()
  .opts<Record<'rate' | 'seconds' | 'rounds' | 'window' | 'beside', string> & { json: boolean }>();

interface Ready {
  url: string;
  admin_url: string;
  env_file: string;
}

/** What came back to the client beside the flood. */
interface Window {
  latenciesMs: number[];
  errors: number;
  badHeaders: number;
  latestMs: number;
}

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-bench-'));
const up = new UpProcess([
  ...[fileURLToPath(new URL('./bulkhead.ts', import.meta.url)), 'up', '--json'],
  ...['--data', join(folder, 'data'), '--port', '0', '--admin-port', '0', '--workers', '2'],
]);
const flood = new Flood();
try {
  const ready = (await up.waitFor('ready')) as unknown as Ready;
  const admin = new AdminClient({ url: ready.admin_url, token: readAdminToken(ready.env_file) });
  const flooder = await createCaller(ready.url, admin, PLAN.name);
  const other = await createCaller(ready.url, admin, 'dedicated');
  await admin.close();
  await measure(ready.url, flooder, other);
} finally {
  flood.close();
  up.signal('SIGTERM');
  await up.exited;
  rmSync(folder, { recursive: true, force: true });
}

/** The key of a new client with a collection to search. */
async function createCaller(url: string, admin: AdminClient, plan: string): Promise<string> {
  const { client_id: clientId } = await admin.createClient({ name: plan, plan });
  const { key } = await admin.createKey(clientId, { name: 'bench', mode: 'live' });
  const client = new QdrantClient({ url, apiKey: key });
  const random = new SeededRandom(SEED);
  await client.createCollection('bench', { vectors: { size: DIMENSION, distance: 'Cosine' } });
  const points = Array.from({ length: POINTS }, (_, id) => ({ id, vector: vectorOf(random) }));
  await client.upsert('bench', { wait: true, points });
  return key;
}

function vectorOf(random: SeededRandom): number[] {
  return Array.from({ length: DIMENSION }, () => random.normal());
}

async function measure(url: string, flooder: string, other: string): Promise<void> {
  await runBeside(url, other, WARM_UP_MS);
  await sleep(REFILL_MS);
  const floodMs = 1_000 * Number(options.seconds);
  const [long, beside] = await Promise.all([
    runFlood(url, flooder, floodMs),
    runBeside(url, other, floodMs),
  ]);
  const floods = [long];
  const all = [beside];
  const without: Window[] = [];
  const withFlood: Window[] = [];
  const windowMs = Math.max(REFILL_MS, 1_000 * Number(options.window));
  for (let round = 0; round < Number(options.rounds); round += 1) {
    without.push(await runBeside(url, other, windowMs));
    const [report, window] = await Promise.all([
      runFlood(url, flooder, windowMs),
      runBeside(url, other, windowMs),
    ]);
    floods.push(report);
    withFlood.push(window);
  }
  all.push(...without, ...withFlood);
  print([rowOfFlood('at once', [long]), rowOfFlood('windows', floods.slice(1))]);
  print([rowOfBeside(without, withFlood, all)]);
  const broken = floods.some(isBroken) || all.some((one) => one.errors + one.badHeaders > 0);
  process.exitCode = broken ? 1 : 0;
}

function runFlood(url: string, key: string, durationMs: number): Promise<FloodReport> {
  const body = JSON.stringify({ query: vectorOf(new SeededRandom(SEED + 1)), limit: 10 });
  const perSecond = Number(options.rate);
  return flood.run({ url, key, path: PATH, body, perSecond, durationMs, connections: CONNECTIONS });
}

async function runBeside(url: string, key: string, durationMs: number): Promise<Window> {
  const random = new SeededRandom(SEED + 2);
  const requests = Array.from({ length: 100 }, () => {
    const body = JSON.stringify({ query: vectorOf(random), limit: 10 });
    return postBytes(url, PATH, { 'api-key': key }, body);
  });
  const window: Window = { latenciesMs: [], errors: 0, badHeaders: 0, latestMs: 0 };
  const { latestMs } = await runOpenLoop({
    url,
    connections: CONNECTIONS,
    perSecond: Number(options.beside),
    durationMs,
    request: (n) => requests[n % requests.length] as Buffer,
    answered({ status, head, ms }) {
      window.latenciesMs.push(ms);
      if (status !== 200) window.errors += 1;
      if (!isRateHeaderRight(status, head)) window.badHeaders += 1;
    },
  });
  return { ...window, latestMs };
}

function expectedOf({ seconds }: FloodReport): number {
  return PLAN.burst + PLAN.perSecond * seconds;
}

function acceptedOf({ statuses }: FloodReport): number {
  return statuses[200] ?? 0;
}

function limitedOf({ statuses }: FloodReport): number {
  return statuses[429] ?? 0;
}

/** Answers that are neither. */
function othersOf(report: FloodReport): number {
  return report.sent - acceptedOf(report) - limitedOf(report);
}

function isBroken(report: FloodReport): boolean {
  const deviation = acceptedOf(report) / expectedOf(report) - 1;
  return Math.abs(deviation) > DEVIATION_MAX || othersOf(report) + report.badHeaders > 0;
}

function rowOfFlood(name: string, reports: readonly FloodReport[]): Row {
  const sum = (figure: (report: FloodReport) => number) => {
    return reports.reduce((total, report) => total + figure(report), 0);
  };
  const [accepted, expected] = [sum(acceptedOf), sum(expectedOf)];
  const seconds = sum((report) => report.seconds);
  return {
    flood: name,
    sent: sum((report) => report.sent),
    seconds: round(seconds, 2),
    per_s: round(sum((report) => report.sent) / seconds, 0),
    accepted,
    expected: round(expected, 0),
    deviation_percent: round(100 * (accepted / expected - 1), 2),
    refused_429: sum(limitedOf),
    other_errors: sum(othersOf),
    bad_headers: sum((report) => report.badHeaders),
    latest_ms: round(Math.max(...reports.map(({ latestMs }) => latestMs)), 1),
    target: `within ${100 * DEVIATION_MAX} %, the others 429`,
  };
}

function rowOfBeside(
  without: readonly Window[],
  withFlood: readonly Window[],
  all: readonly Window[],
): Row {
  const [before, beside] = [without, withFlood].map(latenciesOf) as [number[], number[]];
  const p99 = [quantile(before, 0.99), quantile(beside, 0.99)] as const;
  const ratios = without.map((window, i) => {
    const [a, b] = [[window], withFlood.slice(i, i + 1)].map(latenciesOf) as [number[], number[]];
    return quantile(b, 0.99) / quantile(a, 0.99);
  });
  ratios.sort((a, b) => a - b);
  return {
    beside: `${options.beside}/s`,
    requests: all.reduce((total, { latenciesMs }) => total + latenciesMs.length, 0),
    errors: all.reduce((total, { errors }) => total + errors, 0),
    bad_headers: all.reduce((total, { badHeaders }) => total + badHeaders, 0),
    p50_ms: round(quantile(before, 0.5), 2),
    p50_flood: round(quantile(beside, 0.5), 2),
    p99_ms: round(p99[0], 2),
    p99_flood: round(p99[1], 2),
    ratio: round(p99[1] / p99[0], 2),
    median_ratio_of_rounds: round(quantile(ratios, 0.5), 2),
    latest_ms: round(Math.max(...all.map(({ latestMs }) => latestMs)), 1),
    target: `no errors, ratio <= ${TARGET_RATIO}`,
  };
}

function latenciesOf(windows: readonly Window[]): number[] {
  return windows.flatMap(({ latenciesMs }) => latenciesMs).sort((a, b) => a - b);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function print(rows: readonly Row[]): void {
  const write = (text: string): unknown => process.stdout.write(text);
  printRows({ json: options.json, write }, Object.keys(rows[0] ?? {}), rows);
}
