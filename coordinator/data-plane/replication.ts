/** How many copies a collection has: what a plan allows, and what more of them cost. */
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import type { CollectionRecord } from '../store/collections.ts';
import { copyCost } from './cost.ts';

export type Replication = Pick<CollectionRecord, 'replicationFactor' | 'writeConsistencyFactor'>;

export function replicationOf(record: Replication): Replication {
  const { replicationFactor, writeConsistencyFactor } = record;
  return { replicationFactor, writeConsistencyFactor };
}

export function isSameReplication(a: Replication, b: Replication): boolean {
  return (
    a.replicationFactor === b.replicationFactor &&
    a.writeConsistencyFactor === b.writeConsistencyFactor
  );
}

/**
 * A collection that has more than its plan allows, because that was changed, keeps them. `path` is
 * where the request says it. Throws `InvalidInput`.
 */
export function checkReplicas(
  { replicationFactor }: Replication,
  most: Pick<PlanLimits, 'replicas'>,
  { path, current = 0 }: { path: string; current?: number },
): void {
  if (replicationFactor <= Math.max(most.replicas, current)) return;
  throw new InvalidInput(path, `is at most ${most.replicas} on your plan`);
}

/** Units of work: each copy more is linked anew at its worker. */
export function spreadCost(
  before: CollectionRecord,
  after: CollectionRecord,
  points: number,
): number {
  const copies = Math.max(0, after.replicationFactor - before.replicationFactor);
  return copies * copyCost(after.config, points);
}
