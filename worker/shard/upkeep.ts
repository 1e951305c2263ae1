/**
 * What is done for shards between requests: points are linked into graphs, a little at a time and
 * one shard after the other, so that a client who loads millions of points does not starve the
 * next; and shards that changed much are saved, one at a time.
 *
 *   wake(shard) -> [a][b][c] -- link a for a while, a goes last ---+
 *                   ^                                           |
 *                   +-------------------------------------------+
 *                     little left to link and an image due -> save queue
 *
 * What was removed is taken out of graphs and images when there is much of it, and otherwise
 * `purgeAfterMs` after the first removal at the latest (and the time that the work takes).
 *
 * There are two such lines: shards of the kernel are linked by a thread of its own, a job of some
 * milliseconds at a time; those of hnswlib on the thread that searches, in slices of `LINK_MS`.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../shared/base/clock.ts';
import type { Shard } from './shard.ts';

/** A search may have to wait for one slice, or for one point where that takes longer. */
const LINK_MS = 0.5;

export class Upkeep {
  readonly #clock: Clock;
  readonly #purgeAfterMs: number;
  /** Shards that were written to since the last purge. */
  readonly #written = new Set<Shard>();
  #cancelPurge: (() => void) | undefined;
  readonly #linking = new Set<Shard>();
  readonly #linkingAside = new Set<Shard>();
  readonly #saving = new Set<Shard>();
  #turn: NodeJS.Immediate | undefined;
  #aside: Promise<void> | undefined;
  #saves: Promise<void> | undefined;
  #inSave: { shard: Shard; done: Promise<void> } | undefined;
  /** Shards on their way out: a job that comes back does not bring them back. */
  readonly #forgotten = new WeakSet<Shard>();
  #closing = false;

  constructor(deps: { clock: Clock }, options: { purgeAfterMs: number }) {
    this.#clock = deps.clock;
    this.#purgeAfterMs = options.purgeAfterMs;
  }

  readonly wake = (shard: Shard): void => {
    if (this.#closing) return;
    this.#written.add(shard);
    this.#cancelPurge ??= this.#clock.after(this.#purgeAfterMs, this.#purgeAll);
    this.#line(shard);
  };

  readonly #purgeAll = (): void => {
    this.#cancelPurge = undefined;
    const written = [...this.#written];
    this.#written.clear();
    for (const shard of written) {
      shard.purge();
      this.#line(shard);
    }
  };

  /** Puts the shard at the end of the line of its engine. */
  #line(shard: Shard): void {
    if (shard.linksAside) {
      this.#linkingAside.add(shard);
      this.#aside ??= this.#linkAllAside();
      return;
    }
    this.#linking.add(shard);
    this.#turn ??= setImmediate(this.#linkOne);
  }

  /** Forgets a shard that is about to be erased; waits if it is just being saved. */
  async forget(shard: Shard): Promise<void> {
    for (const line of [this.#written, this.#linking, this.#linkingAside, this.#saving]) {
      line.delete(shard);
    }
    this.#forgotten.add(shard);
    if (this.#inSave?.shard === shard) await this.#inSave.done;
  }

  /** Stops linking and finishes the save under way. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const line of [this.#written, this.#linking, this.#linkingAside, this.#saving])
      line.clear();
    this.#cancelPurge?.();
    clearImmediate(this.#turn);
    await this.#aside;
    await this.#saves;
  }

  readonly #linkOne = (): void => {
    this.#turn = undefined;
    const [shard] = this.#linking;
    if (shard === undefined) return;
    this.#linking.delete(shard);
    const stopAtMs = this.#clock.monotonicMs() + LINK_MS;
    // A change of engine changes the line, too.
    if (shard.linksAside) this.#line(shard);
    else if (shard.link(() => this.#clock.monotonicMs() >= stopAtMs)) this.#goOn(shard);
    if (this.#linking.size > 0) this.#turn ??= setImmediate(this.#linkOne);
  };

  async #linkAllAside(): Promise<void> {
    for (const shard of this.#linkingAside) {
      this.#linkingAside.delete(shard);
      const done = await shard.linkAside();
      // Whatever a job comes to, nobody waits for more than one.
      await nextTurn();
      if (this.#closing) return;
      if (done && !this.#forgotten.has(shard)) this.#goOn(shard);
    }
    this.#aside = undefined;
  }

  /** After some linking: more of it, behind those who wait (a Set is walked in the order of
   * insertion, additions included), and an image when one is due and little is left to link. */
  #goOn(shard: Shard): void {
    if (shard.nearlyLinked) this.#considerSaving(shard);
    if (shard.linkPending && !this.#saving.has(shard)) this.#line(shard);
  }

  #considerSaving(shard: Shard): void {
    if (!shard.image.due) return;
    this.#saving.add(shard);
    this.#saves ??= this.#saveAll().finally(() => {
      this.#saves = undefined;
    });
  }

  async #saveAll(): Promise<void> {
    for (const shard of this.#saving) {
      this.#inSave = { shard, done: shard.image.save() };
      await this.#inSave.done;
      this.#inSave = undefined;
      // A shard that was forgotten meanwhile is on its way out: nothing is done for it any more.
      if (this.#saving.delete(shard)) this.#line(shard);
    }
  }
}
