/**
 * What this worker takes of its machine. Processor time is counted by the system since the process
 * began, threads included; what is told is its growth over a span that is looked at, a second at
 * least, so that two who ask in a row hear the same.
 */
import { statfs } from 'node:fs/promises';
import type { Clock } from '../../shared/base/clock.ts';
import type { Reply } from '../../shared/protocol/messages.ts';

export interface OwnStatusDeps {
  clock: Clock;
  registry: { readonly size: number };
  /** Microseconds of processor time since the process began, and bytes of memory it has now. */
  usage: () => { cpuMicros: number; memoryBytes: number };
}

const SPAN_MS_MIN = 1_000;
const MICROS_PER_MS = 1_000;

export class OwnStatus {
  readonly #deps: OwnStatusDeps;
  readonly #dataDir: string;
  #cpu = 0;
  #since: { atMs: number; micros: number };

  constructor(deps: OwnStatusDeps, options: { dataDir: string }) {
    this.#deps = deps;
    this.#dataDir = options.dataDir;
    this.#since = { atMs: deps.clock.monotonicMs(), micros: deps.usage().cpuMicros };
  }

  async read(): Promise<Reply<'worker-status'>> {
    const { registry, usage } = this.#deps;
    const { bavail, blocks, bsize } = await statfs(this.#dataDir);
    const { cpuMicros, memoryBytes } = usage();
    return {
      shards: registry.size,
      cpu: this.#cpuAt(cpuMicros),
      memoryBytes,
      diskFreeBytes: bavail * bsize,
      diskBytes: blocks * bsize,
    };
  }

  #cpuAt(micros: number): number {
    const atMs = this.#deps.clock.monotonicMs();
    const spanMs = atMs - this.#since.atMs;
    if (spanMs < SPAN_MS_MIN) return this.#cpu;
    this.#cpu = Math.max(0, (micros - this.#since.micros) / MICROS_PER_MS / spanMs);
    this.#since = { atMs, micros };
    return this.#cpu;
  }
}

/** Of the process that this runs in. */
export function processUsage(): { cpuMicros: number; memoryBytes: number } {
  const { user, system } = process.cpuUsage();
  return { cpuMicros: user + system, memoryBytes: process.memoryUsage.rss() };
}
