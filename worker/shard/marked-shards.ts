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

  /** In the set even when the disk does not take it, which throws. */
  add(shardId: ShardId): void {
    this.#shards.add(shardId);
    writeFileSync(path.join(this.#folder, shardId), '', { mode: 0o600 });
    syncFolder(this.#folder);
  }

  /** Durable on return. */
  delete(shardId: ShardId): void {
    if (!this.#shards.has(shardId)) return;
    rmSync(path.join(this.#folder, shardId), { force: true });
    syncFolder(this.#folder);
    this.#shards.delete(shardId);
  }
}
