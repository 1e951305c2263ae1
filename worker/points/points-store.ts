/**
 * The rows of all shards of this worker. Writes go to a few writer threads (one shard always to
 * the same), so the calling thread never waits for a sync; reads run on the calling thread.
 *
 *   write(folder, op) --pack--> link[hash(folder)] ==thread==> group commit --> outcome
 *   reader(folder)    --------> handle of the calling thread, least recently used ones closed
 *
 * Outcomes of one shard resolve in the order of the calls, which has to be that of their versions.
 */
import { LRUCache } from 'lru-cache';
import { assert, must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Written } from '../../shared/protocol/schema.ts';
import { Inspector } from './inspector.ts';
import { checkLog } from './log-check.ts';
import { PointsReader } from './points-reader.ts';
import type { ShardMeta } from './schema.ts';
import { DamagedData } from './storage-errors.ts';
import { packOp, type WriteOp, type WriteOutcome } from './write-op.ts';
import { WriterLink } from './writer-link.ts';

export interface PointsStoreDeps {
  log: Log;
  clock: Clock;
}

export interface PointsStoreOptions {
  writerThreads: number;
  /** Open files: so many read handles, and as many write handles over all threads. */
  handlesMax: number;
  /** Growing writes are refused when they would leave less than this free on the disk. */
  diskReserveBytes: number;
}

/** A database of so many bytes is looked at as a whole in some 2 ms. */
const CHECKED_AT_ONCE_BYTES = 2 * 2 ** 20;
/** Before the folder, in the names of handles whose rows are not checked. */
const UNCHECKED = 'unchecked ';

export class PointsStore {
  readonly #links: WriterLink[];
  readonly #readers: LRUCache<string, PointsReader>;
  readonly #inspector: Inspector;
  readonly #damageListeners: ((folder: string, problem: string) => void)[] = [];
  /** Folders whose databases were looked at as a whole in this process, or are in line for it. */
  readonly #sound = new Set<string>();
  /** Writes sent and not answered, by folder. */
  readonly #queued = new Map<string, number>();
  #queuedBytes = 0;
  #state: 'open' | 'closed' = 'open';

  constructor(deps: PointsStoreDeps, options: PointsStoreOptions) {
    const { writerThreads, handlesMax, diskReserveBytes } = options;
    assert(writerThreads >= 1 && handlesMax >= 1, 'a store has threads and handles');
    const loop = { handlesMax: Math.ceil(handlesMax / writerThreads), diskReserveBytes };
    this.#links = Array.from(
      { length: writerThreads },
      (_, writer) => new WriterLink(deps, { writer, loop }),
    );
    this.#readers = new LRUCache({ max: handlesMax, dispose: (reader) => reader.close() });
    this.#inspector = new Inspector(deps, (folder, problem) => {
      for (const listener of this.#damageListeners) listener(folder, problem);
    });
  }

  async start(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.start()));
  }

  /** Waits for the writes that were accepted; refuses new ones. */
  async close(deadline: Deadline): Promise<void> {
    this.#state = 'closed';
    // The last connection folds the log into the database, which one that only reads can not.
    this.#readers.clear();
    await this.#inspector.close();
    await Promise.all(this.#links.map((link) => link.close(deadline)));
  }

  /** Makes the shard's database, durably, and leaves it closed: its folder may be renamed. */
  async create(folder: string, { shardId, dimension }: ShardMeta): Promise<void> {
    const meta = { shardId, dimension };
    await this.#link(folder).request({ kind: 'create', folder, meta }, []);
  }

  /** Resolves after the commit is on disk. */
  async write(folder: string, op: WriteOp): Promise<WriteOutcome> {
    if (this.#state === 'closed') throw new AppError('shutting_down');
    const queued = this.#queued.get(folder) ?? 0;
    if (queued >= LIMITS.shardWritesQueuedMax) throw new AppError('overloaded');
    if (this.#queuedBytes >= LIMITS.writeBytesQueuedMax) throw new AppError('overloaded');
    const { value, transfer, bytes } = packOp(op);
    this.#queued.set(folder, queued + 1);
    this.#queuedBytes += bytes;
    try {
      const request = { kind: 'write' as const, folder, op: value };
      const outcome = await this.#link(folder).request(request, transfer);
      return must(outcome, 'a write has an outcome');
    } finally {
      this.#queuedBytes -= bytes;
      this.#release(folder);
    }
  }

  /**
   * Makes the rows that can be read the ones that are on the disk, where a write ended without saying
   * whether it was committed; after it no such write comes to light any more. Throws `unavailable`
   * while the disk does not let it.
   */
  async settle(folder: string): Promise<void> {
    await this.#link(folder).request({ kind: 'settle', folder }, []);
  }

  /**
   * Ask each time: a handle that is not used for long is closed. Throws when the database is not there
   * or not sound: it is looked at as a whole once a process, a large one somewhat later.
   */
  reader(folder: string): PointsReader {
    let reader = this.#readers.get(folder);
    if (reader === undefined) {
      reader = this.#opened(folder);
      this.#readers.set(folder, reader);
    }
    return reader;
  }

  /**
   * What the shard held after its last commit. A handle that is open is used, and none is kept for it, so that
   * asking for many shards closes nobody's; the counters are checked, the database as a whole is not.
   * Throws `DamagedData`.
   */
  usage(folder: string): Written {
    const known = this.#readers.peek(folder);
    if (known !== undefined) return known.usage();
    if (this.#state === 'closed') throw new AppError('shutting_down');
    if (!this.#sound.has(folder)) checkLog(folder);
    const reader = new PointsReader(folder);
    try {
      return reader.usage();
    } finally {
      reader.close();
    }
  }

  /** The same, but for rows of a shard that is damaged: they are given as they are. */
  uncheckedReader(folder: string): PointsReader {
    const key = UNCHECKED + folder;
    let reader = this.#readers.get(key);
    if (reader === undefined) {
      if (this.#state === 'closed') throw new AppError('shutting_down');
      reader = new PointsReader(folder, { checked: false });
      this.#readers.set(key, reader);
    }
    return reader;
  }

  /** Looks at the database as a whole now. Throws `DamagedData` and `unavailable`. */
  async inspect(folder: string): Promise<void> {
    const problem = await this.#inspector.inspect(folder);
    if (problem !== undefined) throw new DamagedData(problem);
  }

  /** Calls `listener` when a database turns out to be damaged that nobody is asking for. */
  onDamage(listener: (folder: string, problem: string) => void): void {
    this.#damageListeners.push(listener);
  }

  /** The next reader looks at the database as a whole again. */
  forgetSound(folder: string): void {
    this.#sound.delete(folder);
    this.#readers.delete(folder);
  }

  #opened(folder: string): PointsReader {
    if (this.#state === 'closed') throw new AppError('shutting_down');
    if (this.#sound.has(folder)) return new PointsReader(folder);
    checkLog(folder);
    const reader = new PointsReader(folder);
    try {
      if (reader.bytes <= CHECKED_AT_ONCE_BYTES) reader.checkWhole();
      else this.#inspector.add(folder);
      this.#sound.add(folder);
      return reader;
    } catch (error) {
      reader.close();
      throw error;
    }
  }

  /** Waits for the shard's queued writes and closes its handles; then its folder can go. */
  async drop(folder: string): Promise<void> {
    await this.#link(folder).request({ kind: 'drop', folder }, []);
    this.#inspector.forget(folder);
    // Only now: a read may have opened it again while writes were waited for.
    this.forgetSound(folder);
    this.#readers.delete(UNCHECKED + folder);
  }

  #release(folder: string): void {
    const left = must(this.#queued.get(folder), 'a queued write is counted') - 1;
    if (left === 0) this.#queued.delete(folder);
    else this.#queued.set(folder, left);
  }

  #link(folder: string): WriterLink {
    return must(this.#links[hash(folder) % this.#links.length], 'a store has threads');
  }
}

/** FNV-1a, 32 bits (Fowler, Noll, Vo). */
function hash(text: string): number {
  let sum = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193);
  }
  return sum >>> 0;
}
