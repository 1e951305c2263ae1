/** Work on a graph, small enough to wait for: done in this thread or handed to `builder.ts`. */
import { type CopyPlan, copyNodes } from './copy.ts';
import { BUILDING, instantiate, type KernelExports, type WasmMemory } from './module.ts';

export type LinkJob =
  /** Puts the rows at these slots, which were handed over, into the graph. */
  | { kind: 'link'; slots: Uint32Array }
  /** Takes the condemned out of the lists of these slots; the last of a pass leaves none. */
  | { kind: 'mend'; from: number; to: number; last: boolean }
  /** Copies a part of the nodes into a memory without gaps, which may code them in its own way. */
  | { kind: 'copy'; plan: CopyPlan; recode: boolean; from: number; to: number; last: boolean };

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
      if (job.recode) recodeNodes(job);
      break;
  }
}

function recodeNodes({ plan, from, to }: Extract<LinkJob, { kind: 'copy' }>): void {
  const kernel = instantiate(plan.into, BUILDING);
  for (let at = from; at < to; at += 1) {
    kernel.recode(plan.places[plan.slots[at] as number] as number);
  }
}
