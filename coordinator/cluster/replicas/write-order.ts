/**
 * The order of the writes of one shard: their versions, which of them are under way, and pauses in which
 * none is.
 *
 *   begin() -> version v, under way -> end()          stable: every write up to it has its outcome
 *
 * Writes that may be undone are concluded in the order of their versions, whatever the order of answers:
 * `come` resolves when all such writes before have ended. So none is acknowledged before one that is
 * undone, and when one is, so are all that are under way: their callers are told the same, and none
 * begins until the last of them has ended.
 */
import { must } from '../../../shared/base/assert.ts';
import type { Clock } from '../../../shared/base/clock.ts';
import { inTime } from '../../../shared/base/in-time.ts';
import { AppError } from '../../../shared/errors/app-error.ts';

/** One write under way. */
export interface Turn {
  version: number;
  /** What was stable when it began. */
  stable: number;
  /** Of one that is concluded in order. */
  come: Promise<void> | undefined;
  end(): void;
}

/** What becomes of the writes under way when one of them is undone. */
interface Undoing {
  /** What their callers are told. */
  told: Promise<AppError>;
  /** Resolves when none is under way any more. */
  over: Promise<void>;
  end: () => void;
}

export class WriteOrder {
  readonly #clock: Clock;
  /** The last version that was given; unknown until the shard was asked. */
  #last: number | undefined;
  /** Versions whose outcome is not known yet, the lowest first. */
  readonly #open = new Set<number>();
  #onIdle: (() => void) | undefined;
  #pause: Promise<void> | undefined;
  #undoing: Undoing | undefined;
  /** When the last write that is concluded in order has ended. */
  #tail = Promise.resolve();
  /** How long writes wait before they begin. */
  brakeMs = 0;
  /** Of writes that have begun, as far as they say. */
  rows = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The last version that was given; undefined while it is not known. */
  get last(): number | undefined {
    return this.#last;
  }

  /** Versions up to this one are not given any more. */
  raiseTo(version: number): void {
    this.#last = Math.max(this.#last ?? 0, version);
  }

  /** The shard has to be asked for its version. */
  forget(): void {
    this.#last = undefined;
  }

  /** Every write up to this version has an outcome, and is in each replica in sync if it has one. */
  get stable(): number {
    for (const first of this.#open) return first - 1;
    return this.#last ?? 0;
  }

  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  /** While it is there, no write may begin. */
  get pause(): Promise<void> | undefined {
    return this.#undoing?.over ?? this.#pause;
  }

  /** What the callers of writes that are concluded in order are told; undefined: what is true. */
  get told(): Promise<AppError> | undefined {
    return this.#undoing?.told;
  }

  /** Those under way are undone. */
  undo(told: Promise<AppError>): void {
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    this.#undoing = { told, over, end };
  }

  /** Resolves when a write may go on that is slowed down. */
  async brake(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#clock.after(this.brakeMs, resolve);
    await promise;
  }

  /** The next write; `end` it, whatever becomes of it. */
  begin(inOrder: boolean): Turn {
    const { stable } = this;
    const version = must(this.#last, 'a shard that is open knows its version') + 1;
    this.#last = version;
    this.#open.add(version);
    const come = inOrder ? this.#tail : undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    if (inOrder) this.#tail = promise;
    const end = () => {
      this.#open.delete(version);
      resolve();
      if (this.#open.size > 0) return;
      this.#undoing?.end();
      this.#undoing = undefined;
      this.#onIdle?.();
    };
    return { version, stable, come, end };
  }

  /**
   * Runs `change` while no write is under way and none begins. Throws `overloaded` when those under
   * way take longer than `waitMs`.
   */
  async exclusive<T>(waitMs: number, change: () => Promise<T>): Promise<T> {
    while (this.#pause !== undefined) await this.#pause;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#pause = promise;
    try {
      await this.#idle(waitMs);
      return await change();
    } finally {
      this.#pause = undefined;
      resolve();
    }
  }

  async #idle(waitMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle = resolve;
    const late = () => new AppError('overloaded', 'writes under way take too long');
    await inTime(this.#clock, waitMs, promise, late).finally(() => {
      this.#onIdle = undefined;
    });
  }
}
