/**
 * Slows the writers of shards whose changes are being copied. While changes are copied others are written; when
 * these are as many as those, copying never ends. So both are counted, and when more is written than a good
 * part of what is copied, each write waits a moment before it begins: longer and longer until it is less,
 * and shorter again when it is much less.
 */
import type { Clock } from '../../../shared/base/clock.ts';

/** What can be slowed down. */
export interface Writers {
  /** Counts rows as they are written. */
  readonly rowsWritten: number;
  /** Each write waits so long. */
  slowDown(ms: number): void;
}

/** Copying gains on the writers when they write less than this share of what is copied. */
const SHARE_MAX = 0.6;
const SHARE_MIN = 0.3;
const BRAKE_MS_MIN = 10;
const BRAKE_MS_MAX = 1_000;
/** How often it is looked. */
const LOOK_MS = 500;

export class Brake {
  readonly #clock: Clock;
  readonly #writers: readonly Writers[];
  #ms = 0;
  #lookedAtMs: number;
  /** Since then. */
  #copied = 0;
  #writtenBefore: number;

  constructor(clock: Clock, writers: readonly Writers[]) {
    this.#clock = clock;
    this.#writers = writers;
    this.#lookedAtMs = clock.monotonicMs();
    this.#writtenBefore = this.#written;
  }

  /** So many rows more have been copied. */
  copied(rows: number): void {
    this.#copied += rows;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lookedAtMs < LOOK_MS) return;
    const written = this.#written;
    const share = (written - this.#writtenBefore) / Math.max(1, this.#copied);
    if (share > SHARE_MAX) this.#set(Math.min(BRAKE_MS_MAX, Math.max(BRAKE_MS_MIN, 2 * this.#ms)));
    else if (share < SHARE_MIN) this.#set(this.#ms <= BRAKE_MS_MIN ? 0 : this.#ms / 2);
    this.#lookedAtMs = nowMs;
    this.#writtenBefore = written;
    this.#copied = 0;
  }

  release(): void {
    this.#set(0);
  }

  get #written(): number {
    return this.#writers.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
  }

  #set(ms: number): void {
    this.#ms = ms;
    for (const writers of this.#writers) writers.slowDown(ms);
  }
}
