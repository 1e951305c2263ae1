/** Where every copy of every shard is, and how far it is, as operators see it. */
import type { ShardId, WorkerId } from '../../shared/base/ids.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { PlacedReplica, ReplicaFilter } from '../store/replicas.ts';
import { type Page, pageOf } from './page.ts';

export interface ReplicaView extends Omit<PlacedReplica, 'syncedVersion'> {
  /** Every write up to this version is in it; null when the shard has not told its last one yet. */
  syncedVersion: number | null;
  /** Versions between it and the shard's last one; null while that is not known. */
  versionsBehind: number | null;
}

interface ReplicaAdminDeps {
  store: Pick<ControlStore, 'replicas'>;
  cluster: Pick<Cluster, 'find'>;
}

export class ReplicaAdmin {
  readonly #deps: ReplicaAdminDeps;

  constructor(deps: ReplicaAdminDeps) {
    this.#deps = deps;
  }

  /**
   * One page by shard and worker, those of collections that are being deleted too. `after` is what
   * `next` of the page before gave.
   */
  list(
    filter: ReplicaFilter & { after?: string | undefined; limit?: number | undefined },
  ): Page<ReplicaView> {
    const { limit = LIMITS.adminPageMax, after, ...wanted } = filter;
    const [shardId = '', workerId = ''] = after?.split('.') ?? [];
    const from = { shardId: shardId as ShardId, workerId: workerId as WorkerId };
    const found = this.#deps.store.replicas.page(wanted, from, limit + 1);
    const { items, next } = pageOf(found, limit, (one) => `${one.shardId}.${one.workerId}`);
    return { items: items.map((replica) => this.#viewOf(replica)), next };
  }

  #viewOf(replica: PlacedReplica): ReplicaView {
    const last = this.#deps.cluster.find(replica.shardId)?.lastVersion ?? null;
    if (replica.state === 'in_sync') return { ...replica, syncedVersion: last, versionsBehind: 0 };
    const { syncedVersion } = replica;
    const versionsBehind = last === null ? null : Math.max(0, last - syncedVersion);
    return { ...replica, versionsBehind };
  }
}
