import { AppError } from '../../shared/errors/app-error.ts';
import type { Written } from '../../shared/protocol/schema.ts';
import type { ReplicaPlacement } from '../store/replicas.ts';

/** One copy of a shard, as the coordinator knows it. */
export interface Replica extends ReplicaPlacement {
  /** Whether it holds what the others in sync hold, as far as was seen since its worker came. */
  proved: boolean;
}

/** Whether two replicas hold the same rows. */
export function isSame(a: Written, b: Written): boolean {
  return a.digest === b.digest && a.points === b.points && a.bytes === b.bytes;
}

export function awayError(): AppError {
  return new AppError('unavailable', 'the workers that hold this data are away; try again soon');
}

/** Whether a write was refused because the replica has a newer one. */
export function isStale(error: unknown): boolean {
  return error instanceof AppError && error.code === 'stale_write';
}
