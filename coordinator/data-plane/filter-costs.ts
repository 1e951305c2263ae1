/**
 * What the next filter of a collection will probably have to look at. It is taken before the request
 * is sent and settled when its answer tells, so that many requests at once can not all be sent
 * before the first one is paid for. The latest one is the best guess; before there is one, a filter
 * over a field without a payload index is taken to look at every point.
 */
import type { CollectionId } from '../../shared/base/ids.ts';
import type { Condition, Filter } from '../../shared/domain/filter.ts';
import { formatPayloadPath } from '../../shared/domain/payload-path.ts';
import type { CollectionRecord } from '../store/collections.ts';
import { workCost } from './cost.ts';

/** Of a shard of which nobody knows how many it has. */
const POINTS_UNKNOWN = 10_000;
/** More are forgotten, all at once: then guesses are made anew. */
const COLLECTIONS_KEPT = 10_000;

export class FilterCosts {
  readonly #latest = new Map<CollectionId, number>();
  readonly #pointsOf: (record: CollectionRecord) => number | undefined;

  constructor(pointsOf: (record: CollectionRecord) => number | undefined) {
    this.#pointsOf = pointsOf;
  }

  /** Units that the filter will probably cost beyond what it is made of. */
  expected(record: CollectionRecord, filter: Filter): number {
    if (isIndexed(filter, record.payloadIndexes)) return 0;
    const latest = this.#latest.get(record.collectionId);
    return latest ?? workCost({ examined: this.#pointsOf(record) ?? 0, changed: 0 });
  }

  /** What one can cost at most: every point looked at, and changed. */
  most(record: CollectionRecord): number {
    const points = this.#pointsOf(record) ?? POINTS_UNKNOWN;
    return workCost({ examined: points, changed: points });
  }

  /** What one of its filters did cost. */
  learn({ collectionId }: CollectionRecord, units: number): void {
    if (this.#latest.size >= COLLECTIONS_KEPT) this.#latest.clear();
    this.#latest.set(collectionId, units);
  }
}

/** Whether payload indexes answer for all of it, as far as can be told here. */
function isIndexed(filter: Filter, indexes: CollectionRecord['payloadIndexes']): boolean {
  const isKnown = (condition: Condition): boolean => {
    if (condition.kind === 'group') return isIndexed(condition.filter, indexes);
    if (condition.kind === 'has-id' || condition.kind === 'has-vector') return true;
    if (condition.kind === 'nested') return false;
    return indexes[formatPayloadPath(condition.path)] !== undefined;
  };
  const { must, should, mustNot, minShould } = filter;
  return [must, should, mustNot, minShould?.conditions ?? []].every((group) =>
    group.every(isKnown),
  );
}
