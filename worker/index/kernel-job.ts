/** Work on a graph, small enough to wait for: done in this thread or handed to `builder.ts`. */
import type { KernelExports } from './kernel-module.ts';

export type LinkJob =
  /** Puts the rows at these slots, which were handed over, into the graph. */
  | { kind: 'link'; slots: Uint32Array }
  /** Takes the condemned out of the lists of these slots; the last of a pass leaves none. */
  | { kind: 'mend'; from: number; to: number; last: boolean };

export function runJob(kernel: KernelExports, job: LinkJob): void {
  if (job.kind === 'link') {
    for (const slot of job.slots) kernel.link(slot);
    return;
  }
  kernel.mend(job.from, job.to);
  if (job.last) kernel.leaveCondemned();
}
