import type { Clock } from '../../../shared/base/clock.ts';
import { inTime } from '../../../shared/base/in-time.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { ReplicaSet } from './replica-set.ts';

/**
 * Runs `change` while no write of any of these shards is under way and none begins. Throws
 * `overloaded` when that can not be had in `waitMs`, however many shards there are: they are asked
 * to pause all at once, and go on all at once.
 */
export async function pauseAll<T>(
  sets: readonly Pick<ReplicaSet, 'exclusive'>[],
  { clock, waitMs }: { clock: Clock; waitMs: number },
  change: () => Promise<T>,
): Promise<T> {
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  const paused = sets.map((set) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const pausing = set.exclusive(waitMs, async () => {
      resolve();
      await over;
    });
    pausing.catch(reject);
    return promise;
  });
  // One that is paused by somebody else for longer is paused for no time when that has ended.
  const late = () => new AppError('overloaded', 'the shards of the collection are busy');
  try {
    await inTime(clock, waitMs, Promise.all(paused), late);
    return await change();
  } finally {
    end();
  }
}
