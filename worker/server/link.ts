/**
 * The worker's end of the link: it dials the coordinator, answers requests, and dials again
 * whenever the line is lost.
 *
 *            start()              handshake           line lost
 *   new ------------> dialling ------------> linked ------------+
 *                        ^  |                                   |
 *                        |  +--- failed ----> resting <---------+
 *                        +---- after backoff ----+
 *            close() from any state: closing, for good
 *
 * Backoff: the n-th failure in a row waits between half and all of 50 ms * 2^n, at most 2 s. Half
 * is chance, so that the workers of a coordinator that starts again do not dial in step. It is
 * short because a worker that is away costs its clients waiting time, and dialling costs nothing.
 * The count starts again only after a line has held for a while: who is cut off again and again must
 * not dial at full speed. A worker that is refused because another process with its id is connected
 * (its folder was copied) dials on: the other one may end.
 *
 * Frames of a lost line are not handled any more once a new one is dialled, so a write that was
 * stuck in an old socket can not overtake a newer one.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { WorkerId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import type { Log } from '../../shared/log/log.ts';
import { CLOSE_CODES } from '../../shared/protocol/hello.ts';
import { Dispatcher, goodbyeFrame, type Handlers } from './dispatch.ts';
import { Session, type SessionEvents } from './session.ts';

export interface CoordinatorLinkDeps {
  clock: Clock;
  random: SecureRandom;
  log: Log;
  handlers: Handlers;
}

export interface CoordinatorLinkOptions {
  /** `ws://host:port` of the coordinator's link listener. */
  coordinatorUrl: string;
  workerId: WorkerId;
  /** The secret that both sides prove to hold. */
  secret: string;
}

const BACKOFF_BASE_MS = 50;
const BACKOFF_MAX_MS = 2_000;
/** A line that held this long was a good one. */
const STABLE_MS = 5_000;
/** How long the coordinator may take to hang up after the last answer. */
const GOODBYE_TIMEOUT_MS = 1_000;

export class CoordinatorLink {
  readonly #deps: CoordinatorLinkDeps;
  readonly #options: CoordinatorLinkOptions;
  readonly #dispatcher: Dispatcher;
  readonly #listeners: (() => void)[] = [];
  #session: Session | undefined;
  #failures = 0;
  #linkedAtMs: number | undefined;
  #cancelRetry: (() => void) | undefined;
  #state: 'new' | 'running' | 'closing' = 'new';

  constructor(deps: CoordinatorLinkDeps, options: CoordinatorLinkOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#dispatcher = new Dispatcher(deps);
  }

  /** Begins to dial; does not wait. */
  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    this.#dial();
  }

  get connected(): boolean {
    return this.#session?.open ?? false;
  }

  /** Requests that have no answer yet. */
  get inFlight(): number {
    return this.#dispatcher.inFlight;
  }

  /** Calls `listener` after each completed handshake. */
  onConnect(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Says that it stops, lets requests under way finish until the deadline, and waits for the
   * coordinator to hang up, which it does when everything it had sent is answered; so not even a
   * write that was on its way meanwhile is lost.
   */
  async close(deadline: Deadline): Promise<void> {
    this.#state = 'closing';
    this.#cancelRetry?.();
    const session = this.#session;
    session?.send(goodbyeFrame(session.epoch));
    await this.#dispatcher.drain(deadline);
    await session?.waitClosed(Math.min(deadline.remainingMs(), GOODBYE_TIMEOUT_MS));
    await session?.close(CLOSE_CODES.goingAway, 'the worker stops');
  }

  #dial(): void {
    const { clock, random } = this.#deps;
    this.#session = new Session({ clock, random, events: this.#events }, this.#options);
  }

  readonly #events: SessionEvents = {
    opened: ({ epoch }) => {
      const { coordinatorUrl: url, workerId } = this.#options;
      this.#linkedAtMs = this.#deps.clock.monotonicMs();
      this.#deps.log.event('link_connected', { workerId, epoch, url });
      for (const listener of this.#listeners) listener();
    },
    frame: (session, frame) => this.#dispatcher.dispatch(frame, session),
    closed: (session, reason) => this.#lost(session, reason),
    failed: (error) => {
      this.#deps.log.event('unexpected_error', { place: 'coordinator-link', error });
    },
  };

  #lost(session: Session, reason: string): void {
    const { clock, log } = this.#deps;
    const { coordinatorUrl: url, workerId } = this.#options;
    if (this.#linkedAtMs !== undefined) {
      const { inFlight } = this.#dispatcher;
      log.event('link_lost', { workerId, epoch: session.epoch, reason, inFlight });
      if (clock.monotonicMs() - this.#linkedAtMs >= STABLE_MS) this.#failures = 0;
      this.#linkedAtMs = undefined;
    }
    if (session.closeCode === CLOSE_CODES.taken) log.event('worker_id_taken', { workerId, url });
    if (this.#state === 'closing') return;
    const delayMs = this.#backoffMs();
    this.#failures += 1;
    log.event('link_retry', { url, attempt: this.#failures, delayMs, reason });
    this.#cancelRetry = clock.after(delayMs, () => this.#dial());
  }

  #backoffMs(): number {
    const full = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** Math.min(this.#failures, 16));
    return Math.round(full / 2 + (this.#deps.random.next() * full) / 2);
  }
}
