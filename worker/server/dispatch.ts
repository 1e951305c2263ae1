/**
 * From a request frame to its answer. Each request ends in exactly one frame: a reply, or an
 * error with a code and a public text. What is no `AppError` is our defect: it is logged and the
 * caller sees `internal`. Of one that is cancelled, or whose line is gone, there is no answer.
 *
 * What has arrived is read before the first of it is begun with, so that a request that is cancelled,
 * or came too late, costs nothing once its turn comes:
 *
 *   frames of a turn --read--> [r1 r2 r3 c2 r4] --setImmediate--> r1, r3, r4 are handled in order
 *
 * That is the same turn of the event loop, and after a while of handling the rest waits for what has
 * arrived meanwhile. A handler may answer at once or later; an answer at once is sent in the same
 * turn, so a search costs no extra trip through the queue of promises.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { decodeRequest, encodeBody, messageName } from '../../shared/protocol/body.ts';
import { encodeFailure } from '../../shared/protocol/failure.ts';
import { encodeFrame, type Frame, frameBytes, NO_REQUEST } from '../../shared/protocol/frame.ts';
import {
  isAboutWorker,
  type MessageName,
  type Reply,
  type Request,
  type WithVectors,
  type WorkerMessageName,
} from '../../shared/protocol/messages.ts';
import { ProtocolError } from '../../shared/protocol/protocol-error.ts';

/**
 * Answers one kind of request. `body` has passed its schema. `vectors` (and byte strings inside
 * `body`) are views of the frame as it was received: valid as long as they are referenced, never
 * written to by the link. Throws `AppError` for what the caller may see. A plain return value is
 * sent in the same turn of the event loop.
 */
export type Handler<N extends MessageName> = (
  shardId: N extends WorkerMessageName ? undefined : ShardId,
  body: Request<N>,
  vectors: Float32Array,
  deadline: Deadline,
) => Promise<WithVectors<Reply<N>>> | WithVectors<Reply<N>>;

export type Handlers = { [N in MessageName]: Handler<N> };

/** The line that a request came in on, for its answer. */
export interface AnswerLine {
  /** False when it is gone for good. */
  readonly open: boolean;
  /** Bytes that wait in the socket. */
  readonly bufferedBytes: number;
  /** Drops the frame when the line is gone. */
  send(frame: Buffer): void;
  /** Answers will be sent in the callbacks of `setImmediate` that were asked for by now. */
  expectAnswers(): void;
  /** Ends the line for a defect of ours. */
  fail(error: unknown): void;
}

/** A request that was read. */
interface Received {
  frame: Frame;
  name: MessageName;
  line: AnswerLine;
  /** When it arrived; in monotonic time. */
  sinceMs: number;
  /** Counted from its arrival. */
  deadline: Deadline;
  state: 'waiting' | 'cancelled';
}

/** A handler of any message, seen from the dispatcher, which has checked that body and name fit. */
type AnyHandler = (
  shardId: ShardId | undefined,
  body: unknown,
  vectors: Float32Array,
  deadline: Deadline,
) => Promise<WithVectors<object>> | WithVectors<object>;

const EMPTY = new Float32Array(0);
/** So long requests are handled before others are read. One search takes a tenth of that. */
const HANDLING_MS = 2;
/** What takes longer than that is told, one request a second. */
const SLOW_MS = 1_000;
const SLOW_TOLD_MS = 1_000;

export class Dispatcher {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #handlers: Handlers;
  /** In the order of their arrival; those before `#next` have been begun with. */
  readonly #received: Received[] = [];
  #next = 0;
  #receivedBytes = 0;
  #inFlight = 0;
  #draining = false;
  #onIdle: (() => void) | undefined;
  /** When a slow request was told of; and how many were not since. */
  #slowToldMs = Number.NEGATIVE_INFINITY;
  #slowUntold = 0;

  constructor(deps: { clock: Clock; log: Log; handlers: Handlers }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#handlers = deps.handlers;
  }

  /** Requests that have no answer yet, those of former lines and those that wait included. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Answers the request on `line`, or drops one that waits. Throws `ProtocolError` for a frame that
   * is neither a request nor a cancel. */
  dispatch(frame: Frame, line: AnswerLine): void {
    if (frame.kind === 'cancel') {
      this.#cancel(frame.requestId, line);
      return;
    }
    if (frame.kind !== 'request') throw new ProtocolError('a coordinator asks and cancels only');
    const name = messageName(frame.message);
    if (name === undefined) throw new ProtocolError('unknown message number');
    if ((frame.shardId === undefined) !== isAboutWorker(name)) {
      throw new ProtocolError('a request names its shard, unless it is about the worker');
    }
    this.#inFlight += 1;
    const deadline = Deadline.after(this.#clock, frame.deadlineMs, frame.origin);
    const sinceMs = this.#clock.monotonicMs();
    const received: Received = { frame, name, line, sinceMs, deadline, state: 'waiting' };
    const bytes = this.#receivedBytes + bytesOf(frame);
    // The coordinator counts only requests that it still waits for; here count also the others.
    if (this.#inFlight > LIMITS.workerInFlightMax || bytes > LIMITS.requestBytesQueuedMax) {
      this.#answerError(received, new AppError('overloaded'));
      return;
    }
    this.#receivedBytes = bytes;
    this.#received.push(received);
    if (this.#received.length - this.#next === 1) this.#handleSoon(line);
  }

  #cancel(requestId: number, line: AnswerLine): void {
    for (let at = this.#next; at < this.#received.length; at += 1) {
      const received = this.#received[at];
      if (received?.frame.requestId !== requestId || received.line !== line) continue;
      if (received.state === 'waiting') this.#finish();
      received.state = 'cancelled';
      return;
    }
  }

  #handleSoon(line: AnswerLine): void {
    setImmediate(this.#handleReceived);
    line.expectAnswers();
  }

  readonly #handleReceived = (): void => {
    const stopAtMs = this.#clock.monotonicMs() + HANDLING_MS;
    for (;;) {
      const received = this.#received[this.#next];
      if (received === undefined) break;
      if (this.#clock.monotonicMs() >= stopAtMs) {
        this.#received.splice(0, this.#next);
        this.#next = 0;
        this.#handleSoon(received.line);
        return;
      }
      this.#next += 1;
      this.#receivedBytes -= bytesOf(received.frame);
      this.#begin(received);
    }
    this.#received.length = 0;
    this.#next = 0;
  };

  /** Of a line that is gone nothing is begun with: whoever asked has been told, and may have asked
   * again on the next line. */
  #begin(received: Received): void {
    const { state, line } = received;
    if (state === 'cancelled') return;
    if (!line.open) {
      this.#finish();
      return;
    }
    try {
      this.#handle(received);
    } catch (error) {
      this.#finish();
      line.fail(error);
    }
  }

  #handle(received: Received): void {
    let answer: Promise<WithVectors<object>> | WithVectors<object>;
    try {
      answer = this.#ask(received);
    } catch (error) {
      this.#answerError(received, error);
      return;
    }
    if (!(answer instanceof Promise)) {
      this.#answer(received, answer);
      return;
    }
    answer.then(
      (value) => this.#answer(received, value),
      (error: unknown) => this.#answerError(received, error),
    );
  }

  /** From now on refuses requests before touching anything; resolves when none is under way. */
  drain(deadline: Deadline): Promise<void> {
    this.#draining = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#inFlight === 0) resolve();
    const cancel = this.#clock.after(deadline.remainingMs(), resolve);
    this.#onIdle = resolve;
    return promise.finally(cancel);
  }

  #ask({ frame, name, deadline }: Received) {
    if (this.#draining) throw new AppError('shutting_down');
    if (deadline.expired) throw new AppError('deadline_exceeded');
    const handler = this.#handlers[name] as AnyHandler;
    return handler(frame.shardId, decodeRequest(name, frame.structure), frame.vectors, deadline);
  }

  #answer(received: Received, value: WithVectors<object>): void {
    const { frame, line } = received;
    let bytes: Buffer;
    try {
      const structure = encodeBody(value.body);
      requireRoom(frameBytes(structure.byteLength, value.vectors.byteLength), line);
      bytes = answerFrame(frame, 'reply', structure, value.vectors);
    } catch (error) {
      this.#answerError(received, error);
      return;
    }
    line.send(bytes);
    this.#tellSlow(received);
    this.#finish();
  }

  #answerError(received: Received, error: unknown): void {
    const { frame, name, line } = received;
    const shown = publicError(error);
    if (shown.code === 'internal') {
      const { shardId, origin: requestId } = frame;
      const { code } = shown;
      this.#log.event('request_failed', { requestId, message: name, shardId, code, error });
    }
    line.send(answerFrame(frame, 'error', encodeFailure(shown), EMPTY));
    this.#tellSlow(received);
    this.#finish();
  }

  /** Of callers' requests: what is our own may take its time. */
  #tellSlow({ frame: { origin: requestId, shardId }, name, sinceMs }: Received): void {
    if (requestId === '') return;
    const now = this.#clock.monotonicMs();
    const ms = now - sinceMs;
    if (ms < SLOW_MS) return;
    if (now - this.#slowToldMs < SLOW_TOLD_MS) {
      this.#slowUntold += 1;
      return;
    }
    const others = this.#slowUntold;
    this.#log.event('request_slow', { requestId, message: name, shardId, ms, others });
    this.#slowToldMs = now;
    this.#slowUntold = 0;
  }

  #finish(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#onIdle?.();
  }
}

function bytesOf({ structure, vectors }: Frame): number {
  return frameBytes(structure.byteLength, vectors.byteLength);
}

/** Tells the coordinator that this worker is about to stop (see `frame.ts`). */
export function goodbyeFrame(epoch: number): Buffer {
  return encodeFrame({
    kind: 'error',
    message: 0,
    epoch,
    requestId: NO_REQUEST,
    deadlineMs: 0,
    shardId: undefined,
    origin: '',
    structure: encodeFailure(new AppError('shutting_down')),
    vectors: EMPTY,
  });
}

function publicError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof InvalidInput) return new AppError('invalid_argument', error.message);
  return new AppError('internal');
}

/** Small answers always pass, since the number of requests bounds them; large ones may not pile up. */
function requireRoom(bytes: number, line: AnswerLine): void {
  if (bytes > LIMITS.frameBytesMax) {
    const text = 'the answer is too large: ask for fewer points, or without vectors and payloads';
    throw new AppError('invalid_argument', text);
  }
  const small = bytes <= LIMITS.helloBytesMax;
  if (!small && line.bufferedBytes + bytes > LIMITS.answersBufferedBytesMax) {
    throw new AppError('overloaded');
  }
}

function answerFrame(
  request: Frame,
  kind: 'reply' | 'error',
  structure: Uint8Array,
  vectors: Float32Array,
): Buffer {
  const { message, epoch, requestId } = request;
  const shardId = undefined;
  return encodeFrame({
    kind,
    message,
    epoch,
    requestId,
    deadlineMs: 0,
    shardId,
    origin: '',
    structure,
    vectors,
  });
}
