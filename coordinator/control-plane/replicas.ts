/** Where every copy of every shard is, and how far it is, as operators see it. */
import type { ClientId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Scrub, ScrubCounts } from '../cluster/copying/scrub.ts';
import type { Origin } from '../store/admin-audit.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { PlacedReplica, ReplicaFilter } from '../store/replicas.ts';
import { type Page, pageOf } from './page.ts';

export interface ReplicaView extends Omit<PlacedReplica, 'syncedVersion'> {
  /** Every write up to this version is in it; null when the shard has not told its last one yet. */
  syncedVersion: number | null;
  /** Versions between it and the shard's last one; null while that is not known. */
  versionsBehind: number | null;
}

export interface ComparisonView extends ScrubCounts {
  /** Shards that are still to be compared of those that were asked for. */
  waiting: number;
}

interface ReplicaAdminDeps {
  store: Pick<ControlStore, 'replicas' | 'clients' | 'audited'>;
  cluster: Pick<Cluster, 'find'> & { scrub: Pick<Scrub, 'counts' | 'soon'> };
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

  /**
   * Has the replicas of all shards, or of those of a client, compared with each other now, and not within
   * a day as they are anyhow. It goes on when the process starts again. Throws `InvalidInput`.
   */
  compare(origin: Origin, client: string | undefined): ComparisonView {
    const { store, cluster } = this.#deps;
    const clientId = client as ClientId | undefined;
    if (clientId !== undefined && store.clients.get(clientId) === undefined) {
      throw new InvalidInput('client_id', 'is not the id of a client');
    }
    const target = clientId ?? 'replicas';
    store.audited(origin, () => {
      const shards = store.replicas.askToCompare(clientId);
      return { action: 'replica.compare', target, before: null, after: { shards }, result: shards };
    });
    cluster.scrub.soon();
    return this.comparison();
  }

  comparison(): ComparisonView {
    const { store, cluster } = this.#deps;
    return { ...cluster.scrub.counts, waiting: store.replicas.countToCompare() };
  }

  #viewOf(replica: PlacedReplica): ReplicaView {
    const last = this.#deps.cluster.find(replica.shardId)?.lastVersion ?? null;
    if (replica.state === 'in_sync') return { ...replica, syncedVersion: last, versionsBehind: 0 };
    const { syncedVersion } = replica;
    const versionsBehind = last === null ? null : Math.max(0, last - syncedVersion);
    return { ...replica, versionsBehind };
  }
}
