/**
 * The coordinator's end of the links. It listens on a port of its own; workers dial in, prove
 * that they hold the link secret (`hello.ts`), and are then asked. A new connection of a worker id
 * takes over from one that does not answer any more: a worker dials again only when it has lost its
 * line, and the coordinator may not have noticed yet. While the one before answers, the new one is of
 * another process with a copy of the worker's folder, and is refused: what it holds is old.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { assert } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { decodeReply, encodeBody } from '../../shared/protocol/body.ts';
import { encodeFrame, type Frame, frameBytes } from '../../shared/protocol/frame.ts';
import { CLOSE_CODES } from '../../shared/protocol/hello.ts';
import {
  isAboutWorker,
  MESSAGES,
  type MessageName,
  type Reply,
  type Request,
  type WithVectors,
  type WorkerMessageName,
} from '../../shared/protocol/messages.ts';
import { ProtocolError } from '../../shared/protocol/protocol-error.ts';
import { Connection, type ConnectionEvents } from './connection.ts';
import { Lane } from './lane.ts';

/** Where a request goes: a shard, and the worker that holds it. */
export interface Route {
  shardId: ShardId;
  workerId: WorkerId;
}

/** A worker, and a shard that it holds unless the request is about the worker itself. */
interface Target {
  shardId: ShardId | undefined;
  workerId: WorkerId;
}

export interface Asked<N extends MessageName> {
  answer: Promise<WithVectors<Reply<N>>>;
  /** From now on nobody waits: `answer` may stay open for ever, and the worker need not begin with the
   * request. A write that was sent may be made all the same. */
  cancel(): void;
}

export interface WorkerLinkDeps {
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

export interface WorkerLinkOptions {
  host: string;
  /** 0 takes any free port. */
  port: number;
  /** The secret that both sides prove to hold. */
  secret: string;
}

/** Open sockets, strangers included; far above any number of workers. */
const SOCKETS_MAX = 1_024;
const EPOCH_MAX = 2 ** 32;
const EMPTY = new Float32Array(0);

export class WorkerLink {
  readonly #deps: WorkerLinkDeps;
  readonly #options: WorkerLinkOptions;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  /** Of every worker that was ever connected or asked: each knows how long its worker is away. */
  readonly #lanes = new Map<WorkerId, Lane>();
  readonly #connections = new Set<Connection>();
  readonly #connectListeners: ((workerId: WorkerId) => void)[] = [];
  readonly #lossListeners: ((workerId: WorkerId) => void)[] = [];
  readonly #damageListeners: ((shardId: ShardId, workerId: WorkerId) => void)[] = [];
  #epoch: number;
  #state: 'new' | 'open' | 'closing' = 'new';
  #onIdle: (() => void) | undefined;

  constructor(deps: WorkerLinkDeps, options: WorkerLinkOptions) {
    this.#deps = deps;
    this.#options = options;
    // A coordinator that starts again does not start with the epochs of its former life.
    this.#epoch = deps.random.below(EPOCH_MAX);
    this.#http = createServer((_request, response) => response.writeHead(426).end());
    this.#http.maxConnections = SOCKETS_MAX;
    this.#sockets = new WebSocketServer({
      server: this.#http,
      perMessageDeflate: false,
      maxPayload: LIMITS.frameBytesMax,
      clientTracking: true,
    });
    this.#sockets.on('connection', (socket, request) => this.#accept(socket, request));
  }

  /** Listens; rejects with the system's error when the address is taken. */
  start(): Promise<{ port: number }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ port: number }>();
    // The WebSocket server passes the errors of its HTTP server on.
    this.#sockets.once('error', reject);
    this.#http.listen(this.#options.port, this.#options.host, () => {
      this.#sockets.off('error', reject);
      this.#sockets.on('error', (error) => {
        this.#deps.log.event('unexpected_error', { place: 'worker-link', error });
      });
      this.#state = 'open';
      resolve({ port: (this.#http.address() as AddressInfo).port });
    });
    return promise;
  }

  /**
   * Sends one request and waits for its answer. Throws `AppError`: what the worker answered,
   * `unavailable` (no connection until the deadline), `deadline_exceeded`, `overloaded`,
   * `write_outcome_unknown`, `body_too_large`, `shutting_down`; `InvalidInput` for an integer
   * that does not fit into 64 bits. With `now`, it does not wait for a connection, and a read is not
   * sent again when it has lost it: `unavailable` at once, for there are other replicas.
   */
  request<N extends MessageName>(
    route: Route,
    name: N,
    body: Request<N>,
    vectors: Float32Array | undefined,
    deadline: Deadline,
    now = false,
  ): Promise<WithVectors<Reply<N>>> {
    return this.begin(route, name, body, vectors, deadline, now).answer;
  }

  /**
   * Asks a worker about itself, if it can be asked at this moment. Errors are those of `request`.
   */
  async askWorker<N extends WorkerMessageName>(
    workerId: WorkerId,
    name: N,
    body: Request<N>,
    deadline: Deadline,
  ): Promise<Reply<N>> {
    const route = { workerId, shardId: undefined };
    return (await this.begin(route, name, body, undefined, deadline, true).answer).body;
  }

  /** The same as `request` for one whose caller may no longer want the answer. */
  begin<N extends MessageName>(
    route: Target,
    name: N,
    body: Request<N>,
    vectors: Float32Array | undefined,
    deadline: Deadline,
    now = false,
  ): Asked<N> {
    const { promise: answer, resolve, reject } = Promise.withResolvers<WithVectors<Reply<N>>>();
    try {
      if (this.#state !== 'open') throw new AppError('shutting_down');
      if (deadline.expired) throw new AppError('deadline_exceeded');
      const namesShard = route.shardId !== undefined;
      assert(namesShard !== isAboutWorker(name), 'a request names its shard, if it is about one');
      const { number: message, writes } = MESSAGES[name];
      const frame = encodeRequest(
        { shardId: route.shardId, message, origin: deadline.origin },
        encodeBody(body),
        vectors ?? EMPTY,
      );
      const answered = (reply: Frame): void => {
        try {
          resolve({ body: this.#readReply(route, name, reply), vectors: reply.vectors });
        } catch (error) {
          reject(error);
        }
      };
      const lane = this.#lane(route.workerId);
      const call = lane.submit({
        message,
        writes,
        now,
        frame,
        deadline,
        resolve: answered,
        reject: (error) => {
          this.#noteDamage(route, error);
          reject(error);
        },
      });
      return { answer, cancel: () => call.cancel() };
    } catch (error) {
      reject(error);
      return { answer, cancel: () => undefined };
    }
  }

  /** Workers that can be asked at this moment. */
  connected(): WorkerId[] {
    return [...this.#lanes].filter(([, lane]) => lane.ready).map(([workerId]) => workerId);
  }

  /** Whether this worker can be asked at this moment. */
  isReady(workerId: WorkerId): boolean {
    return this.#lanes.get(workerId)?.ready ?? false;
  }

  /** Whether this worker is connected and leaves heartbeats without an answer. */
  isSilent(workerId: WorkerId): boolean {
    return this.#lanes.get(workerId)?.line?.silent ?? false;
  }

  /** Whether this worker is connected and has given a sign of life since. */
  hasAnswered(workerId: WorkerId): boolean {
    return this.#lanes.get(workerId)?.line?.hasAnswered ?? false;
  }

  /** Requests of this worker that wait or are sent. */
  inFlight(workerId: WorkerId): number {
    return this.#lanes.get(workerId)?.inFlight ?? 0;
  }

  /** Calls `listener` after each completed handshake. */
  onConnect(listener: (workerId: WorkerId) => void): void {
    this.#connectListeners.push(listener);
  }

  /** Calls `listener` after each connection that was lost. */
  onLoss(listener: (workerId: WorkerId) => void): void {
    this.#lossListeners.push(listener);
  }

  /** Calls `listener` when a worker says that its copy of a shard is damaged, before the caller hears. */
  onDamage(listener: (shardId: ShardId, workerId: WorkerId) => void): void {
    this.#damageListeners.push(listener);
  }

  /** Takes no new requests, waits for those that are sent until the deadline, then hangs up. */
  async close(deadline: Deadline): Promise<void> {
    if (this.#state === 'closing') return;
    const listening = this.#state === 'open';
    this.#state = 'closing';
    for (const lane of this.#lanes.values()) lane.rejectWaiting(new AppError('shutting_down'));
    await this.#idle(deadline);
    const reason = 'the coordinator stops';
    for (const connection of this.#connections) {
      if (deadline.expired) connection.terminate(reason);
      else connection.close(CLOSE_CODES.goingAway, reason);
    }
    // Reads that were cut off wait for a connection that will not come.
    for (const lane of this.#lanes.values()) lane.rejectWaiting(new AppError('shutting_down'));
    if (!listening) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#sockets.close();
    this.#http.close(() => resolve());
    this.#http.closeAllConnections();
    await promise;
  }

  #idle(deadline: Deadline): Promise<void> {
    const busy = () => [...this.#lanes.values()].some((lane) => lane.inFlight > 0);
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#deps.clock.after(deadline.remainingMs(), resolve);
    this.#onIdle = () => {
      if (!busy()) resolve();
    };
    this.#onIdle();
    return promise.finally(cancel);
  }

  #accept(socket: WebSocket, request: IncomingMessage): void {
    if (this.#state !== 'open') {
      socket.close(CLOSE_CODES.goingAway, 'the coordinator stops');
      return;
    }
    this.#epoch = (this.#epoch + 1) % EPOCH_MAX;
    const { secret } = this.#options;
    const options = { epoch: this.#epoch, secret, events: this.#events };
    const connection = new Connection(this.#deps, options, socket, request);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }

  readonly #events: ConnectionEvents = {
    holderOf: (workerId) => this.#lanes.get(workerId)?.line,
    opened: (connection) => {
      const { workerId, epoch } = connection;
      const lane = this.#lane(workerId);
      if (lane.line !== undefined) this.#replace(lane, lane.line);
      lane.connect(connection);
      this.#deps.log.event('link_connected', { workerId, epoch });
      for (const listener of this.#connectListeners) listener(workerId);
    },
    frame: (connection, frame) => {
      const isAnswer = frame.kind === 'reply' || frame.kind === 'error';
      if (!isAnswer) throw new ProtocolError('a worker only answers');
      const lane = this.#lanes.get(connection.workerId);
      if (lane?.line === connection) lane.answer(frame);
    },
    closed: (connection, reason) => {
      const lane = this.#lanes.get(connection.workerId);
      if (lane?.line !== connection) return;
      this.#detach(lane, connection, reason);
    },
  };

  #replace(lane: Lane, connection: Connection): void {
    const reason = 'a newer connection of the same worker took over';
    this.#detach(lane, connection, reason);
    connection.close(CLOSE_CODES.replaced, reason);
  }

  #detach(lane: Lane, connection: Connection, reason: string): void {
    const inFlight = lane.disconnect();
    const { workerId, epoch } = connection;
    this.#deps.log.event('link_lost', { workerId, epoch, reason, inFlight });
    for (const listener of this.#lossListeners) listener(workerId);
  }

  #lane(workerId: WorkerId): Lane {
    let lane = this.#lanes.get(workerId);
    if (lane === undefined) {
      lane = new Lane(this.#deps.clock, () => this.#onIdle?.());
      this.#lanes.set(workerId, lane);
    }
    return lane;
  }

  #noteDamage({ shardId, workerId }: Target, error: unknown): void {
    if (shardId === undefined) return;
    if (!(error instanceof AppError && error.code === 'shard_damaged')) return;
    for (const listener of this.#damageListeners) listener(shardId, workerId);
  }

  #readReply<N extends MessageName>(route: Target, name: N, frame: Frame): Reply<N> {
    try {
      if (frame.message !== MESSAGES[name].number)
        throw new ProtocolError('reply to another message');
      return decodeReply(name, frame.structure);
    } catch (cause) {
      const error = new AppError('internal', undefined, { detail: `bad reply to ${name}`, cause });
      const { shardId } = route;
      this.#deps.log.event('request_failed', { message: name, shardId, code: error.code, error });
      throw error;
    }
  }
}

function encodeRequest(
  head: Pick<Frame, 'shardId' | 'message' | 'origin'>,
  structure: Uint8Array,
  vectors: Float32Array,
): Buffer {
  if (frameBytes(structure.byteLength, vectors.byteLength) > LIMITS.frameBytesMax) {
    throw new AppError(
      'body_too_large',
      'the request is too large for one worker: send less at once',
    );
  }
  const stamp = { epoch: 0, requestId: 0, deadlineMs: 0 };
  return encodeFrame({ kind: 'request', ...head, structure, vectors, ...stamp });
}
