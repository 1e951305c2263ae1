/**
 * Places for collections that are being made: they count towards their client's bounds from the
 * moment they are asked for, however many are asked for at once.
 */
import { LIMITS } from '../../shared/domain/limits.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Catalog, Owner } from './catalog.ts';
import { limitsFor } from './test-limits.ts';

interface Place {
  namespace: string;
  shards: number;
}

export class Places {
  readonly #catalog: Pick<Catalog, 'countByNamespace' | 'countShards'>;
  /** Collections that are being made, by client and mode. */
  readonly #taken = new Map<string, Place[]>();

  constructor(catalog: Pick<Catalog, 'countByNamespace' | 'countShards'>) {
    this.#catalog = catalog;
  }

  /** Takes one for a collection with so many shards; the returned function gives it back. Throws
   * `quota_exceeded`. */
  take(
    owner: Owner,
    plan: Pick<PlanLimits, 'collections' | 'namespaces'>,
    shards: number,
  ): () => void {
    const limits = limitsFor(owner, plan);
    const key = `${owner.clientId}/${owner.mode}`;
    const taken = this.#taken.get(key) ?? [];
    const counts = this.#catalog.countByNamespace(owner);
    const collections = counts.values().reduce((sum, count) => sum + count, taken.length);
    if (collections >= limits.collections) throw full(limits.collections, 'collections');
    const known = new Set([...counts.keys(), ...taken.map(({ namespace }) => namespace)]);
    const isNew = !known.has(owner.namespace);
    if (isNew && known.size >= limits.namespaces) throw full(limits.namespaces, 'namespaces');
    this.checkShards(owner, shards);
    const place = { namespace: owner.namespace, shards };
    this.#taken.set(key, [...taken, place]);
    return () => this.#giveBack(key, place);
  }

  /** Throws `quota_exceeded` when there is no place for so many more shards. */
  checkShards(owner: Owner, shards: number): void {
    const taken = this.#taken.get(`${owner.clientId}/${owner.mode}`) ?? [];
    const coming = taken.reduce((sum, place) => sum + place.shards, shards);
    if (this.#catalog.countShards(owner) + coming > LIMITS.shardsPerClientMax) {
      throw full(LIMITS.shardsPerClientMax, 'shards');
    }
  }

  #giveBack(key: string, place: Place): void {
    const left = (this.#taken.get(key) ?? []).filter((one) => one !== place);
    if (left.length === 0) this.#taken.delete(key);
    else this.#taken.set(key, left);
  }
}

const ADVICE = {
  collections: 'delete one first',
  namespaces: 'use one that is there',
  shards: 'make it with fewer, or delete another collection first',
} as const;

function full(max: number, what: keyof typeof ADVICE): AppError {
  const advice = ADVICE[what];
  return new AppError('quota_exceeded', `there are at most ${max} ${what}: ${advice}`);
}
