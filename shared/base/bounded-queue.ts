/**
 * First in, first out, with a bound. A ring buffer that doubles up to `capacity`; `push` says
 * whether there was room, so that the caller must decide what to do when there is none.
 *
 *     head           tail
 *      v              v
 *   [ ][a][b][c][d][ ][ ][ ]      size = 4, ring length = 8
 */
import { assert } from './assert.ts';

const RING_MIN = 16;

export class BoundedQueue<T> {
  readonly capacity: number;
  #ring: (T | undefined)[];
  #head = 0;
  #size = 0;

  constructor(capacity: number) {
    assert(Number.isSafeInteger(capacity) && capacity > 0, 'queue capacity is a positive integer');
    this.capacity = capacity;
    this.#ring = new Array(Math.min(RING_MIN, capacity));
  }

  get size(): number {
    return this.#size;
  }

  /** False when the queue is full; the item is then not taken. */
  push(item: T): boolean {
    if (this.#size === this.capacity) return false;
    if (this.#size === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#size) % this.#ring.length] = item;
    this.#size += 1;
    return true;
  }

  /** The item that `shift` would take. */
  peek(): T | undefined {
    return this.#size === 0 ? undefined : this.#ring[this.#head];
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.#ring.length;
    this.#size -= 1;
    return item;
  }

  #grow(): void {
    const next = new Array<T | undefined>(Math.min(this.#ring.length * 2, this.capacity));
    for (let i = 0; i < this.#size; i += 1) {
      next[i] = this.#ring[(this.#head + i) % this.#ring.length];
    }
    this.#ring = next;
    this.#head = 0;
  }
}
