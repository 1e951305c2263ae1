/**
 * The labels of one value of a payload index. Most values are rare and a few are common, so the
 * form follows the count:
 *
 *   one label   -> the number itself
 *   some        -> ascending array, 8 bytes a label
 *   many        -> bitmap, 1 bit for every label of the shard
 *
 * An array becomes a bitmap where both take the same memory, at one label in 64, and goes back
 * only at one in 256, so that a count that moves around the border does not convert each time.
 */
import { Bitmap } from '../../shared/base/bitmap.ts';

const ARRAY_LABELS_MIN = 64;
const BITS_PER_ARRAY_LABEL = 64;
const BITS_TO_LEAVE_BITMAP = 256;

export class Posting<K> {
  readonly key: K;
  #labels: number | number[] | Bitmap;
  #count = 1;

  constructor(key: K, label: number) {
    this.key = key;
    this.#labels = label;
  }

  get count(): number {
    return this.#count;
  }

  get memoryBytes(): number {
    if (typeof this.#labels === 'number') return 0;
    return Array.isArray(this.#labels) ? this.#labels.length * 8 : this.#labels.words.byteLength;
  }

  /** Adds a label that is not in it. */
  add(label: number): void {
    if (this.#count === 0) this.#labels = label;
    else if (typeof this.#labels === 'number') {
      this.#labels = this.#labels < label ? [this.#labels, label] : [label, this.#labels];
    } else if (Array.isArray(this.#labels)) {
      this.#labels.splice(lowerBound(this.#labels, label), 0, label);
    } else this.#labels.add(label);
    this.#count += 1;
    this.#growForm();
  }

  /** Removes a label that is in it. */
  remove(label: number): void {
    this.#count -= 1;
    if (Array.isArray(this.#labels)) this.#labels.splice(lowerBound(this.#labels, label), 1);
    else if (typeof this.#labels !== 'number') this.#labels.delete(label);
    this.#shrinkForm();
  }

  addTo(bitmap: Bitmap): void {
    if (this.#count === 0) return;
    if (typeof this.#labels === 'number') bitmap.add(this.#labels);
    else if (Array.isArray(this.#labels)) for (const label of this.#labels) bitmap.add(label);
    else bitmap.or(this.#labels);
  }

  forEach(visit: (label: number) => void): void {
    if (this.#count === 0) return;
    if (typeof this.#labels === 'number') visit(this.#labels);
    else this.#labels.forEach(visit);
  }

  #growForm(): void {
    if (!Array.isArray(this.#labels) || this.#labels.length <= ARRAY_LABELS_MIN) return;
    const highest = this.#labels.at(-1) ?? 0;
    if (this.#labels.length * BITS_PER_ARRAY_LABEL <= highest) return;
    this.#labels = Bitmap.of(this.#labels, highest + 1);
  }

  #shrinkForm(): void {
    if (!(this.#labels instanceof Bitmap)) return;
    const bits = this.#labels.words.length * 32;
    if (this.#count > ARRAY_LABELS_MIN && this.#count * BITS_TO_LEAVE_BITMAP > bits) return;
    this.#labels = [...this.#labels.toLabels()];
  }
}

/** Index of the first label that is not below `label`. New labels are mostly the highest. */
function lowerBound(labels: number[], label: number): number {
  let low = 0;
  let high = labels.length;
  if (high > 0 && (labels[high - 1] as number) < label) return high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((labels[middle] as number) < label) low = middle + 1;
    else high = middle;
  }
  return low;
}
