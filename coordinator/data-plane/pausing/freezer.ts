/**
 * Has workers move the files of paused collections to their cold disks, one collection after the other, and
 * again until each has said that it did. What is frozen already says so at once; so all are asked again
 * once in a while, also after a start, and whoever was away or has got a copy since hears of it then.
 *
 *   notes of writes to the ledger --> shard-freeze at each replica in sync --> frozen
 */
import type { Clock } from '../../../shared/base/clock.ts';
import { Deadline } from '../../../shared/base/deadline.ts';
import type { CollectionId } from '../../../shared/base/ids.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Log } from '../../../shared/log/log.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import type { Router } from '../../routing/router.ts';
import type { CollectionRecord } from '../../store/collections.ts';

export interface FreezerDeps {
  cluster: {
    find: Cluster['find'];
    metering: Pick<Cluster['metering'], 'carry'>;
  };
  router: Pick<Router, 'ask' | 'connected'>;
  /** Whether it is still to be frozen. */
  isWanted: (record: CollectionRecord) => boolean;
  clock: Clock;
  log: Log;
}

interface Try {
  /** When all workers had frozen theirs; in monotonic time. */
  frozenMs: number | undefined;
}

/** Packing a large shard takes a minute for some gigabytes. */
const FREEZE_TIMEOUT_MS = 30 * 60_000;
const AGAIN_MS = 3_600_000;

export class Freezer {
  readonly #deps: FreezerDeps;
  /** The last try of each, as long as nobody has brought the collection back since. */
  readonly #tries = new Map<CollectionId, Try>();
  #closed = false;

  constructor(deps: FreezerDeps) {
    this.#deps = deps;
  }

  /** It was brought back, or is about to be. */
  woke(collectionId: CollectionId): void {
    this.#tries.delete(collectionId);
  }

  /** Freezes those that are not known to be. False when not all are in the end. */
  async freeze(records: readonly CollectionRecord[]): Promise<boolean> {
    const { clock } = this.#deps;
    let isWhole = true;
    for (const record of records) {
      const at = this.#tries.get(record.collectionId)?.frozenMs;
      if (at !== undefined && clock.monotonicMs() - at < AGAIN_MS) continue;
      if (this.#closed) return false;
      if (!(await this.#tryFreeze(record))) isWhole = false;
    }
    return isWhole;
  }

  close(): void {
    this.#closed = true;
  }

  async #tryFreeze(record: CollectionRecord): Promise<boolean> {
    const { clock, isWanted, log } = this.#deps;
    const { collectionId } = record;
    const own: Try = { frozenMs: undefined };
    try {
      if (!isWanted(record)) return true;
      this.#tries.set(collectionId, own);
      if (!(await this.#freezeOne(record))) return false;
      own.frozenMs = clock.monotonicMs();
      // It may have been brought back meanwhile, and be paused again.
      return this.#tries.get(collectionId) === own;
    } catch (error) {
      // A request that needed it is no failure.
      const isNeeded = error instanceof AppError && error.code === 'conflict';
      if (!isNeeded && !this.#closed) log.event('freeze_failed', { collectionId, error });
      return false;
    }
  }

  /** False when not all replicas could be asked: some are behind, or away. */
  async #freezeOne(record: CollectionRecord): Promise<boolean> {
    const { cluster, router, clock } = this.#deps;
    let isWhole = true;
    for (const { shardId } of record.shards) {
      const set = cluster.find(shardId);
      if (set === undefined) return false;
      const connected = router.connected();
      const isHere = set.replicas.every(({ workerId, state }) => {
        return state === 'in_sync' && connected.includes(workerId);
      });
      if (!isHere) {
        isWhole = false;
        continue;
      }
      await cluster.metering.carry(set);
      for (const { workerId } of set.replicas) {
        const deadline = Deadline.after(clock, FREEZE_TIMEOUT_MS);
        await router.ask({ shardId, workerId }, 'shard-freeze', {}, undefined, deadline);
      }
    }
    return isWhole;
  }
}
