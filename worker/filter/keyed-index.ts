/**
 * Value -> labels, for values that are compared for equality: keywords, bools, tokens of texts.
 * Each label remembers its postings, so that replacing or removing it is exact and needs no
 * payload.
 */
import { Bitmap } from '../../shared/base/bitmap.ts';
import { Posting } from './posting.ts';

/** Rough cost of a map entry, a posting and a short key. */
const ENTRY_BYTES = 160;

export class KeyedIndex<K> {
  readonly #postings = new Map<K, Posting<K>>();
  /** Most labels have one value, so that one stands alone. */
  readonly #byLabel: (Posting<K> | Posting<K>[] | undefined)[] = [];
  #points = 0;

  /** Labels with at least one value. */
  get points(): number {
    return this.#points;
  }

  get memoryBytes(): number {
    let total = this.#postings.size * ENTRY_BYTES + this.#byLabel.length * 8;
    for (const posting of this.#postings.values()) total += posting.memoryBytes;
    return total;
  }

  /** Gives `label` these values (distinct) instead of those it had. */
  put(label: number, keys: K[]): void {
    this.remove(label);
    if (keys.length === 0) return;
    const postings = keys.map((key) => this.#add(key, label));
    while (this.#byLabel.length <= label) this.#byLabel.push(undefined);
    this.#byLabel[label] = postings.length === 1 ? postings[0] : postings;
    this.#points += 1;
  }

  remove(label: number): void {
    const postings = this.#byLabel[label];
    if (postings === undefined) return;
    this.#byLabel[label] = undefined;
    this.#points -= 1;
    for (const posting of Array.isArray(postings) ? postings : [postings]) {
      posting.remove(label);
      if (posting.count === 0) this.#postings.delete(posting.key);
    }
  }

  count(key: K): number {
    return this.#postings.get(key)?.count ?? 0;
  }

  /** Adds the labels that have `key` to `into`. */
  addTo(key: K, into: Bitmap): void {
    this.#postings.get(key)?.addTo(into);
  }

  /** The labels that have all of these. */
  withAll(keys: K[]): Bitmap {
    const rarestFirst = keys.toSorted((a, b) => this.count(a) - this.count(b));
    const result = new Bitmap();
    const [rarest, ...rest] = rarestFirst;
    if (rarest === undefined) return result;
    this.addTo(rarest, result);
    for (const key of rest) {
      const other = new Bitmap();
      this.addTo(key, other);
      result.and(other);
    }
    return result;
  }

  /** Calls `visit` with each label that has values, all of them in `keys`. */
  forEachWithOnly(keys: ReadonlySet<K>, visit: (label: number) => void): void {
    for (const key of keys) {
      this.#postings.get(key)?.forEach((label) => {
        const postings = this.#byLabel[label];
        if (!Array.isArray(postings) || postings.every((posting) => keys.has(posting.key))) {
          visit(label);
        }
      });
    }
  }

  #add(key: K, label: number): Posting<K> {
    const posting = this.#postings.get(key);
    if (posting !== undefined) {
      posting.add(label);
      return posting;
    }
    const created = new Posting(key, label);
    this.#postings.set(key, created);
    return created;
  }
}
