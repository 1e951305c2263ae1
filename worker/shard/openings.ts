/**
 * Which shards' opening ended the process, and which are therefore not opened any more. Empty files
 * named by the shard say so, in folders of the data folder:
 *
 *   openings/under-way    it is being opened, or was when the process died
 *   openings/suspect      the process died while it was being opened
 *   openings/quarantine   it is not opened until an operator releases it
 *
 *   none --begins--> under way --opens, or fails with an error--> none
 *                        |
 *                        +--process dies--> suspect --begins, alone--> under way --opens--> none
 *                                             ^  ^                         |
 *                                             |  +---- process dies -------+ with others under way
 *           quarantined ----- release --------+                            |
 *                ^---------------------------- process dies ---------------+ alone
 *
 * Whatever ends a process leaves the files of all shards that were being opened, and any of them may be
 * to blame. So a suspect is opened alone: should the process die again, its file is the only one, and
 * that is the proof. It is alone for `ALONE_MS` at most, for what ends a process does so at once, and
 * opening a large shard may take a minute for which others can not wait.
 *
 * The files of shards under way are not synced: they are for the death of a process, and thousands of
 * small shards could not have a sync each. What a power cut leaves, or somebody who kills the process,
 * makes a suspect of a good shard, which then opens.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../shared/base/clock.ts';
import { makeFolderDurably, syncFolder } from '../../shared/base/durable-folder.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import type { Log } from '../../shared/log/log.ts';
import { WriteGate } from './write-gate.ts';

const ALONE_MS = 2_000;

type State = 'under-way' | 'suspect' | 'quarantine';

export class Openings {
  readonly #deps: { clock: Clock; log: Log };
  readonly #folder: string;
  readonly #suspects = new Set<ShardId>();
  readonly #quarantined = new Set<ShardId>();
  readonly #underWay = new Set<ShardId>();
  /** Suspects are opened as exclusive, all others as shared. */
  readonly #gate = new WriteGate();

  constructor(deps: { clock: Clock; log: Log }, { dataDir }: { dataDir: string }) {
    this.#deps = deps;
    this.#folder = path.join(dataDir, 'openings');
  }

  /** Judges what the process before has left. */
  start(): void {
    makeFolderDurably(this.#folder);
    for (const state of ['under-way', 'suspect', 'quarantine'] as const) {
      mkdirSync(path.join(this.#folder, state), { recursive: true, mode: 0o700 });
    }
    for (const shardId of this.#listed('suspect')) this.#suspects.add(shardId);
    for (const shardId of this.#listed('quarantine')) this.#quarantined.add(shardId);
    const left = this.#listed('under-way');
    for (const shardId of left) {
      if (left.length === 1 && this.#suspects.has(shardId)) this.#quarantine(shardId);
      else this.#suspect(shardId, 'under-way');
    }
    syncFolder(this.#folder);
  }

  get quarantined(): ShardId[] {
    return [...this.#quarantined];
  }

  isQuarantined(shardId: ShardId): boolean {
    return this.#quarantined.has(shardId);
  }

  /** Opens a shard that is not quarantined; a suspect when no other is being opened. */
  run<T>(shardId: ShardId, open: () => Promise<T>): Promise<T> {
    const marked = () => this.#marked(shardId, open);
    return this.#suspects.has(shardId) ? this.#alone(marked) : this.#gate.shared(marked);
  }

  /** Lets a shard be opened again, as a suspect. False when it is not quarantined; durable on return. */
  release(shardId: ShardId): boolean {
    if (!this.#quarantined.has(shardId)) return false;
    this.#suspect(shardId, 'quarantine');
    this.#quarantined.delete(shardId);
    syncFolder(path.join(this.#folder, 'quarantine'));
    this.#deps.log.event('shard_released', { shardId });
    return true;
  }

  /** The shard is erased. */
  forget(shardId: ShardId): void {
    if (this.#suspects.delete(shardId)) this.#remove('suspect', shardId);
    if (this.#quarantined.delete(shardId)) this.#remove('quarantine', shardId);
  }

  /** The process is about to end by itself: what is being opened is not to blame for that. */
  close(): void {
    for (const shardId of this.#underWay) this.#remove('under-way', shardId);
  }

  /** Runs it when the others have ended, and lets others begin when it has, or has had its time. */
  #alone<T>(open: () => Promise<T>): Promise<T> {
    const opened = Promise.withResolvers<T>();
    void this.#gate.exclusive(() => {
      const over = Promise.withResolvers<void>();
      const cancel = this.#deps.clock.after(ALONE_MS, over.resolve);
      void open()
        .then(opened.resolve, opened.reject)
        .finally(() => {
          cancel();
          over.resolve();
        });
      return over.promise;
    });
    return opened.promise;
  }

  async #marked<T>(shardId: ShardId, open: () => Promise<T>): Promise<T> {
    this.#underWay.add(shardId);
    // A disk that is full or fails does not keep a shard from being read.
    this.#tolerate(shardId, () => writeFileSync(this.#file('under-way', shardId), ''));
    try {
      return await open();
    } finally {
      this.#underWay.delete(shardId);
      this.#remove('under-way', shardId);
      if (this.#suspects.delete(shardId)) this.#remove('suspect', shardId);
    }
  }

  #suspect(shardId: ShardId, before: State): void {
    renameSync(this.#file(before, shardId), this.#file('suspect', shardId));
    this.#suspects.add(shardId);
    this.#deps.log.event('shard_suspected', { shardId });
  }

  #quarantine(shardId: ShardId): void {
    renameSync(this.#file('under-way', shardId), this.#file('quarantine', shardId));
    syncFolder(path.join(this.#folder, 'quarantine'));
    this.#remove('suspect', shardId);
    this.#suspects.delete(shardId);
    this.#quarantined.add(shardId);
    this.#deps.log.event('shard_quarantined', { shardId });
  }

  #remove(state: State, shardId: ShardId): void {
    this.#tolerate(shardId, () => rmSync(this.#file(state, shardId), { force: true }));
  }

  #tolerate(shardId: ShardId, change: () => void): void {
    try {
      change();
    } catch (error) {
      this.#deps.log.event('shard_failed', { shardId, place: 'openings', error });
    }
  }

  #listed(state: State): ShardId[] {
    return readdirSync(path.join(this.#folder, state)) as ShardId[];
  }

  #file(state: State, shardId: ShardId): string {
    return path.join(this.#folder, state, shardId);
  }
}
