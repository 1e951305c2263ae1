/**
 * One change of a collection at a time. A change reads the record, asks a worker and writes the
 * record; two at once would each write what they had read before the other. Waiting changes are
 * bounded by the bound on requests under way.
 */
import type { CollectionId } from '../../shared/base/ids.ts';

export class CollectionLocks {
  readonly #tails = new Map<CollectionId, Promise<void>>();

  /** Runs `change` after every earlier one of this collection has ended, however it ended. */
  async run<T>(id: CollectionId, change: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(id) ?? Promise.resolve();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    this.#tails.set(id, ended);
    try {
      await before;
      return await change();
    } finally {
      if (this.#tails.get(id) === ended) this.#tails.delete(id);
      end();
    }
  }
}
