/**
 * One connection to the coordinator, from dialling to its end.
 *
 *             challenge            welcome with a good proof        close() or socket closed
 *   dialling ----------> greeting ---------------------------> open ------------------------> closed
 *      |                    |                                                                  ^
 *      +--------------------+---- too slow, bad bytes, wrong proof, socket closed -------------+
 *
 * One listener handles all messages, because requests may follow the welcome in the same packet.
 */
import { type RawData, WebSocket } from 'ws';
import type { Clock } from '../../shared/base/clock.ts';
import type { WorkerId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { decodeFrame, type Frame } from '../../shared/protocol/frame.ts';
import {
  CLOSE_CODES,
  closeReason,
  HANDSHAKE_TIMEOUT_MS,
  NONCE_BYTES,
  type ProofParts,
  parseChallenge,
  parseWelcome,
  proofMatches,
  proofOf,
} from '../../shared/protocol/hello.ts';
import { Liveness } from '../../shared/protocol/liveness.ts';
import { ProtocolError } from '../../shared/protocol/protocol-error.ts';
import { schemaHash } from '../../shared/protocol/schema-hash.ts';
import { TurnCork } from '../../shared/protocol/turn-cork.ts';
import { PROTOCOL_VERSION } from '../../shared/protocol/version.ts';

export interface SessionOptions {
  coordinatorUrl: string;
  workerId: WorkerId;
  secret: string;
}

export interface SessionEvents {
  opened(session: Session): void;
  /** Throws `ProtocolError` to end the session. */
  frame(session: Session, frame: Frame): void;
  /** Called once, whatever state the session had reached. */
  closed(session: Session, reason: string): void;
  /** A defect of ours met while handling a message; the session ends after it. */
  failed(error: unknown): void;
}

/** How long the other end may take to answer our close frame. */
const CLOSE_TIMEOUT_MS = 1_000;

export class Session {
  readonly #clock: Clock;
  readonly #options: SessionOptions;
  readonly #events: SessionEvents;
  readonly #socket: WebSocket;
  #cork: TurnCork | undefined;
  readonly #nonce: string;
  #state: 'dialling' | 'greeting' | 'open' | 'closed' = 'dialling';
  #proofParts: ProofParts | undefined;
  #epoch = 0;
  #reason: string | undefined;
  #closeCode: number | undefined;
  #liveness: Liveness | undefined;
  #cancelTimeout: () => void;

  constructor(
    deps: { clock: Clock; random: SecureRandom; events: SessionEvents },
    options: SessionOptions,
  ) {
    this.#clock = deps.clock;
    this.#events = deps.events;
    this.#options = options;
    this.#nonce = deps.random.bytes(NONCE_BYTES).toString('hex');
    this.#socket = new WebSocket(options.coordinatorUrl, {
      perMessageDeflate: false,
      maxPayload: LIMITS.frameBytesMax,
      followRedirects: false,
      generateMask: noMask,
    });
    this.#cancelTimeout = deps.clock.after(HANDSHAKE_TIMEOUT_MS, () => {
      this.terminate('no handshake in time');
    });
    this.#socket.once('upgrade', ({ socket }) => {
      this.#cork = new TurnCork(socket);
    });
    this.#socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    this.#socket.on('ping', () => this.#liveness?.heard());
    this.#socket.on('pong', () => this.#liveness?.heard());
    // After an error the socket only closes.
    this.#socket.on('error', (error) => {
      void this.close(CLOSE_CODES.protocolError, describe(error));
    });
    this.#socket.on('close', (code, reason) => {
      this.#closeCode = code;
      this.#ended(`closed ${code} ${reason.toString()}`.trim());
    });
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Whether the handshake is complete and the line is there. */
  get open(): boolean {
    return this.#state === 'open';
  }

  /** Of the other end or the socket, when it is closed; see `CLOSE_CODES`. */
  get closeCode(): number | undefined {
    return this.#closeCode;
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** What is sent in the next callbacks of `setImmediate` leaves at the end of this turn. */
  expectAnswers(): void {
    this.#cork?.expect();
  }

  /** Ends the session for a defect of ours. */
  fail(error: unknown): void {
    this.#events.failed(error);
    void this.close(CLOSE_CODES.internalError, 'internal error');
  }

  /** Drops the frame when the line is gone: its caller has been told. */
  send(frame: Buffer): void {
    if (this.#state !== 'open') return;
    this.#cork?.hold();
    this.#socket.send(frame);
  }

  /** Resolves when the socket is gone, or when it is still there after the timeout. */
  waitClosed(timeoutMs: number): Promise<void> {
    if (!this.open) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(timeoutMs, resolve);
    this.#socket.once('close', () => resolve());
    return promise.finally(cancel);
  }

  /** Sends what waits, hangs up, and resolves when the socket is gone. */
  close(code: number, reason: string): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#noteReason(reason);
    const cancel = this.#clock.after(CLOSE_TIMEOUT_MS, () => this.#socket.terminate());
    this.#socket.once('close', () => resolve());
    this.#socket.close(code, closeReason(reason));
    this.#ended(reason);
    return promise.finally(cancel);
  }

  /** Drops the socket without a word. */
  terminate(reason: string): void {
    this.#noteReason(reason);
    this.#socket.terminate();
    this.#ended(reason);
  }

  #receive(data: RawData, isBinary: boolean): void {
    this.#liveness?.heard();
    if (this.#state === 'closed') return;
    try {
      if (this.#state === 'open') this.#receiveFrame(data, isBinary);
      else this.#greet(data, isBinary);
    } catch (error) {
      if (error instanceof ProtocolError) void this.close(CLOSE_CODES.protocolError, error.message);
      else this.fail(error);
    }
  }

  #receiveFrame(data: RawData, isBinary: boolean): void {
    if (!isBinary || !Buffer.isBuffer(data)) throw new ProtocolError('a frame is binary');
    const frame = decodeFrame(data);
    if (frame.epoch !== this.#epoch) throw new ProtocolError('a frame of another epoch');
    this.#events.frame(this, frame);
  }

  #greet(data: RawData, isBinary: boolean): void {
    if (isBinary) throw new ProtocolError('a handshake message is text');
    if (this.#proofParts === undefined) this.#sendHello(data.toString());
    else this.#checkWelcome(data.toString(), this.#proofParts);
  }

  #sendHello(text: string): void {
    const { workerId, secret } = this.#options;
    const parts: ProofParts = {
      coordinatorNonce: parseChallenge(text).nonce,
      workerNonce: this.#nonce,
      workerId,
      protocolVersion: PROTOCOL_VERSION,
      schemaHash: schemaHash(),
    };
    this.#proofParts = parts;
    this.#state = 'greeting';
    const proof = proofOf('worker', secret, parts);
    const { protocolVersion, schemaHash: hash } = parts;
    const hello = { protocolVersion, schemaHash: hash, workerId, nonce: this.#nonce, proof };
    this.#socket.send(JSON.stringify(hello));
  }

  #checkWelcome(text: string, parts: ProofParts): void {
    const { epoch, proof } = parseWelcome(text);
    const expected = proofOf('coordinator', this.#options.secret, { ...parts, epoch });
    if (!proofMatches(expected, proof)) {
      void this.close(CLOSE_CODES.refused, 'the coordinator does not hold the link secret');
      return;
    }
    this.#cancelTimeout();
    this.#epoch = epoch;
    this.#state = 'open';
    this.#liveness = new Liveness(this.#clock, {
      ping: () => this.#socket.ping(),
      terminate: () => this.terminate('no sign of life'),
    });
    this.#events.opened(this);
  }

  /** The first reason is the cause; what follows from it is not. */
  #noteReason(reason: string): void {
    this.#reason ??= reason;
  }

  #ended(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#cancelTimeout();
    this.#liveness?.stop();
    this.#events.closed(this, this.#reason ?? reason);
  }
}

/**
 * Leaves the mask at zero, which the sender and the receiver then skip. Masking protects proxies
 * from bytes that a hostile web page chooses (RFC 6455, section 10.3); here no browser is at
 * either end, and masking costs a pass over every reply.
 */
function noMask(mask: Buffer): void {
  mask.fill(0);
}

function describe(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return error.message === '' ? (code ?? error.name) : error.message;
}
