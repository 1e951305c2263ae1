/**
 * The `k` nearest seen so far: a binary heap with the worst of them at the root, so that a
 * candidate which is not among the best costs one comparison. Order: larger nearness first, equal
 * nearness by smaller label, so that the answer does not depend on the order of the offers.
 */
import { assert } from '../../shared/base/assert.ts';
import type { Metric } from './metric.ts';
import type { Hits } from './vector-index.ts';

const CAPACITY_START = 64;

export class TopK {
  readonly k: number;
  /** Nearness that a candidate must reach (a tie may still enter); -Infinity while not full. */
  bar = -Infinity;
  #size = 0;
  #nearness: Float64Array;
  #labels: Uint32Array;

  constructor(k: number) {
    assert(Number.isSafeInteger(k) && k > 0, 'k is a positive integer');
    this.k = k;
    this.#nearness = new Float64Array(Math.min(k, CAPACITY_START));
    this.#labels = new Uint32Array(Math.min(k, CAPACITY_START));
  }

  get size(): number {
    return this.#size;
  }

  /** Takes the candidate if it is among the best. Offer a label once. */
  offer(label: number, nearness: number): void {
    if (this.#size < this.k) {
      this.#push(label, nearness);
      return;
    }
    if (nearness < this.bar) return;
    if (nearness === this.bar && label > (this.#labels[0] as number)) return;
    this.#sinkFromRoot(label, nearness);
    this.bar = this.#nearness[0] as number;
  }

  /** The labels held, in no order. */
  labels(): number[] {
    return Array.from(this.#labels.subarray(0, this.#size));
  }

  /** Nearest first, and nothing is held any more: the root is the worst of what is left. */
  hits(metric: Metric): Hits {
    const labels = new Array<number>(this.#size);
    const scores = new Array<number>(this.#size);
    while (this.#size > 0) {
      const last = this.#size - 1;
      labels[last] = this.#labels[0] as number;
      scores[last] = metric.scoreOf(this.#nearness[0] as number);
      this.#size = last;
      this.#sinkFromRoot(this.#labels[last] as number, this.#nearness[last] as number);
    }
    this.bar = -Infinity;
    return { labels, scores };
  }

  #push(label: number, nearness: number): void {
    if (this.#size === this.#labels.length) this.#grow();
    let at = this.#size;
    this.#size += 1;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!this.#worse(label, nearness, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#nearness[at] = nearness;
    this.#labels[at] = label;
    if (this.#size === this.k) this.bar = this.#nearness[0] as number;
  }

  #sinkFromRoot(label: number, nearness: number): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      const other = child + 1;
      if (
        other < this.#size &&
        this.#worse(this.#labels[other] as number, this.#nearness[other] as number, child)
      ) {
        child = other;
      }
      if (this.#worse(label, nearness, child)) break;
      this.#move(child, at);
      at = child;
    }
    this.#nearness[at] = nearness;
    this.#labels[at] = label;
  }

  /** Whether (label, nearness) ranks behind the entry at `at`. */
  #worse(label: number, nearness: number, at: number): boolean {
    const other = this.#nearness[at] as number;
    return nearness < other || (nearness === other && label > (this.#labels[at] as number));
  }

  #move(from: number, to: number): void {
    this.#nearness[to] = this.#nearness[from] as number;
    this.#labels[to] = this.#labels[from] as number;
  }

  #grow(): void {
    const capacity = Math.min(this.k, this.#labels.length * 2);
    const nearness = new Float64Array(capacity);
    nearness.set(this.#nearness);
    const labels = new Uint32Array(capacity);
    labels.set(this.#labels);
    this.#nearness = nearness;
    this.#labels = labels;
  }
}
