/**
 * What is done for shards between requests: points are linked into graphs, a little at a time and
 * one shard after the other, so that a client who loads millions of points does not starve the
 * next; and shards that changed much are saved, one at a time.
 *
 *   wake(shard) -> [a][b][c] -- link a for a while, a goes last ---+
 *                   ^                                           |
 *                   +-------------------------------------------+
 *                     nothing left to link and the image old enough -> save queue
 *
 * What was removed is taken out of graphs and images when there is much of it, and otherwise
 * `purgeAfterMs` after the first removal at the latest (and the time that the work takes).
 *
 * There are two such lines: shards of the kernel are linked by a thread of its own, a job of some
 * milliseconds at a time; those of hnswlib on the thread that searches, in slices of `LINK_MS`.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Shard } from './shard.ts';

/** A search may have to wait for one slice, or for one point where that takes longer. */
const LINK_MS = 0.5;
/** An image is renewed when the writes since then are this share of the points. */
const IMAGE_AGE_MAX = 0.2;

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
    for (const shard of this.#written) {
      shard.purge();
      this.#line(shard);
    }
    this.#written.clear();
  };

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
    shard.link(() => this.#clock.monotonicMs() >= stopAtMs);
    if (shard.linkPending && !this.#saving.has(shard)) this.#linking.add(shard);
    else this.#considerSaving(shard);
    if (this.#linking.size > 0) this.#turn = setImmediate(this.#linkOne);
  };

  async #linkAllAside(): Promise<void> {
    for (const shard of this.#linkingAside) {
      this.#linkingAside.delete(shard);
      await shard.linkAside();
      if (this.#closing) return;
      // Behind those who wait: a Set is walked in the order of insertion, additions included.
      if (shard.linkPending && !this.#saving.has(shard)) this.#linkingAside.add(shard);
      else this.#considerSaving(shard);
    }
    this.#aside = undefined;
  }

  #considerSaving(shard: Shard): void {
    if (!shard.wantsImage) return;
    if (shard.imageAge < IMAGE_AGE_MAX && !shard.wantsImageSoon) return;
    this.#saving.add(shard);
    this.#saves ??= this.#saveAll().finally(() => {
      this.#saves = undefined;
    });
  }

  async #saveAll(): Promise<void> {
    for (const shard of this.#saving) {
      this.#inSave = { shard, done: shard.save() };
      await this.#inSave.done;
      this.#inSave = undefined;
      // A shard that was forgotten meanwhile is on its way out: nothing is done for it any more.
      if (this.#saving.delete(shard)) this.#line(shard);
    }
  }
}
