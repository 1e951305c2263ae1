/**
 * Places for collections that are being made: they count towards their client's bounds from the
 * moment they are asked for, however many are asked for at once.
 */
import type { PlanLimits } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Catalog, Owner } from './catalog.ts';
import { limitsFor } from './test-limits.ts';

export class Places {
  readonly #catalog: Pick<Catalog, 'countByNamespace'>;
  /** Namespaces of collections that are being made, by client and mode. */
  readonly #taken = new Map<string, string[]>();

  constructor(catalog: Pick<Catalog, 'countByNamespace'>) {
    this.#catalog = catalog;
  }

  /** Takes one; the returned function gives it back. Throws `quota_exceeded`. */
  take(owner: Owner, plan: Pick<PlanLimits, 'collections' | 'namespaces'>): () => void {
    const limits = limitsFor(owner, plan);
    const key = `${owner.clientId}/${owner.mode}`;
    const taken = this.#taken.get(key) ?? [];
    const counts = this.#catalog.countByNamespace(owner);
    const collections = counts.values().reduce((sum, count) => sum + count, taken.length);
    if (collections >= limits.collections) throw full(limits.collections, 'collections');
    const namespaces = new Set([...counts.keys(), ...taken, owner.namespace]).size;
    const isNew = !counts.has(owner.namespace) && !taken.includes(owner.namespace);
    if (isNew && namespaces > limits.namespaces) throw full(limits.namespaces, 'namespaces');
    this.#taken.set(key, [...taken, owner.namespace]);
    return () => this.#giveBack(key, owner.namespace);
  }

  #giveBack(key: string, namespace: string): void {
    const taken = this.#taken.get(key) ?? [];
    const left = taken.toSpliced(taken.indexOf(namespace), 1);
    if (left.length === 0) this.#taken.delete(key);
    else this.#taken.set(key, left);
  }
}

function full(max: number, what: 'collections' | 'namespaces'): AppError {
  const advice = what === 'collections' ? 'delete one first' : 'use one that is there';
  return new AppError('quota_exceeded', `there are at most ${max} ${what}: ${advice}`);
}
