/**
 * Shards and their copies in the words of the dialect, which calls a process that holds shards a
 * peer and answers as one of them ("this peer"). Here the coordinator answers, so one of the workers
 * stands for it: of a collection one that holds its first shard and is connected, if there is such.
 *
 *   replica   in sync   behind, was in sync before   behind, a new copy   its worker is away
 *   state     Active    Recovery                     Partial              Dead
 *
 * What it says is the caller's own: peers are the workers that hold its collections in this
 * namespace, and a peer's id is a hash of client and worker, so that two clients can not find out
 * whether they share one. Ids are stable, and below 2^53: JSON numbers are doubles to most callers.
 * Addresses of machines are nobody's business; the `uri` names the peer once more.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, WorkerId } from '../../shared/base/ids.ts';
import type { JsonObject } from '../../shared/domain/point.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Replica } from '../cluster/replicas/replica.ts';
import type { ReplicaSet } from '../cluster/replicas/replica-set.ts';
import type { Router } from '../routing/router.ts';
import type { ShardPlacement } from '../store/collections.ts';
import type { Catalog, Owner } from './catalog.ts';
import { everyShard } from './every-shard.ts';

export interface ClusterInfoDeps {
  catalog: Pick<Catalog, 'find' | 'list'>;
  cluster: Pick<Cluster, 'set' | 'isLevelling'>;
  router: Pick<Router, 'ask' | 'connected'>;
  clock: Clock;
}

/** Of the 64 bits of a hash, those that a double can not hold. */
const BITS_CUT = 11n;

export class ClusterInfo {
  readonly #deps: ClusterInfoDeps;

  constructor(deps: ClusterInfoDeps) {
    this.#deps = deps;
  }

  /**
   * Where the shards of a collection are. Counts of points are those of "this peer": asked of it, or
   * as last heard when it is away. Throws `collection_not_found` and what a worker may answer.
   */
  async ofCollection(owner: Owner, name: string, deadline: Deadline): Promise<JsonObject> {
    const { catalog, cluster } = this.#deps;
    const record = catalog.find(owner, name);
    const up = this.#up();
    const peer = peerAmong(record.shards.slice(0, 1).map(this.#setOf), up);
    const local = await everyShard(record, (shard) => this.#local(shard, peer, up, deadline));
    const remote: JsonObject[] = [];
    const transfers: JsonObject[] = [];
    for (const { shardId, ordinal } of record.shards) {
      const set = cluster.set(shardId);
      const source = peerAmong([set], up);
      for (const replica of set.replicas) {
        const { workerId } = replica;
        const peer_id = peerIdOf(owner.clientId, workerId);
        const shard = { shard_id: ordinal, peer_id, state: stateOf(replica, up) };
        if (workerId !== peer) remote.push(shard);
        if (source === undefined || !cluster.isLevelling(shardId, workerId)) continue;
        const ends = { from: peerIdOf(owner.clientId, source), to: peer_id };
        transfers.push({ shard_id: ordinal, ...ends, sync: true, method: 'stream_records' });
      }
    }
    return {
      peer_id: peerIdOf(owner.clientId, peer),
      shard_count: record.shards.length,
      local_shards: local.flat(),
      remote_shards: remote,
      shard_transfers: transfers,
    };
  }

  /** The workers that hold the caller's collections. There is no consensus among them to tell of. */
  peers(owner: Owner): JsonObject {
    const { catalog, clock } = this.#deps;
    const sets = catalog.list(owner).flatMap(({ shards }) => shards.map(this.#setOf));
    const peer = peerIdOf(owner.clientId, peerAmong(sets, this.#up()));
    // Many shards are on few workers.
    const workers = new Set<WorkerId>();
    for (const { replicas } of sets) for (const { workerId } of replicas) workers.add(workerId);
    const ids = new Set([peer]);
    for (const workerId of workers) ids.add(peerIdOf(owner.clientId, workerId));
    const last_update = new Date(clock.now()).toISOString();
    return {
      status: 'enabled',
      peer_id: peer,
      peers: Object.fromEntries([...ids].map((id) => [String(id), { uri: `bulkhead:${id}` }])),
      raft_info: {
        ...{ term: 0, commit: 0, pending_operations: 0 },
        ...{ leader: null, role: null, is_voter: false },
      },
      consensus_thread_status: { consensus_thread_status: 'working', last_update },
      message_send_failures: {},
    };
  }

  /** The shard as it is at this peer, if it has it. */
  async #local(
    { shardId, ordinal }: ShardPlacement,
    peer: WorkerId | undefined,
    up: ReadonlySet<WorkerId>,
    deadline: Deadline,
  ): Promise<JsonObject[]> {
    const set = this.#deps.cluster.set(shardId);
    const replica = set.replicas.find(({ workerId }) => workerId === peer);
    if (replica === undefined) return [];
    const state = stateOf(replica, up);
    let { points } = set.held;
    if (state === 'Active') {
      const route = { shardId, workerId: replica.workerId };
      const asked = this.#deps.router.ask(route, 'shard-usage', {}, undefined, deadline);
      points = (await asked).body.points;
    }
    return [{ shard_id: ordinal, points_count: points, state }];
  }

  readonly #setOf = ({ shardId }: ShardPlacement): ReplicaSet => this.#deps.cluster.set(shardId);

  #up(): Set<WorkerId> {
    return new Set(this.#deps.router.connected());
  }
}

/** One that has a replica in sync and is connected, else any; undefined when there are no shards. */
function peerAmong(sets: readonly ReplicaSet[], up: ReadonlySet<WorkerId>): WorkerId | undefined {
  const workers = new Set(sets.flatMap(({ inSync }) => inSync.map(({ workerId }) => workerId)));
  const holders = [...workers].toSorted();
  return holders.find((workerId) => up.has(workerId)) ?? holders[0];
}

/** Without a worker, of a client that has nothing, of the service itself. */
function peerIdOf(clientId: ClientId, workerId: WorkerId | undefined): number {
  const hash = createHash('sha256')
    .update(`${clientId}/${workerId ?? ''}`)
    .digest();
  return Number(hash.readBigUInt64BE() >> BITS_CUT);
}

function stateOf(
  { state, syncedVersion, workerId }: Replica,
  up: ReadonlySet<WorkerId>,
): 'Active' | 'Recovery' | 'Partial' | 'Dead' {
  if (!up.has(workerId)) return 'Dead';
  if (state === 'in_sync') return 'Active';
  return syncedVersion > 0 ? 'Recovery' : 'Partial';
}
