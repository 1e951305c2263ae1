import type { Clock } from '../../../shared/base/clock.ts';
import type { WorkerLink } from '../../worker-link/worker-link.ts';
import type { Replica } from './replica.ts';

interface Expected {
  inSync: readonly Replica[];
  /** Resolves at the next connection of one of their workers. */
  arrival: Promise<void>;
}

/**
 * Waits for the workers of replicas in sync: right after a start for all, else for one. Whoever asked for
 * it waits as long as its own deadline allows.
 */
export async function presence(
  deps: { link: Pick<WorkerLink, 'isReady'>; clock: Clock; graceEndMs: number },
  expected: () => Expected,
): Promise<void> {
  const { link, clock, graceEndMs } = deps;
  for (;;) {
    const { inSync, arrival } = expected();
    const here = inSync.filter(({ workerId }) => link.isReady(workerId)).length;
    const graceMs = graceEndMs - clock.monotonicMs();
    if (here === inSync.length || (here > 0 && graceMs <= 0)) return;
    const { promise: graceEnd, resolve } = Promise.withResolvers<void>();
    const cancel = here > 0 ? clock.after(graceMs, resolve) : () => undefined;
    await Promise.race([arrival, graceEnd]).finally(cancel);
  }
}
