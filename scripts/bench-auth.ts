/**
 * What it costs to tell who asks, and what a flood of keys that nobody has costs a service:
 *
 *   npx node scripts/bench-auth.ts [--rounds 15] [--rate 10000] [--seconds 20] [--json]
 *
 * First processor time of one authentication in this process, over a real control.db, the cases by
 * turns. Then random well-formed keys, sent on schedule to a service of its own, with a client beside
 * them; `--seconds 0` leaves that out.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { KeyCosts } from './bench/key-costs.ts';
import { measureKeyFlood } from './bench/key-flood.ts';
import { printRows, type Row } from './cli/output.ts';

const options = new Command('bench-auth')
  .option('--rounds <n>', 'how often each case is measured', '15')
  .option('--rate <n>', 'requests a second of the flood', '10000')
  .option('--seconds <n>', 'how long the flood lasts', '20')
  .option('--beside <n>', 'requests a second of the client beside it', '200')
  .option('--json', 'print one JSON object a line', false)
  .parse()
  .opts<Record<'rounds' | 'rate' | 'seconds' | 'beside', string> & { json: boolean }>();

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-bench-'));
try {
  const costs = await KeyCosts.open(folder);
  print(costs.measure(Number(options.rounds)));
  costs.close();
  const [perSecond, beside] = [Number(options.rate), Number(options.beside)];
  const durationMs = 1_000 * Number(options.seconds);
  if (durationMs > 0) print([await measureKeyFlood(folder, { perSecond, beside, durationMs })]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function print(rows: readonly Row[]): void {
  const write = (text: string): unknown => process.stdout.write(text);
  printRows({ json: options.json, write }, Object.keys(rows[0] ?? {}), rows);
}
