/** Work on a graph, small enough to wait for: done in this thread or handed to `builder.ts`. */
import { type CopyPlan, copyNodes } from './copy.ts';
import type { KernelExports, WasmMemory } from './module.ts';

export type LinkJob =
  /** Puts the rows at these slots, which were handed over, into the graph. */
  | { kind: 'link'; slots: Uint32Array }
  /** Takes the condemned out of the lists of these slots; the last of a pass leaves none. */
  | { kind: 'mend'; from: number; to: number; last: boolean }
  /** Copies a part of the nodes into a memory without gaps. */
  | { kind: 'copy'; plan: CopyPlan; from: number; to: number; last: boolean };

export function runJob(kernel: KernelExports, memory: WasmMemory, job: LinkJob): void {
  switch (job.kind) {
    case 'link':
      for (const slot of job.slots) kernel.link(slot);
      break;
    case 'mend':
      kernel.mend(job.from, job.to);
      if (job.last) kernel.leaveCondemned();
      break;
    case 'copy':
      copyNodes(memory, job.plan, job.from, job.to);
      break;
  }
}
