import { LIMITS } from '../../shared/domain/limits.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import type { Owner } from './catalog.ts';

/** Test data costs nothing and counts towards no plan, so bounds of the system hold for it. */
const TEST_LIMITS = {
  collections: LIMITS.testCollectionsMax,
  namespaces: LIMITS.testCollectionsMax,
  points: LIMITS.testPointsMax,
  bytes: LIMITS.testBytesMax,
} as const satisfies Partial<PlanLimits>;

/** What holds for the data of that mode. */
export function limitsFor<Limits extends Partial<PlanLimits>>(
  { mode }: Pick<Owner, 'mode'>,
  plan: Limits,
): Limits {
  return mode === 'test' ? { ...plan, ...TEST_LIMITS } : plan;
}
