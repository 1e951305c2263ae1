/**
 * Asks for something whose filters cost what only the answer tells, and settles that with what was
 * taken for them beforehand. What ended for another reason than its time cost nothing more.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Work as FilterWork } from '../../shared/protocol/schema.ts';
import type { Payer } from '../limits/tally.ts';
import type { CollectionRecord } from '../store/collections.ts';
import { lateCost, type Work, workCost } from './cost.ts';
import type { FilterCosts } from './filter-costs.ts';

export interface Settling {
  payer: Payer;
  record: CollectionRecord;
  /** Units that were taken for filters. */
  expected: number;
  filters: number;
}

export async function settled<Answer>(
  deps: { work: Work; filterCosts: FilterCosts; clock: Clock },
  { payer, record, expected, filters }: Settling,
  ask: () => Promise<Answer>,
  workOf: (answer: Answer) => FilterWork,
): Promise<Answer> {
  const { work, filterCosts, clock } = deps;
  const startMs = clock.monotonicMs();
  try {
    const answer = await ask();
    const cost = workCost(workOf(answer));
    filterCosts.learn(record, cost / filters);
    work.charge(payer, cost - expected);
    return answer;
  } catch (error) {
    const late = isLate(error) ? lateCost(clock.monotonicMs() - startMs) : 0;
    // Time that passed is not always time that was worked: no more than for all its points.
    const most = filterCosts.most(record) * filters;
    work.charge(payer, Math.min(late, most) - expected);
    throw error;
  }
}

function isLate(error: unknown): boolean {
  return error instanceof AppError && error.code === 'deadline_exceeded';
}
