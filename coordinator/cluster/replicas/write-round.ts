/**
 * One write at all replicas in sync: waits for what they say, and says what it comes to.
 *
 *   all said no before they touched anything ---------> refused   nothing has changed
 *   one or more have it on disk ----------------------> written   whoever has not leaves
 *   none has it for sure, one or more may have it ----> unknown   they have to be compared
 *
 * Replicas that have written must hold the same after it, and agree whether it was done before. Where
 * they do not, those that agree with the most others stay, and the first among equals; the others leave.
 */
import { must } from '../../../shared/base/assert.ts';
import type { Clock } from '../../../shared/base/clock.ts';
import { InvalidInput } from '../../../shared/base/invalid.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Written } from '../../../shared/protocol/schema.ts';
import type { Replica } from './replica.ts';

export type Outcome =
  | { kind: 'written'; written: Written }
  /** Nothing was changed there. */
  | { kind: 'refused'; error: unknown }
  | { kind: 'unknown'; error: unknown };

export type Verdict =
  /** Places of those that have it, and of those that have it and disagree. */
  | { kind: 'written'; written: Written; stay: number[]; diverged: number[] }
  | { kind: 'refused'; error: unknown }
  | { kind: 'unknown'; error: unknown };

/** Errors by which a worker, or the way to it, says that nothing was changed. */
export const UNTOUCHED: ReadonlySet<string> = new Set([
  'conflict',
  'point_not_found',
  'quota_exceeded',
  'invalid_argument',
  'body_too_large',
  'stale_write',
  'overloaded',
  'shutting_down',
  'unavailable',
  'insufficient_storage',
]);

/**
 * One outcome an attempt. Waits for all of them, but after the first that has written no longer than that
 * one has taken, and than `lagMs`: whoever is that late counts as unknown. A write by filter goes by the
 * labels of its points, which replicas give by themselves: where it breaks off they are in different parts.
 */
export async function gather(
  attempts: readonly Promise<Written>[],
  { clock, lagMs, byFilter }: { clock: Clock; lagMs: number; byFilter: boolean },
): Promise<Outcome[]> {
  const startMs = clock.monotonicMs();
  const late = new AppError('deadline_exceeded', 'the replica was late');
  const outcomes = attempts.map((): Outcome => ({ kind: 'unknown', error: late }));
  const { promise: lag, resolve: giveUp } = Promise.withResolvers<void>();
  let cancel: (() => void) | undefined;
  const all = attempts.map(async (attempt, i) => {
    try {
      outcomes[i] = { kind: 'written', written: await attempt };
      cancel ??= clock.after(Math.max(lagMs, clock.monotonicMs() - startMs), giveUp);
    } catch (error) {
      outcomes[i] = { kind: isUntouched(error, byFilter) ? 'refused' : 'unknown', error };
    }
  });
  await Promise.race([Promise.all(all), lag]);
  cancel?.();
  return [...outcomes];
}

export function judge(outcomes: readonly Outcome[]): Verdict {
  const byContent = new Map<string, number[]>();
  outcomes.forEach((outcome, i) => {
    if (outcome.kind !== 'written') return;
    const { points, bytes, digest, repeated = 0 } = outcome.written;
    const content = `${points}/${bytes}/${digest}/${repeated}`;
    byContent.set(content, [...(byContent.get(content) ?? []), i]);
  });
  let stay: number[] = [];
  for (const group of byContent.values()) if (group.length > stay.length) stay = group;
  const best = outcomes[stay[0] ?? -1];
  if (best?.kind === 'written') {
    const diverged = [...byContent.values()].flat().filter((i) => !stay.includes(i));
    return { kind: 'written', written: best.written, stay, diverged };
  }
  for (const outcome of outcomes) if (outcome.kind === 'unknown') return outcome;
  const [first] = outcomes;
  if (first?.kind === 'refused') return first;
  throw new TypeError('a round has replicas');
}

/** The same of replicas: those that have not written, and those that disagree, in place of their places.
 * Whoever is not in sync any more has no say. */
export function judgeMembers(
  members: readonly Replica[],
  outcomes: readonly Outcome[],
):
  | { kind: 'written'; written: Written; missing: Replica[]; strange: Replica[] }
  | Exclude<Verdict, { kind: 'written' }> {
  const places = members.flatMap((member, i) => (member.state === 'in_sync' ? [i] : []));
  const current = places.map((i) => must(members[i], 'it is a member'));
  const verdict = judge(places.map((i) => must(outcomes[i], 'one a member')));
  if (verdict.kind !== 'written') return verdict;
  const { kind, written, stay, diverged } = verdict;
  const missing = current.filter((_, i) => !stay.includes(i) && !diverged.includes(i));
  const strange = current.filter((_, i) => diverged.includes(i));
  return { kind, written, missing, strange };
}

/** How many points a write is for; of one by filter, that nobody knows, one. */
export function rowsOf(body: object): number {
  const named = 'points' in body ? body.points : body;
  const hasIds = typeof named === 'object' && named !== null && 'ids' in named;
  return hasIds && Array.isArray(named.ids) ? named.ids.length : 1;
}

/** Whether a write says by a filter which points it is for; then it may be done in parts. */
export function isByFilter(body: object): boolean {
  if (!('points' in body)) return false;
  const { points } = body;
  return typeof points === 'object' && points !== null && 'filter' in points;
}

function isUntouched(error: unknown, byFilter: boolean): boolean {
  if (error instanceof InvalidInput) return true;
  if (!(error instanceof AppError) || !UNTOUCHED.has(error.code)) return false;
  return !(byFilter && error.code === 'quota_exceeded');
}
