/**
 * Both real ends of a link on a free port, and hand-driven peers that speak the protocol as well
 * or as badly as a test wants.
 */
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { type Route, WorkerLink } from '../../coordinator/worker-link/worker-link.ts';
import { type Clock, systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import { randomId, type ShardId, type WorkerId } from '../../shared/base/ids.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { encodeBody } from '../../shared/protocol/body.ts';
import { decodeFrame, encodeFrame, type Frame } from '../../shared/protocol/frame.ts';
import { parseChallenge, parseHello, parseWelcome, proofOf } from '../../shared/protocol/hello.ts';
import { MESSAGES, type MessageName } from '../../shared/protocol/messages.ts';
import { schemaHash } from '../../shared/protocol/schema-hash.ts';
import { PROTOCOL_VERSION } from '../../shared/protocol/version.ts';
import type { Handlers } from '../../worker/server/dispatch.ts';
import { CoordinatorLink } from '../../worker/server/link.ts';
import { recordingLog } from '../harness/recording-log.ts';

export const SECRET = 'the link secret of these tests, long enough';
export const SHARD = '0b54a2f0-9c1d-4e3a-8f00-0123456789ab' as ShardId;
export const EMPTY = new Float32Array(0);

/** A frame of a line of epoch 7, a count if not said otherwise. */
export function frameOf(over: Partial<Frame>): Buffer {
  return encodeFrame({
    kind: 'request',
    message: MESSAGES['points-count'].number,
    epoch: 7,
    requestId: 1,
    deadlineMs: 5_000,
    shardId: SHARD,
    origin: '',
    structure: encodeBody({ exact: true }),
    vectors: EMPTY,
    ...over,
  });
}

export function newWorkerId(): WorkerId {
  return randomId<WorkerId>('wk_', secureRandom.bytes);
}

export function within(ms: number, clock: Clock = systemClock): Deadline {
  return Deadline.after(clock, ms);
}

/** Handlers that answer `not_supported` but for those given. */
export function handlersOf(given: Partial<Handlers>): Handlers {
  const refuse = (): never => {
    throw new AppError('not_supported');
  };
  const names = Object.keys(MESSAGES) as MessageName[];
  const refusing = Object.fromEntries(names.map((name) => [name, refuse]));
  return { ...(refusing as unknown as Handlers), ...given };
}

export class Rig {
  readonly link: WorkerLink;
  readonly logged = recordingLog();
  readonly workerLogged = recordingLog();
  readonly #context: TestContext;
  port = 0;

  private constructor(context: TestContext, clock: Clock, port: number) {
    this.#context = context;
    this.link = new WorkerLink(
      { clock, random: secureRandom, log: this.logged.log },
      { host: '127.0.0.1', port, secret: SECRET },
    );
  }

  static async start(context: TestContext, clock: Clock = systemClock, port = 0): Promise<Rig> {
    const rig = new Rig(context, clock, port);
    ({ port: rig.port } = await rig.link.start());
    context.after(() => rig.link.close(within(0)));
    return rig;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  route(workerId: WorkerId): Route {
    return { shardId: SHARD, workerId };
  }

  /** Resolves at the next completed handshake. */
  nextConnect(): Promise<WorkerId> {
    const { promise, resolve } = Promise.withResolvers<WorkerId>();
    this.link.onConnect(resolve);
    return promise;
  }

  /** A real worker link, dialling; closed after the test. */
  worker(
    handlers: Partial<Handlers>,
    { workerId = newWorkerId(), secret = SECRET, clock = systemClock } = {},
  ): { workerId: WorkerId; link: CoordinatorLink } {
    const link = new CoordinatorLink(
      { clock, random: secureRandom, log: this.workerLogged.log, handlers: handlersOf(handlers) },
      { coordinatorUrl: this.url, workerId, secret },
    );
    link.start();
    this.#context.after(() => link.close(within(0)));
    return { workerId, link };
  }

  /** A real worker link, connected. */
  async connectedWorker(handlers: Partial<Handlers>, options: { workerId?: WorkerId } = {}) {
    const connected = this.nextConnect();
    const worker = this.worker(handlers, options);
    await connected;
    return worker;
  }
}

export interface HelloLies {
  secret?: string;
  protocolVersion?: number;
  schemaHash?: string;
  autoPong?: boolean;
}

/** A worker driven by hand. */
export class RawWorker {
  readonly socket: WebSocket;
  readonly workerId: WorkerId;
  epoch = 0;
  readonly #messages: (Buffer | Error)[] = [];
  readonly #takers: ((message: Buffer | Error) => void)[] = [];
  /** Resolves with the close code. */
  readonly closed: Promise<number>;

  constructor(context: TestContext, url: string, workerId: WorkerId, autoPong = true) {
    this.workerId = workerId;
    this.socket = new WebSocket(url, { perMessageDeflate: false, autoPong });
    const { promise, resolve } = Promise.withResolvers<number>();
    this.closed = promise;
    this.socket.on('message', (data) => this.#push(data as Buffer));
    this.socket.on('error', () => undefined);
    this.socket.on('close', (code) => {
      this.#push(new Error(`closed ${code}`));
      resolve(code);
    });
    context.after(() => this.socket.terminate());
  }

  /** A worker whose handshake is done, or as far as its lies carry it. */
  static async connect(
    context: TestContext,
    url: string,
    lies: HelloLies = {},
  ): Promise<RawWorker> {
    const worker = new RawWorker(context, url, newWorkerId(), lies.autoPong ?? true);
    await worker.greet(lies);
    worker.epoch = parseWelcome((await worker.next()).toString()).epoch;
    return worker;
  }

  async greet(lies: HelloLies = {}): Promise<void> {
    const challenge = parseChallenge((await this.next()).toString());
    const nonce = secureRandom.bytes(32).toString('hex');
    const parts = {
      workerId: this.workerId,
      protocolVersion: lies.protocolVersion ?? PROTOCOL_VERSION,
      schemaHash: lies.schemaHash ?? schemaHash(),
    };
    const nonces = { coordinatorNonce: challenge.nonce, workerNonce: nonce };
    const proof = proofOf('worker', lies.secret ?? SECRET, { ...parts, ...nonces });
    this.socket.send(JSON.stringify({ ...parts, nonce, proof }));
  }

  async next(): Promise<Buffer> {
    const { promise, resolve } = Promise.withResolvers<Buffer | Error>();
    const ready = this.#messages.shift();
    if (ready === undefined) this.#takers.push(resolve);
    else resolve(ready);
    const message = await promise;
    if (message instanceof Error) throw message;
    return message;
  }

  async nextFrame(): Promise<Frame> {
    return decodeFrame(await this.next());
  }

  #push(message: Buffer | Error): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#messages.push(message);
    else taker(message);
  }
}

/** A coordinator driven by hand: accepts connections and does the handshake with `secret`. */
export class RawCoordinator {
  readonly #server: WebSocketServer;
  readonly #takers: ((socket: WebSocket) => void)[] = [];
  readonly #sockets: WebSocket[] = [];
  readonly #secret: string;

  private constructor(server: WebSocketServer, secret: string) {
    this.#server = server;
    this.#secret = secret;
    server.on('connection', (socket) => {
      socket.on('error', () => undefined);
      const nonce = secureRandom.bytes(32).toString('hex');
      socket.once('message', (data) => this.#welcome(socket, nonce, data.toString()));
      socket.send(JSON.stringify({ nonce }));
    });
  }

  static async start(
    context: TestContext,
    { secret = SECRET, autoPong = true } = {},
  ): Promise<RawCoordinator> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, autoPong });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.once('listening', resolve);
    await promise;
    context.after(() => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    });
    return new RawCoordinator(server, secret);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next worker that was welcomed (epoch 7). */
  accept(): Promise<WebSocket> {
    const { promise, resolve } = Promise.withResolvers<WebSocket>();
    const ready = this.#sockets.shift();
    if (ready === undefined) this.#takers.push(resolve);
    else resolve(ready);
    return promise;
  }

  #welcome(socket: WebSocket, coordinatorNonce: string, text: string): void {
    const { nonce: workerNonce, proof: _, ...parts } = parseHello(text);
    const proof = proofOf('coordinator', this.#secret, {
      ...parts,
      coordinatorNonce,
      workerNonce,
      epoch: 7,
    });
    socket.send(JSON.stringify({ epoch: 7, proof }));
    const taker = this.#takers.shift();
    if (taker === undefined) this.#sockets.push(socket);
    else taker(socket);
  }
}

export function nextMessage(socket: WebSocket): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  socket.once('message', (data) => resolve(data as Buffer));
  return promise;
}

export function closeCode(socket: WebSocket): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  socket.once('close', (code) => resolve(code));
  return promise;
}
