/**
 * What waits for an answer, by the number that its answer will bear.
 *
 * Not a Map: V8 leaves in the table that a Map outgrows a pointer to the next one. Once such a table
 * is old, it keeps the next alive in each young collection, and that the one after it: with calls
 * that come and go, everything they ever held grows old, and each 2,000 queries cost a collection of
 * the whole heap.
 */
import { assert } from './assert.ts';

const CALLS_MIN = 16;
const NUMBER_MAX = 2 ** 32;

interface Numbered<T> {
  number: number;
  call: T;
}

export class PendingCalls<T> {
  /** Each call at its number modulo the length, a power of two; at most half of the places are taken. */
  #places = new Array<Numbered<T> | undefined>(CALLS_MIN).fill(undefined);
  #size = 0;
  #last = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a call; its number is from 1 to 2^32 - 1, and comes again only after all others. */
  add(call: T): number {
    if (2 * this.#size >= this.#places.length) this.#grow();
    let place: number;
    do {
      this.#last = (this.#last + 1) % NUMBER_MAX;
      place = this.#placeOf(this.#last);
    } while (this.#last === 0 || this.#places[place] !== undefined);
    this.#places[place] = { number: this.#last, call };
    this.#size += 1;
    return this.#last;
  }

  /** Takes the call with this number out, if it waits. */
  take(number: number): T | undefined {
    const place = this.#placeOf(number);
    const found = this.#places[place];
    if (found?.number !== number) return undefined;
    this.#places[place] = undefined;
    this.#size -= 1;
    return found.call;
  }

  /** Takes those out for which `which` is true, the least number first. */
  takeWhere(which: (call: T) => boolean): T[] {
    const found = this.#places.filter((one) => one !== undefined).filter(({ call }) => which(call));
    found.sort((a, b) => a.number - b.number);
    for (const { number } of found) this.take(number);
    return found.map(({ call }) => call);
  }

  #placeOf(number: number): number {
    return number & (this.#places.length - 1);
  }

  #grow(): void {
    const old = this.#places;
    this.#places = new Array<Numbered<T> | undefined>(2 * old.length).fill(undefined);
    for (const one of old) {
      if (one === undefined) continue;
      const place = this.#placeOf(one.number);
      assert(this.#places[place] === undefined, 'numbers that differ, differ in one bit more');
      this.#places[place] = one;
    }
  }
}
