/**
 * Requests on a schedule, whatever comes back: request n leaves at n / rate, over connections that
 * take turns, also when earlier answers are still awaited. Callers that wait for their answer before
 * they ask again slow down with the service, and never see the queue that they would have made.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { systemClock } from '../../shared/base/clock.ts';

export interface OpenLoopAnswer {
  status: number;
  /** Status line and header. */
  head: string;
  /** From the time at which the request was due. */
  ms: number;
}

export interface OpenLoopOptions {
  url: string;
  connections: number;
  perSecond: number;
  durationMs: number;
  /** The bytes of request n. */
  request(n: number): Buffer;
  answered(answer: OpenLoopAnswer): void;
}

export interface OpenLoopResult {
  sent: number;
  /** From the first request to the last. */
  seconds: number;
  /** What the most overdue request was late by when it left: large when this process is too slow. */
  latestMs: number;
}

/** How long answers are waited for after the last request. */
const ANSWER_MS_MAX = 30_000;
const TICK_MS = 1;
const HEAD_END = Buffer.from('\r\n\r\n');
const LENGTH = /\r\ncontent-length: (\d+)\r\n/i;
const STATUS_AT = 'HTTP/1.1 '.length;

/** Rejects when a connection ends, or answers stay away. */
export async function runOpenLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const { url, connections, perSecond, durationMs } = options;
  const lines = await Promise.all(
    Array.from({ length: connections }, () => PipelinedCaller.connect(url, options.answered)),
  );
  const total = Math.round((perSecond * durationMs) / 1_000);
  const startMs = systemClock.monotonicMs();
  let latestMs = 0;
  let lastMs = startMs;
  for (let sent = 0; sent < total; ) {
    lastMs = systemClock.monotonicMs();
    for (; sent < total; sent += 1) {
      const dueMs = startMs + (sent * 1_000) / perSecond;
      if (dueMs > lastMs) break;
      latestMs = Math.max(latestMs, lastMs - dueMs);
      lines[sent % connections]?.send(options.request(sent), dueMs);
    }
    await pause(TICK_MS);
  }
  await within(ANSWER_MS_MAX, Promise.all(lines.map((line) => line.idle())));
  for (const line of lines) line.close();
  return { sent: total, seconds: (lastMs - startMs) / 1_000, latestMs };
}

function pause(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms));
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const cancel = systemClock.after(ms, () => late.reject(new Error(`no answer within ${ms} ms`)));
  await Promise.race([work, late.promise]).finally(cancel);
}

/** One kept-alive connection that takes requests at any time; answers come in their order. */
class PipelinedCaller {
  readonly #socket: Socket;
  readonly #answered: (answer: OpenLoopAnswer) => void;
  readonly #dueMs: number[] = [];
  readonly #failure = Promise.withResolvers<never>();
  #received: Buffer = Buffer.alloc(0);
  #whenIdle: (() => void) | undefined;

  private constructor(socket: Socket, answered: (answer: OpenLoopAnswer) => void) {
    this.#socket = socket;
    this.#answered = answered;
    // `idle` rejects with it; before and after that nobody waits, and the process is to go on.
    this.#failure.promise.catch(() => undefined);
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', (error) => this.#failure.reject(error));
    socket.on('close', () => this.#failure.reject(new Error('a connection was closed')));
  }

  static async connect(
    url: string,
    answered: (answer: OpenLoopAnswer) => void,
  ): Promise<PipelinedCaller> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new PipelinedCaller(socket, answered);
  }

  send(request: Buffer, dueMs: number): void {
    this.#dueMs.push(dueMs);
    this.#socket.write(request);
  }

  /** Resolves when every request has its answer. */
  idle(): Promise<void> {
    if (this.#dueMs.length === 0) return Promise.resolve();
    const idle = new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
    return Promise.race([idle, this.#failure.promise]);
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    while (this.#takeAnswer());
    if (this.#dueMs.length === 0) this.#whenIdle?.();
  }

  /** Whether a whole answer was there. */
  #takeAnswer(): boolean {
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0) return false;
    const head = this.#received.toString('latin1', 0, headEnd + 2);
    const length = LENGTH.exec(head)?.[1];
    if (length === undefined) {
      this.#socket.destroy(new Error('an answer without Content-Length'));
      return false;
    }
    const end = headEnd + HEAD_END.length + Number(length);
    if (this.#received.length < end) return false;
    this.#received = this.#received.subarray(end);
    const status = Number(head.slice(STATUS_AT, STATUS_AT + 3));
    const ms = systemClock.monotonicMs() - (this.#dueMs.shift() ?? Number.NaN);
    this.#answered({ status, head, ms });
    return true;
  }
}
