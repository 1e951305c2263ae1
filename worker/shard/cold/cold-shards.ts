/**
 * The shards of a worker whose files are on the cold disk, and those that are on their way:
 *
 *   hot --freeze--> freezing --> cold --a request that needs rows--> thawing --> hot
 *    ^                  |          ^                                    |
 *    +-- a request comes, or it fails                                   +-- it fails
 *
 * A request that needs rows ends a freezing that has not come to its end, and waits for a thawing as
 * long as its deadline allows; the thawing goes on without it. Some are thawed at once, the others wait
 * for their turn, so that a hundred that wake do not share the disk and the memory for all.
 *
 * What is cold is read once in a while, a shard at a time, and held against its digests. When that was is the
 * time of its stub, so that a worker that starts every day reads it, too.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { must } from '../../../shared/base/assert.ts';
import type { Clock } from '../../../shared/base/clock.ts';
import type { Deadline } from '../../../shared/base/deadline.ts';
import type { ShardId } from '../../../shared/base/ids.ts';
import { inTime } from '../../../shared/base/in-time.ts';
import { Turns } from '../../../shared/base/turns.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Log } from '../../../shared/log/log.ts';
import { DamagedData, fromSystemError, isDamage } from '../../points/storage-errors.ts';
import { findShardFolders, removeShardFolder } from '../folder.ts';
import { ColdDisk } from './cold-disk.ts';
import {
  type ColdFacts,
  type ColdManifest,
  coldBytes,
  freezeFolder,
  noteVerified,
  settleHome,
  thawFolder,
  verifiedAt,
  verifyCold,
} from './cold-home.ts';

export interface ColdShardsDeps {
  /** Of the rows in a folder. */
  versionOf: (folder: string) => number;
  clock: Clock;
  log: Log;
  /** Told of a shard whose files on the cold disk are not what was written there. */
  onDamage: (shardId: ShardId, error: unknown) => void;
}

export interface ColdShardsOptions {
  /** Shards' folders stand below it. */
  dataDir: string;
  /** The same folders on the cold disk. */
  coldDir: string;
  /** How often each cold shard is read. */
  verifyEveryMs: number;
}

interface Move {
  /** Never rejects. */
  ended: Promise<unknown>;
  /** Ends a freezing. */
  abort: () => void;
  /** Of a thawing: what it comes to. */
  thawed?: Promise<void>;
}

interface Cold {
  folder: string;
  manifest: ColdManifest;
  verifiedMs: number;
}

const THAWED_AT_ONCE = 4;
const LOOK_MS = 60_000;
/** Of what is left of its deadline a request keeps so much to say that it was too short. */
const ANSWER_MS = 50;

export class ColdShards {
  readonly #deps: ColdShardsDeps;
  readonly #options: ColdShardsOptions;
  readonly #disk: ColdDisk;
  readonly #cold = new Map<ShardId, Cold>();
  readonly #moves = new Map<ShardId, Move>();
  readonly #thaws = new Turns(THAWED_AT_ONCE);
  readonly #freezes = new Turns(1);
  readonly #stop = new AbortController();
  #cancelLook: (() => void) | undefined;
  #looking = Promise.resolve();

  constructor(deps: ColdShardsDeps, options: ColdShardsOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#disk = new ColdDisk(options);
    this.#lookLater();
  }

  /** Removes what interrupted moves left on the cold disk; to be called before the shards are looked for. */
  async start(): Promise<void> {
    const { dataDir, coldDir } = this.#options;
    if (!existsSync(coldDir)) return;
    try {
      for (const folder of await findShardFolders(coldDir)) {
        const where = path.relative(coldDir, folder);
        if (existsSync(path.join(dataDir, where))) continue;
        // Perhaps the data folder is not the one that it was: nothing is removed.
        this.#deps.log.event('shard_failed', { place: 'cold', folder: where });
      }
    } catch (error) {
      // Shards that are not there are served all the same.
      this.#deps.log.event('shard_failed', { place: 'cold', error });
    }
  }

  /** Finds out whether a shard is cold. Throws `DamagedData`. */
  async find(shardId: ShardId, folder: string): Promise<void> {
    const manifest = await settleHome(folder, this.#coldFolder(folder), this.#deps.versionOf);
    if (manifest === undefined) return;
    const { clock } = this.#deps;
    // A clock that was set back makes it no younger than now.
    const ageMs = Math.max(0, clock.now() - (await verifiedAt(folder)));
    this.#enter(shardId, folder, manifest, clock.monotonicMs() - ageMs);
  }

  get size(): number {
    return this.#cold.size;
  }

  manifest(shardId: ShardId): ColdManifest | undefined {
    return this.#cold.get(shardId)?.manifest;
  }

  /** On the cold disk, of one that is there; in bytes. */
  bytes(shardId: ShardId): number {
    const manifest = this.manifest(shardId);
    return manifest === undefined ? 0 : coldBytes(manifest);
  }

  /** Whether it is cold or on its way. */
  isAside(shardId: ShardId): boolean {
    if (this.#cold.size === 0 && this.#moves.size === 0) return false;
    return this.#cold.has(shardId) || this.#moves.has(shardId);
  }

  /** Resolves when it is hot. Throws `waking` when the time does not suffice, and why it can not be. */
  async warm(shardId: ShardId, deadline: Deadline): Promise<void> {
    const { clock } = this.#deps;
    const warmed = this.#warm(shardId);
    const waitMs = Math.max(0, deadline.remainingMs() - ANSWER_MS);
    await inTime(clock, waitMs, warmed, () => new AppError('waking'));
  }

  /** Resolves when it is hot or cold for good. */
  async settled(shardId: ShardId): Promise<void> {
    for (let move = this.#moves.get(shardId); move; move = this.#moves.get(shardId)) {
      await move.ended;
    }
  }

  /**
   * Has `close` end what is done for the shard, and moves its files. What is cold already stays so. Throws
   * `conflict` when a request came meanwhile, and what `close` and the file system throw; the shard is hot
   * then.
   */
  freeze(shardId: ShardId, folder: string, close: () => Promise<ColdFacts>): Promise<void> {
    return this.#freezes.run(async () => {
      await this.settled(shardId);
      if (this.#cold.has(shardId)) return;
      const stop = new AbortController();
      const signal = AbortSignal.any([stop.signal, this.#stop.signal]);
      const frozen = this.#freeze(shardId, folder, close, signal);
      this.#note(shardId, frozen, { abort: () => stop.abort() });
      await frozen.catch((error: unknown) => {
        if (!signal.aborted) throw fromSystemError(error);
        throw new AppError('conflict', 'a request needed the shard while it was being frozen');
      });
    });
  }

  async #freeze(
    shardId: ShardId,
    folder: string,
    close: () => Promise<ColdFacts>,
    signal: AbortSignal,
  ): Promise<void> {
    const startMs = this.#deps.clock.monotonicMs();
    signal.throwIfAborted();
    if (!(await this.#disk.take(this.#deps.clock.now(), this.#cold.size === 0))) throw isAway();
    const facts = await close();
    const manifest = await freezeFolder(folder, this.#coldFolder(folder), facts, signal);
    this.#enter(shardId, folder, manifest, this.#deps.clock.monotonicMs());
    const ms = this.#deps.clock.monotonicMs() - startMs;
    this.#deps.log.event('shard_frozen', { shardId, bytes: this.bytes(shardId), ms });
  }

  /** Ends a freezing and forgets the shard with what is cold of it. Throws `unavailable` while that can not be removed. */
  async drop(shardId: ShardId, folder: string): Promise<void> {
    this.#moves.get(shardId)?.abort();
    await this.settled(shardId);
    const isCold = this.#cold.has(shardId);
    if (isCold && !(await this.#disk.take(this.#deps.clock.now(), false))) throw isAway();
    await removeShardFolder(this.#coldFolder(folder));
    this.#cold.delete(shardId);
  }

  /** Throws `DamagedData`, and `unavailable`. Damage of what is made again from the rows is logged only. */
  async verify(shardId: ShardId): Promise<void> {
    const cold = must(this.#cold.get(shardId), 'it is cold');
    try {
      const { folder, manifest } = cold;
      const error = await verifyCold(this.#coldFolder(folder), manifest, this.#stop.signal);
      if (error !== undefined) this.#deps.log.event('cold_scrub_failed', { shardId, error });
    } catch (error) {
      if (this.#stop.signal.aborted) throw new AppError('shutting_down');
      throw await this.#coldError(error);
    }
    const { clock } = this.#deps;
    cold.verifiedMs = clock.monotonicMs();
    // It may be on its way back by now, and is read once more when this is lost.
    await noteVerified(cold.folder, clock.now()).catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#cancelLook?.();
    await this.#looking;
    for (const { ended } of this.#moves.values()) await ended;
  }

  async #warm(shardId: ShardId): Promise<void> {
    const move = this.#moves.get(shardId);
    if (move?.thawed !== undefined) return move.thawed;
    move?.abort();
    await move?.ended;
    const cold = this.#cold.get(shardId);
    if (cold === undefined) return;
    // Another one may have begun since.
    const thawed =
      this.#moves.get(shardId)?.thawed ?? this.#thaws.run(() => this.#thaw(shardId, cold));
    if (!this.#moves.has(shardId)) this.#note(shardId, thawed, { abort: () => undefined, thawed });
    await thawed;
  }

  async #thaw(shardId: ShardId, { folder, manifest }: Cold): Promise<void> {
    const startMs = this.#deps.clock.monotonicMs();
    if (this.#stop.signal.aborted) throw new AppError('shutting_down');
    try {
      await thawFolder(folder, this.#coldFolder(folder), manifest);
    } catch (error) {
      throw await this.#coldError(error);
    }
    this.#cold.delete(shardId);
    try {
      await removeShardFolder(this.#coldFolder(folder));
    } catch (error) {
      this.#deps.log.event('shard_failed', { shardId, place: 'cold', error });
    }
    const bytes = coldBytes(manifest);
    const ms = this.#deps.clock.monotonicMs() - startMs;
    this.#deps.log.event('shard_thawed', { shardId, bytes, ms });
  }

  /** A disk that is not there comes back; its data are not taken for damaged. What is missing on it is lost. */
  async #coldError(error: unknown): Promise<unknown> {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return fromSystemError(error);
    if (!(await this.#disk.take(this.#deps.clock.now(), false))) return isAway(error);
    return new DamagedData('what was cold is not there', { cause: error });
  }

  #note(shardId: ShardId, moved: Promise<void>, move: Omit<Move, 'ended'>): void {
    // Whoever moves it hears of the failure.
    const settled = moved.catch(() => undefined);
    const ended = settled.finally(() => this.#moves.delete(shardId));
    this.#moves.set(shardId, { ...move, ended });
  }

  #enter(shardId: ShardId, folder: string, manifest: ColdManifest, verifiedMs: number): void {
    this.#cold.set(shardId, { folder, manifest, verifiedMs });
  }

  #coldFolder(folder: string): string {
    const { dataDir, coldDir } = this.#options;
    return path.join(coldDir, path.relative(dataDir, folder));
  }

  #lookLater(): void {
    this.#cancelLook = this.#deps.clock.after(LOOK_MS, () => {
      this.#looking = this.#look().then(() => {
        if (!this.#stop.signal.aborted) this.#lookLater();
      });
    });
  }

  /** Reads the one that was not read for the longest time, when it is due. Never rejects. */
  async #look(): Promise<void> {
    const dueMs = this.#deps.clock.monotonicMs() - this.#options.verifyEveryMs;
    let oldest: [ShardId, Cold] | undefined;
    for (const entry of this.#cold) {
      if (oldest === undefined || entry[1].verifiedMs < oldest[1].verifiedMs) oldest = entry;
    }
    if (oldest === undefined || oldest[1].verifiedMs > dueMs) return;
    const [shardId, cold] = oldest;
    try {
      await this.verify(shardId);
    } catch (error) {
      if (this.#stop.signal.aborted || this.#cold.get(shardId) !== cold) return;
      cold.verifiedMs = this.#deps.clock.monotonicMs();
      if (isDamage(error)) this.#deps.onDamage(shardId, error);
      this.#deps.log.event('cold_scrub_failed', { shardId, error });
    }
  }
}

function isAway(cause?: unknown): AppError {
  const detail = 'the cold disk is not there, or another one';
  return new AppError('unavailable', undefined, { detail, cause });
}
