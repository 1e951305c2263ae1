/**
 * What a writer thread does, without the thread. Requests wait in one queue a shard; each turn
 * takes the shard that has waited longest, commits what has gathered there as one group, and puts
 * the shard at the end of the line if more is left. So writes share a sync under load, go alone
 * when there is none, and a shard with many of them delays another by one group.
 *
 *   accept(request) -> [shard a: w w w] [shard b: w] [shard c: drop]    turn() -> reply(...)
 *
 * The queues are bounded by the sender, which knows what it has not been answered.
 */
import { LRUCache } from 'lru-cache';
import { assert, must, unreachable } from '../../shared/base/assert.ts';
import { BoundedQueue } from '../../shared/base/bounded-queue.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ErrorCode } from '../../shared/errors/codes.ts';
import { createPointsDb, type ShardMeta } from './schema.ts';
import { type OpResult, ShardWriter, type ShardWriterOptions } from './shard-writer.ts';
import { isDiskFull, toAppError } from './storage-errors.ts';
import {
  growthBytes,
  type PackedOp,
  type PackedOutcome,
  packOutcome,
  unpackOp,
  type WriteOp,
} from './write-op.ts';

export type WriterRequest =
  | { seq: number; folder: string; kind: 'write'; op: PackedOp }
  | { seq: number; folder: string; kind: 'create'; meta: ShardMeta }
  | { seq: number; folder: string; kind: 'drop' }
  /** Makes what the database says durable, where a write may have failed to. */
  | { seq: number; folder: string; kind: 'settle' };

export interface PlainError {
  code: ErrorCode;
  message: string;
  detail?: string;
}

export type WriterReply =
  | { seq: number; outcome: PackedOutcome }
  | { seq: number; done: true }
  | { seq: number; error: PlainError };

export type WriterMessage =
  | { kind: 'ready' }
  | { kind: 'replies'; replies: WriterReply[] }
  | { kind: 'disk-full'; folder: string }
  | { kind: 'disk-failed'; folder: string; error: PlainError };

export interface WriterLoopDeps {
  send: (message: WriterMessage, transfer: ArrayBuffer[]) => void;
  /** Runs `action` after the messages that have arrived by then. */
  later: (action: () => void) => void;
}

export interface WriterLoopOptions extends ShardWriterOptions {
  handlesMax: number;
}

/** Bounds of one group, so that its commit stays short: other shards wait for it. */
const GROUP_OPS_MAX = 256;
const GROUP_BYTES_MAX = 32 * 2 ** 20;
/** What a write ends with on a disk that fails. */
const FAILURES: ReadonlySet<ErrorCode> = new Set(['unavailable', 'write_outcome_unknown']);
/** The writes that the sender lets wait, and the few requests that create and drop. */
const QUEUE_MAX = LIMITS.shardWritesQueuedMax + 1_024;

export class WriterLoop {
  readonly #deps: WriterLoopDeps;
  readonly #options: ShardWriterOptions;
  readonly #writers: LRUCache<string, ShardWriter>;
  /** In the order of their next turns. */
  readonly #queues = new Map<string, BoundedQueue<WriterRequest>>();
  /** Shards in whose logs everything was synced by this thread. */
  readonly #settled = new Set<string>();
  /** Shards whose disk has failed since their last good write. */
  readonly #failing = new Set<string>();
  #scheduled = false;
  #diskFull = false;
  #onIdle: (() => void) | undefined;

  constructor(deps: WriterLoopDeps, { handlesMax, ...options }: WriterLoopOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#writers = new LRUCache({ max: handlesMax, dispose: (writer) => writer.close() });
  }

  accept(request: WriterRequest): void {
    let queue = this.#queues.get(request.folder);
    if (queue === undefined) {
      queue = new BoundedQueue(QUEUE_MAX);
      this.#queues.set(request.folder, queue);
    }
    assert(queue.push(request), 'the sender holds to the bound');
    this.#schedule();
  }

  /** Finishes what is queued, then closes all handles and calls `done`. */
  close(done: () => void): void {
    this.#onIdle = () => {
      this.#writers.clear();
      done();
    };
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#deps.later(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    for (const [folder, queue] of this.#queues) {
      this.#queues.delete(folder);
      this.#serve(folder, takeGroup(queue));
      if (queue.size > 0) this.#queues.set(folder, queue);
      break;
    }
    if (this.#queues.size > 0) this.#schedule();
    else this.#onIdle?.();
  }

  #serve(folder: string, group: WriterRequest[]): void {
    const first = must(group[0], 'a queue is never empty');
    switch (first.kind) {
      case 'write':
        this.#write(folder, group);
        break;
      case 'create':
        this.#answer(first.seq, () => createPointsDb(folder, first.meta));
        break;
      case 'drop':
        this.#answer(first.seq, () => this.#forget(folder));
        break;
      case 'settle':
        this.#answer(first.seq, () => this.#writer(folder));
        break;
      default:
        unreachable(first);
    }
  }

  #answer(seq: number, action: () => unknown): void {
    let reply: WriterReply;
    try {
      action();
      reply = { seq, done: true };
    } catch (error) {
      reply = { seq, error: plainError(toAppError(error)) };
    }
    this.#deps.send({ kind: 'replies', replies: [reply] }, []);
  }

  #write(folder: string, group: WriterRequest[]): void {
    const ops = group.map((request) => {
      if (request.kind !== 'write') throw new TypeError('a group holds writes only');
      return unpackOp(request.op);
    });
    const results = this.#commit(folder, ops);
    const transfer: ArrayBuffer[] = [];
    const replies = results.map((result, i): WriterReply => {
      const { seq } = must(group[i], 'one result a request');
      if ('error' in result) return { seq, error: plainError(result.error) };
      const packed = packOutcome(result.outcome);
      transfer.push(...packed.transfer);
      return { seq, outcome: packed.value };
    });
    this.#deps.send({ kind: 'replies', replies }, transfer);
    this.#watchDisk(folder, ops, results);
    this.#watchFailures(folder, results);
  }

  #commit(folder: string, ops: WriteOp[]): OpResult[] {
    try {
      const writer = this.#writer(folder);
      const results = writer.commit(ops);
      if (writer.broken) this.#forget(folder);
      return results;
    } catch (error) {
      return ops.map(() => ({ error: toAppError(error) }));
    }
  }

  #writer(folder: string): ShardWriter {
    let writer = this.#writers.get(folder);
    if (writer === undefined) {
      const settled = this.#settled.has(folder);
      writer = new ShardWriter(folder, { ...this.#options, settled });
      this.#settled.add(folder);
      this.#writers.set(folder, writer);
    }
    return writer;
  }

  #forget(folder: string): void {
    this.#settled.delete(folder);
    this.#writers.delete(folder);
  }

  /** Says once that the disk is full, and again only after a growing write has succeeded. */
  #watchDisk(folder: string, ops: WriteOp[], results: OpResult[]): void {
    const full = results.some((result) => 'error' in result && isDiskFull(result.error));
    if (full && !this.#diskFull) this.#deps.send({ kind: 'disk-full', folder }, []);
    if (full) this.#diskFull = true;
    else if (ops.some((op, i) => growthBytes(op) > 0 && 'outcome' in (results[i] ?? {}))) {
      this.#diskFull = false;
    }
  }

  /** Says once that the disk fails a shard, and again only after a write to it has succeeded. */
  #watchFailures(folder: string, results: OpResult[]): void {
    for (const result of results) {
      if ('outcome' in result) this.#failing.delete(folder);
      else if (FAILURES.has(result.error.code) && !this.#failing.has(folder)) {
        this.#failing.add(folder);
        this.#deps.send({ kind: 'disk-failed', folder, error: plainError(result.error) }, []);
      }
    }
  }
}

/** Takes the writes at the head of the queue within the bounds of a group, or one other request. */
function takeGroup(queue: BoundedQueue<WriterRequest>): WriterRequest[] {
  const group = [must(queue.shift(), 'a queue is never empty')];
  let bytes = growth(group[0]);
  while (group[0]?.kind === 'write' && group.length < GROUP_OPS_MAX) {
    const next = queue.peek();
    if (next?.kind !== 'write' || bytes + growth(next) > GROUP_BYTES_MAX) break;
    bytes += growth(next);
    group.push(next);
    queue.shift();
  }
  return group;
}

function growth(request: WriterRequest | undefined): number {
  return request?.kind === 'write' ? packedBytes(request.op) : 0;
}

function packedBytes(op: PackedOp): number {
  if ('payloads' in op) return op.vectors.byteLength + op.payloads.bytes.length;
  return op.kind === 'vectors' ? op.vectors.byteLength : 0;
}

function plainError({ code, message, detail }: AppError): PlainError {
  return detail === undefined ? { code, message } : { code, message, detail };
}

export function fromPlainError({ code, message, detail }: PlainError): AppError {
  return new AppError(code, message, detail === undefined ? {} : { detail });
}
