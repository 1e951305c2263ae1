/** A set of shards that outlives the process: an empty file for each, named by it, in one folder. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeFolderDurably, syncFolder } from '../../shared/base/durable-folder.ts';
import type { ShardId } from '../../shared/base/ids.ts';

export class MarkedShards {
  readonly #folder: string;
  readonly #shards = new Set<ShardId>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Reads what is there. */
  start(): void {
    makeFolderDurably(this.#folder);
    for (const name of readdirSync(this.#folder)) this.#shards.add(name as ShardId);
  }

  has(shardId: ShardId): boolean {
    return this.#shards.has(shardId);
  }

  get all(): ShardId[] {
    return [...this.#shards];
  }

  /** False when it was there before. In the set even when the disk does not take it, which throws. */
  add(shardId: ShardId): boolean {
    if (this.#shards.has(shardId)) return false;
    this.#shards.add(shardId);
    writeFileSync(path.join(this.#folder, shardId), '', { mode: 0o600 });
    syncFolder(this.#folder);
    return true;
  }

  /** False when it was not there; durable on return. */
  delete(shardId: ShardId): boolean {
    if (!this.#shards.has(shardId)) return false;
    rmSync(path.join(this.#folder, shardId), { force: true });
    syncFolder(this.#folder);
    return this.#shards.delete(shardId);
  }
}
