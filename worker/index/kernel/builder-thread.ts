/** The program of the building thread: one job after the other, in the order in which they came. */
import { parentPort } from 'node:worker_threads';
import { must } from '../../../shared/base/assert.ts';
import { systemClock } from '../../../shared/base/clock.ts';
import { type LinkJob, runJob } from './job.ts';
import {
  BUILDING,
  instantiate,
  type KernelExports,
  type WasmMemory,
  type WasmModule,
} from './module.ts';

export interface BuildRequest {
  seq: number;
  module: WasmModule;
  memory: WasmMemory;
  job: LinkJob;
}

export type BuildReply = { seq: number; ms: number } | { seq: number; error: string };

const port = must(parentPort, 'this runs in a thread');

/**
 * A kernel is made for each job: it takes some tens of microseconds, reads the header anew, and a
 * thread that holds no memory between jobs needs no word when a shard is closed.
 */
function run({ seq, module, memory, job }: BuildRequest): BuildReply {
  try {
    const startMs = systemClock.monotonicMs();
    const kernel: KernelExports = instantiate(memory, BUILDING, module);
    runJob(kernel, memory, job);
    return { seq, ms: systemClock.monotonicMs() - startMs };
  } catch (error) {
    return { seq, error: error instanceof Error ? error.message : String(error) };
  }
}

port.on('message', (request: BuildRequest) => port.postMessage(run(request)));
