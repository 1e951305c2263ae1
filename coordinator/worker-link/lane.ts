/**
 * The requests of one worker, whether it is connected or not.
 *
 *                request()
 *                    |
 *        no line     v      line                 reply or error
 *      +---------- (new) ----------> sent ---------------------------> settled
 *      v                             |  ^                                 ^
 *   waiting --- worker connects -----|--+                                 |
 *      |  ^                          |                                    |
 *      |  +--- read and line lost, or refused by a worker that stops -----+
 *      |                             |                                    |
 *      |                             +--- write and line lost: ---------->|
 *      |                             |    write_outcome_unknown           |
 *      +-- deadline: unavailable     +--- deadline: deadline_exceeded --->|
 *      +-- worker away for long:     +--- worker silent for long: ------->|
 *      |   unavailable               |    write_outcome_unknown, unavailable
 *      +-- cancelled: forgotten      +--- cancelled: the worker hears of it, and it is forgotten
 *
 * A read that lost its line is sent again on the next one, because asking twice is harmless. A
 * write is never sent twice. It may have been committed before the line broke, and by the time it
 * were sent again its caller, or another, may have written something newer that was acknowledged:
 * the old write would undo it. So its caller is told that the outcome is unknown and decides. A
 * worker that is stopping says `shutting_down` before it touches anything, so after that answer
 * even a write may be sent again, and the restart of a worker costs its callers only time.
 *
 * A read whose deadline passes after it was sent is cancelled with its worker, too: if it still waits
 * there, it is not worth the work.
 *
 * A worker may be away or silent for longer than its callers should wait with what they hold: a
 * restart takes a second or two, a worker that hangs comes back some time or never. So large requests,
 * and with more patience small writes, end early (`patienceMs`), and a worker that has been mute for
 * a while gets little that is new. Small reads wait until their deadlines: they take nothing.
 *
 * Deadlines: one sweep over the calls every `SWEEP_MS` while there are any, instead of a timer for
 * each call. A call costs no timer, an idle worker none at all, and being up to `SWEEP_MS` late
 * does not matter to a caller who has waited for seconds.
 */
import { assert, must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import { PendingCalls } from '../../shared/base/pending-calls.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { decodeFailure } from '../../shared/protocol/failure.ts';
import { encodeFrame, type Frame, NO_REQUEST, stampFrame } from '../../shared/protocol/frame.ts';
import { CLOSE_CODES } from '../../shared/protocol/hello.ts';
import type { Connection } from './connection.ts';

const SWEEP_MS = 20;
/** Connections that one read may lose: if it is the read that kills the worker, it ends here. */
const SENDS_MAX = 3;
/** So long a worker without a line counts as one that restarts, and may be sent as much as others. One
 * with a line that is silent has been so for about as long. */
const RESTART_MS = 2_000;
/** How long a mute worker is waited for with what holds many bytes: twice what a restart takes. */
const LARGE_PATIENCE_MS = 5_000;
/** The same with a small write: a worker that opens large shards again may take longer, and whoever
 * has waited so long had better hear that nothing was changed. */
const WRITE_PATIENCE_MS = 10_000;

export interface Call {
  readonly message: number;
  readonly writes: boolean;
  /** Neither waits for a line nor is sent on a second one. */
  readonly now: boolean;
  readonly frame: Buffer;
  readonly deadline: Deadline;
  /** Given the reply's frame. */
  resolve(frame: Frame): void;
  reject(error: unknown): void;
}

interface Entry {
  call: Call;
  /** When it was taken. */
  sinceMs: number;
  sends: number;
  /** Of the last time that it was sent. */
  requestId: number;
  state: 'waiting' | 'sent' | 'settled';
}

/** A call that was taken. */
export interface Submitted {
  /** Forgets the call without settling it; its worker need not begin with it. A write that was sent may
   * be made all the same. Does nothing once it is settled. */
  cancel(): void;
}

const EMPTY = new Float32Array(0);
const NO_STRUCTURE = new Uint8Array(0);

export class Lane {
  readonly #clock: Clock;
  readonly #onIdle: () => void;
  #line: Connection | undefined;
  /** The worker on `#line` has said that it is stopping. */
  #draining = false;
  /** From when on it was not ready, while it is not. */
  #awaySinceMs: number;
  readonly #waiting = new Set<Entry>();
  readonly #sent = new PendingCalls<Entry>();
  #bytes = 0;
  #cancelSweep: (() => void) | undefined;

  /** `onIdle` is called whenever the last call is settled. */
  constructor(clock: Clock, onIdle: () => void) {
    this.#clock = clock;
    this.#onIdle = onIdle;
    this.#awaySinceMs = clock.monotonicMs();
  }

  get line(): Connection | undefined {
    return this.#line;
  }

  /** Whether requests can be sent at this moment. */
  get ready(): boolean {
    return this.#line !== undefined && !this.#draining;
  }

  /** Calls that wait or are sent. */
  get inFlight(): number {
    return this.#waiting.size + this.#sent.size;
  }

  /** Takes a call; it is settled later, once at most. Throws `overloaded` when it is not taken. */
  submit(call: Call): Submitted {
    if (call.now && !this.ready) throw awayError();
    this.#checkRoom(call.frame.byteLength);
    this.#bytes += call.frame.byteLength;
    const sinceMs = this.#clock.monotonicMs();
    const entry: Entry = { call, sinceMs, sends: 0, requestId: NO_REQUEST, state: 'waiting' };
    if (this.ready) this.#send(entry);
    else this.#waiting.add(entry);
    this.#cancelSweep ??= this.#clock.after(SWEEP_MS, () => this.#sweep());
    return { cancel: () => this.#cancel(entry) };
  }

  /** Gives the lane its line and sends what has waited for it. */
  connect(line: Connection): void {
    assert(this.#line === undefined, 'the old line was taken away first');
    this.#line = line;
    this.#draining = false;
    for (const entry of this.#waiting) {
      this.#waiting.delete(entry);
      this.#send(entry);
    }
  }

  /** Takes the line away. Returns how many calls had been sent on it. */
  disconnect(): number {
    // Who was silent before was away before.
    if (this.ready) this.#awaySinceMs = this.#clock.monotonicMs() - this.#silentMs;
    this.#line = undefined;
    this.#draining = false;
    const lost = this.#sent.takeWhere(() => true);
    const again = lost.filter(mayGoOn);
    // First all that go on, so that the lane is not idle while it still has calls.
    for (const entry of again) this.#wait(entry);
    for (const entry of lost) {
      if (entry.call.writes) this.#reject(entry, new AppError('write_outcome_unknown'));
      else if (!mayGoOn(entry)) this.#reject(entry, new AppError('unavailable'));
    }
    return lost.length;
  }

  /** Settles the call that the frame answers; a late answer meets no call and is dropped. */
  answer(frame: Frame): void {
    if (frame.epoch !== this.#line?.epoch) return;
    const entry = this.#sent.take(frame.requestId);
    if (entry !== undefined) {
      if (frame.kind === 'error') this.#answerError(entry, frame);
      else this.#settle(entry, () => entry.call.resolve(frame));
    } else if (frame.requestId === NO_REQUEST && frame.kind === 'error') {
      if (readFailure(frame).code === 'shutting_down') this.#drain();
    }
    this.#hangUpIfDrained();
  }

  /** Settles what waits for a worker that is away. */
  rejectWaiting(error: AppError): void {
    for (const entry of this.#waiting) this.#reject(entry, error);
  }

  #drain(): void {
    if (this.ready) this.#awaySinceMs = this.#clock.monotonicMs();
    this.#draining = true;
  }

  /** Throws `overloaded`. */
  #checkRoom(bytes: number): void {
    if (this.inFlight >= LIMITS.workerInFlightMax) throw new AppError('overloaded');
    const held = Math.max(this.#bytes, this.#line?.bufferedBytes ?? 0);
    if (this.#isMute) {
      if (held + bytes > LIMITS.muteLinkBytesMax) throw muteError();
    } else if (bytes > LIMITS.smallBodyBytesMax && held + bytes > LIMITS.linkBufferedBytesMax) {
      throw new AppError('overloaded');
    }
  }

  /** Whether it is not to be expected that an answer comes soon. */
  get #isMute(): boolean {
    return this.ready ? this.#silentMs > 0 : this.#awayMs >= RESTART_MS;
  }

  get #awayMs(): number {
    return this.#clock.monotonicMs() - this.#awaySinceMs;
  }

  /** 0 while the other end answers. */
  get #silentMs(): number {
    return this.#line?.silent === true ? this.#line.quietMs : 0;
  }

  #cancel(entry: Entry): void {
    if (entry.state === 'settled') return;
    if (entry.state === 'sent') {
      this.#sent.take(entry.requestId);
      this.#sendCancel(entry);
    }
    this.#settle(entry, () => undefined);
    this.#hangUpIfDrained();
  }

  #sendCancel({ call: { message }, requestId }: Entry): void {
    const { epoch } = must(this.#line, 'what is sent has a line');
    const body = { structure: NO_STRUCTURE, vectors: EMPTY };
    const none = { deadlineMs: 0, shardId: undefined, origin: '', ...body };
    this.#line?.send(encodeFrame({ kind: 'cancel', message, epoch, requestId, ...none }));
  }

  #hangUpIfDrained(): void {
    if (!this.#draining || this.#sent.size > 0) return;
    this.#line?.close(CLOSE_CODES.goingAway, 'the worker stops');
  }

  #wait(entry: Entry): void {
    entry.state = 'waiting';
    this.#waiting.add(entry);
  }

  #send(entry: Entry): void {
    assert(this.#line !== undefined, 'there is a line to send on');
    const { epoch } = this.#line;
    entry.sends += 1;
    const requestId = this.#sent.add(entry);
    entry.requestId = requestId;
    entry.state = 'sent';
    const deadlineMs = entry.call.deadline.remainingMs();
    stampFrame(entry.call.frame, { epoch, requestId, deadlineMs });
    this.#line.send(entry.call.frame);
  }

  #answerError(entry: Entry, frame: Frame): void {
    const error = readFailure(frame);
    if (error.code !== 'shutting_down') {
      this.#reject(entry, error);
      return;
    }
    this.#drain();
    if (entry.call.now || entry.sends >= SENDS_MAX) {
      this.#reject(entry, new AppError('unavailable'));
    } else this.#wait(entry);
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    const { ready } = this;
    for (const entry of this.#waiting) {
      const isLong = !ready && this.#isTooLong(entry, this.#awayMs);
      if (isLong || entry.call.deadline.expired) this.#reject(entry, awayError());
    }
    this.#giveUpOnSilent();
    const late = this.#sent.takeWhere(({ call }) => call.deadline.expired);
    for (const entry of late) {
      if (!entry.call.writes) this.#sendCancel(entry);
      this.#reject(entry, lateError(entry.call));
    }
    this.#hangUpIfDrained();
    if (this.inFlight > 0) this.#cancelSweep ??= this.#clock.after(SWEEP_MS, () => this.#sweep());
  }

  /** The frames that are in the socket stay there until the line ends, and count until then. */
  #giveUpOnSilent(): void {
    const silentMs = this.#silentMs;
    if (silentMs === 0) return;
    for (const entry of this.#sent.takeWhere((one) => this.#isTooLong(one, silentMs))) {
      const { writes } = entry.call;
      if (!writes) this.#sendCancel(entry);
      this.#reject(entry, writes ? new AppError('write_outcome_unknown') : awayError());
    }
  }

  /** Time before the worker went mute does not count: then it was only slow. */
  #isTooLong({ call, sinceMs }: Entry, muteMs: number): boolean {
    return Math.min(this.#clock.monotonicMs() - sinceMs, muteMs) >= patienceMs(call);
  }

  #reject(entry: Entry, error: unknown): void {
    this.#settle(entry, () => entry.call.reject(error));
  }

  #settle(entry: Entry, how: () => void): void {
    entry.state = 'settled';
    this.#waiting.delete(entry);
    this.#bytes -= entry.call.frame.byteLength;
    how();
    if (this.inFlight === 0) this.#onIdle();
  }
}

/** How long a mute worker is waited for; its deadline bounds each call besides. */
function patienceMs({ writes, frame }: Call): number {
  if (frame.byteLength > LIMITS.smallBodyBytesMax) return LARGE_PATIENCE_MS;
  return writes ? WRITE_PATIENCE_MS : Number.POSITIVE_INFINITY;
}

/** Whether a call that lost its line is sent on the next. */
function mayGoOn({ call, sends }: Entry): boolean {
  return !call.writes && !call.now && sends < SENDS_MAX;
}

/** What the worker said, or `internal` when that can not be read. */
function readFailure(frame: Frame): AppError {
  try {
    return decodeFailure(frame.structure);
  } catch (cause) {
    return new AppError('internal', undefined, { detail: 'unreadable error frame', cause });
  }
}

function awayError(): AppError {
  return new AppError('unavailable', 'the worker that holds this data is away; try again soon');
}

function muteError(): AppError {
  const text =
    'the worker that holds this data does not answer, and enough waits for it; try again soon';
  return new AppError('overloaded', text);
}

function lateError(call: Call): AppError {
  if (!call.writes) return new AppError('deadline_exceeded');
  const text = 'the deadline passed; the write may or may not have happened: repeat it';
  return new AppError('deadline_exceeded', text);
}
