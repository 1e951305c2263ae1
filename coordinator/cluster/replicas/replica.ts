import { AppError } from '../../../shared/errors/app-error.ts';
import type { Written } from '../../../shared/protocol/schema.ts';
import type { ReplicaPlacement } from '../../store/replicas.ts';

/** One copy of a shard, as the coordinator knows it. */
export interface Replica extends ReplicaPlacement {
  /** Whether it holds what the others in sync hold, as far as was seen since its worker came. */
  proved: boolean;
  /** Whether its files were found to be not what was written, and whether mending them has helped. */
  damage: Damage;
}

export type Damage = 'none' | 'found' | 'mended' | 'stays';

/** What is known when damage is met once more. */
export const DAMAGE_MET = {
  none: 'found',
  found: 'found',
  mended: 'stays',
  stays: 'stays',
} as const satisfies Record<Damage, Damage>;

/** One of which nothing is known but what is recorded. */
export function replicaOf(placement: ReplicaPlacement): Replica {
  return { ...placement, proved: false, damage: 'none' };
}

/** What each of these answers; those that fail are left out. `failure` is what one of them ended in. */
export async function answersOf<T>(
  replicas: readonly Replica[],
  ask: (replica: Replica) => Promise<T>,
): Promise<{ said: Map<Replica, T>; failure: unknown }> {
  const said = new Map<Replica, T>();
  const answers = await Promise.allSettled(
    replicas.map(async (replica) => said.set(replica, await ask(replica))),
  );
  return { said, failure: answers.find((answer) => answer.status === 'rejected')?.reason };
}

/** What the one of the highest version holds, and those that hold the same. */
export function foremostOf(said: ReadonlyMap<Replica, Written>): {
  best: Written;
  stay: Set<Replica>;
} {
  const best = [...said.values()].reduce((a, b) => (b.version > a.version ? b : a));
  const level = [...said].filter(([, written]) => isSame(written, best));
  return { best, stay: new Set(level.map(([replica]) => replica)) };
}

/** Whether two replicas hold the same rows. */
export function isSame(a: Written, b: Written): boolean {
  return a.digest === b.digest && a.points === b.points && a.bytes === b.bytes;
}

export function awayError(): AppError {
  return new AppError('unavailable', 'the workers that hold this data are away; try again soon');
}

export function tooFewError(count: number, needed: number): AppError {
  const are = count === 1 ? '1 replica of this shard is' : `${count} replicas of this shard are`;
  const text = `${are} in sync, and a write needs ${needed}; nothing was changed, try again`;
  return new AppError('unavailable', text);
}

/** Whether a write was refused because the replica has a newer one. */
export function isStale(error: unknown): boolean {
  return error instanceof AppError && error.code === 'stale_write';
}
