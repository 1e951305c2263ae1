/**
 * One WebSocket of one worker, from its first byte to its last. It does the handshake, keeps
 * watch over the other end, and hands complete frames to its owner; it knows nothing of requests.
 *
 *            hello good          id is free           close() or socket closed
 *   greeting ----------> claiming -----------> open ------------------------> closed
 *      |                    |                                                  ^
 *      +--------------------+-- bad, too slow, too many bytes, taken, closed --+
 *
 * A worker's id is free when no line has it, or one that does not answer any more. `opened` is called once, at claiming -> open, `closed` once, only when it was open. No frame
 * is handed out in any other state.
 */
import type { IncomingMessage } from 'node:http';
import type { RawData, WebSocket } from 'ws';
import type { Clock } from '../../shared/base/clock.ts';
import type { WorkerId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Log } from '../../shared/log/log.ts';
import { decodeFrame, type Frame } from '../../shared/protocol/frame.ts';
import {
  CLOSE_CODES,
  closeReason,
  HANDSHAKE_TIMEOUT_MS,
  type Hello,
  NONCE_BYTES,
  parseHello,
  proofMatches,
  proofOf,
} from '../../shared/protocol/hello.ts';
import { Liveness } from '../../shared/protocol/liveness.ts';
import { ProtocolError } from '../../shared/protocol/protocol-error.ts';
import { schemaHash } from '../../shared/protocol/schema-hash.ts';
import { TurnCork } from '../../shared/protocol/turn-cork.ts';
import { PROTOCOL_VERSION } from '../../shared/protocol/version.ts';

/** How long the other end may take to answer our close frame. */
const CLOSE_TIMEOUT_MS = 1_000;

export interface ConnectionDeps {
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

/** How long the line that has a worker's id may take to answer before it counts as lost. */
const CLAIM_MS = 1_000;

export interface ConnectionEvents {
  /** The open connection that has this worker's id. */
  holderOf(workerId: WorkerId): Connection | undefined;
  opened(connection: Connection): void;
  frame(connection: Connection, frame: Frame): void;
  closed(connection: Connection, reason: string): void;
}

export class Connection {
  readonly epoch: number;
  readonly #socket: WebSocket;
  readonly #cork: TurnCork;
  readonly #deps: ConnectionDeps;
  readonly #secret: string;
  readonly #events: ConnectionEvents;
  readonly #address: string;
  readonly #nonce: string;
  #state: 'greeting' | 'claiming' | 'open' | 'closed' = 'greeting';
  #workerId: WorkerId | undefined;
  #liveness: Liveness | undefined;
  #cancelTimeout: () => void;
  #reason: string | undefined;

  constructor(
    deps: ConnectionDeps,
    options: { epoch: number; secret: string; events: ConnectionEvents },
    socket: WebSocket,
    request: IncomingMessage,
  ) {
    this.epoch = options.epoch;
    this.#deps = deps;
    this.#secret = options.secret;
    this.#events = options.events;
    this.#socket = socket;
    this.#cork = new TurnCork(request.socket);
    this.#address = request.socket.remoteAddress ?? '';
    this.#nonce = deps.random.bytes(NONCE_BYTES).toString('hex');
    this.#cancelTimeout = deps.clock.after(HANDSHAKE_TIMEOUT_MS, () => {
      this.#refuse(CLOSE_CODES.handshakeTimeout, 'no hello in time');
    });
    this.#boundGreeting(request);
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('ping', () => this.#liveness?.heard());
    socket.on('pong', () => this.#liveness?.heard());
    // After an error the socket only closes; until it has, nothing more may be sent on it.
    socket.on('error', (error) => this.close(CLOSE_CODES.protocolError, error.message));
    socket.on('close', (code, reason) => this.#ended(`closed ${code} ${reason.toString()}`.trim()));
    socket.send(JSON.stringify({ nonce: this.#nonce }));
  }

  /** The worker at the other end; empty before the handshake is complete. */
  get workerId(): WorkerId {
    return this.#workerId ?? ('' as WorkerId);
  }

  /** Bytes that wait in the socket. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Whether the other end has not given a sign of life for a while. */
  get silent(): boolean {
    return this.#liveness?.silent ?? false;
  }

  /** For about how long the other end has not given a sign of life. */
  get quietMs(): number {
    return this.#liveness?.quietMs ?? 0;
  }

  /** Whether the other end has given a sign of life since the handshake. */
  get hasAnswered(): boolean {
    return this.#liveness?.hasHeard ?? false;
  }

  /** Where the other end is. */
  get address(): string {
    return this.#address;
  }

  /** Whether the other end gives a sign of life when it is asked for one. */
  answers(withinMs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const cancel = this.#deps.clock.after(withinMs, () => resolve(false));
    this.#socket.once('pong', () => resolve(true));
    this.#socket.once('close', () => resolve(false));
    if (this.#state === 'open') this.#socket.ping();
    else resolve(false);
    return promise.finally(cancel);
  }

  send(frame: Buffer): void {
    if (this.#state !== 'open') return;
    this.#cork.hold();
    this.#socket.send(frame);
  }

  /** Hangs up: politely at first, then by force. */
  close(code: number, reason: string): void {
    if (this.#state === 'closed') return;
    this.#noteReason(reason);
    this.#socket.close(code, closeReason(reason));
    this.#ended(reason);
    const cancel = this.#deps.clock.after(CLOSE_TIMEOUT_MS, () => this.#socket.terminate());
    this.#socket.once('close', cancel);
  }

  /** Drops the socket without a word. */
  terminate(reason: string): void {
    this.#noteReason(reason);
    this.#socket.terminate();
    this.#ended(reason);
  }

  /**
   * Before the hello is checked a stranger may send a few bytes only; the WebSocket layer by
   * itself would collect a message of `frameBytesMax`.
   */
  #boundGreeting(request: IncomingMessage): void {
    let received = 0;
    const count = (chunk: Buffer): void => {
      received += chunk.byteLength;
      if (this.#state === 'open' || this.#state === 'closed') request.socket.off('data', count);
      else if (received > LIMITS.helloBytesMax) this.#refuseNow('too many bytes before the hello');
    };
    request.socket.on('data', count);
  }

  #receive(data: RawData, isBinary: boolean): void {
    this.#liveness?.heard();
    if (this.#state === 'closed') return;
    try {
      if (this.#state === 'claiming') throw new ProtocolError('a worker waits for its welcome');
      if (this.#state === 'greeting') this.#greet(data, isBinary);
      else this.#events.frame(this, readFrame(data, isBinary));
    } catch (error) {
      if (error instanceof ProtocolError) this.#refuse(CLOSE_CODES.protocolError, error.message);
      else this.#fail(error);
    }
  }

  #greet(data: RawData, isBinary: boolean): void {
    if (isBinary) throw new ProtocolError('a hello is text');
    const hello = parseHello(data.toString());
    if (!proofMatches(this.#proof('worker', hello), hello.proof)) {
      this.#refuse(CLOSE_CODES.refused, 'the worker does not hold the link secret');
      return;
    }
    if (hello.protocolVersion !== PROTOCOL_VERSION || hello.schemaHash !== schemaHash()) {
      const theirs = `${hello.protocolVersion}/${hello.schemaHash.slice(0, 8)}`;
      const ours = `${PROTOCOL_VERSION}/${schemaHash().slice(0, 8)}`;
      this.#refuse(CLOSE_CODES.versionMismatch, `worker speaks ${theirs}, coordinator ${ours}`);
      return;
    }
    const holder = this.#events.holderOf(hello.workerId);
    if (holder === undefined) this.#open(hello);
    else void this.#claim(hello, holder);
  }

  /** A worker dials again when it has lost its line, which the coordinator may not have noticed. */
  async #claim(hello: Hello, holder: Connection): Promise<void> {
    this.#state = 'claiming';
    const { workerId } = hello;
    const isTaken = await holder.answers(CLAIM_MS);
    if (this.#state !== 'claiming') return;
    if (!isTaken) {
      // Meanwhile somebody else may have come to have it.
      const now = this.#events.holderOf(workerId);
      if (now === undefined || now === holder) this.#open(hello);
      else void this.#claim(hello, now);
      return;
    }
    const ends = { address: this.#address, holder: holder.address };
    this.#deps.log.event('worker_id_taken', { workerId, ...ends });
    this.close(CLOSE_CODES.taken, 'another process with this worker id is connected');
  }

  #open(hello: Hello): void {
    this.#cancelTimeout();
    this.#workerId = hello.workerId;
    this.#state = 'open';
    const proof = this.#proof('coordinator', hello);
    this.#socket.send(JSON.stringify({ epoch: this.epoch, proof }));
    this.#liveness = new Liveness(this.#deps.clock, {
      ping: () => this.#socket.ping(),
      terminate: () => this.terminate('no sign of life'),
    });
    this.#events.opened(this);
  }

  #proof(role: 'worker' | 'coordinator', hello: Hello): string {
    return proofOf(role, this.#secret, {
      coordinatorNonce: this.#nonce,
      workerNonce: hello.nonce,
      workerId: hello.workerId,
      protocolVersion: hello.protocolVersion,
      schemaHash: hello.schemaHash,
      ...(role === 'coordinator' && { epoch: this.epoch }),
    });
  }

  #refuse(code: number, reason: string): void {
    this.#logRefusal(reason);
    this.close(code, reason);
  }

  #refuseNow(reason: string): void {
    this.#logRefusal(reason);
    this.terminate(reason);
  }

  /** A defect of ours met in a frame ends this link and no other. */
  #fail(error: unknown): void {
    this.#deps.log.event('unexpected_error', { place: 'worker-link', error });
    this.close(CLOSE_CODES.internalError, 'internal error');
  }

  #logRefusal(reason: string): void {
    const workerId = this.#workerId;
    this.#deps.log.event('link_refused', { workerId, address: this.#address, reason });
  }

  /** The first reason is the cause; what follows from it is not. */
  #noteReason(reason: string): void {
    this.#reason ??= reason;
  }

  #ended(reason: string): void {
    const before = this.#state;
    if (before === 'closed') return;
    this.#state = 'closed';
    this.#cancelTimeout();
    this.#liveness?.stop();
    if (before === 'open') this.#events.closed(this, this.#reason ?? reason);
  }
}

function readFrame(data: RawData, isBinary: boolean): Frame {
  if (!isBinary || !Buffer.isBuffer(data)) throw new ProtocolError('a frame is binary');
  return decodeFrame(data);
}
