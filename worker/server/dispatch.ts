/**
 * From a request frame to its answer. Each request ends in exactly one frame: a reply, or an
 * error with a code and a public text. What is no `AppError` is our defect: it is logged and the
 * caller sees `internal`.
 *
 * A handler may answer at once or later; an answer at once is sent in the same turn of the event
 * loop, so a search costs no extra trip through the queue of promises.
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
  /** Bytes that wait in the socket. */
  readonly bufferedBytes: number;
  /** Drops the frame when the line is gone. */
  send(frame: Buffer): void;
}

/** A handler of any message, seen from the dispatcher, which has checked that body and name fit. */
type AnyHandler = (
  shardId: ShardId | undefined,
  body: unknown,
  vectors: Float32Array,
  deadline: Deadline,
) => Promise<WithVectors<object>> | WithVectors<object>;

const EMPTY = new Float32Array(0);

export class Dispatcher {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #handlers: Handlers;
  #inFlight = 0;
  #draining = false;
  #onIdle: (() => void) | undefined;

  constructor(deps: { clock: Clock; log: Log; handlers: Handlers }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#handlers = deps.handlers;
  }

  /** Requests that have no answer yet, those of former lines included. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Answers the request on `line`. Throws `ProtocolError` when the frame is not a request. */
  dispatch(frame: Frame, line: AnswerLine): void {
    if (frame.kind !== 'request') throw new ProtocolError('a coordinator sends requests only');
    const name = messageName(frame.message);
    if (name === undefined) throw new ProtocolError('unknown message number');
    if ((frame.shardId === undefined) !== isAboutWorker(name)) {
      throw new ProtocolError('a request names its shard, unless it is about the worker');
    }
    this.#inFlight += 1;
    let answer: Promise<WithVectors<object>> | WithVectors<object>;
    try {
      answer = this.#handle(frame, name);
    } catch (error) {
      this.#answerError(frame, name, error, line);
      return;
    }
    if (!(answer instanceof Promise)) {
      this.#answer(frame, name, answer, line);
      return;
    }
    answer.then(
      (value) => this.#answer(frame, name, value, line),
      (error: unknown) => this.#answerError(frame, name, error, line),
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

  #handle(frame: Frame, name: MessageName) {
    if (this.#draining) throw new AppError('shutting_down');
    // The coordinator counts only requests that it still waits for; here count also the others.
    if (this.#inFlight > LIMITS.workerInFlightMax) throw new AppError('overloaded');
    const deadline = Deadline.after(this.#clock, frame.deadlineMs);
    if (deadline.expired) throw new AppError('deadline_exceeded');
    const handler = this.#handlers[name] as AnyHandler;
    return handler(frame.shardId, decodeRequest(name, frame.structure), frame.vectors, deadline);
  }

  #answer(request: Frame, name: MessageName, value: WithVectors<object>, line: AnswerLine): void {
    let bytes: Buffer;
    try {
      const structure = encodeBody(value.body);
      requireRoom(frameBytes(structure.byteLength, value.vectors.byteLength), line);
      bytes = answerFrame(request, 'reply', structure, value.vectors);
    } catch (error) {
      this.#answerError(request, name, error, line);
      return;
    }
    line.send(bytes);
    this.#finish();
  }

  #answerError(request: Frame, name: MessageName, error: unknown, line: AnswerLine): void {
    const shown = publicError(error);
    if (shown.code === 'internal') {
      const { shardId } = request;
      this.#log.event('request_failed', { message: name, shardId, code: shown.code, error });
    }
    line.send(answerFrame(request, 'error', encodeFailure(shown), EMPTY));
    this.#finish();
  }

  #finish(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#onIdle?.();
  }
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
  if (!small && line.bufferedBytes + bytes > LIMITS.linkBufferedBytesMax) {
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
    structure,
    vectors,
  });
}
