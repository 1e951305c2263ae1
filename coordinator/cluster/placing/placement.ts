/**
 * Which workers get the replicas of a shard. Each replica goes to the worker with the least load
 * among those that may have it:
 *
 *   - connected, not draining, without a replica of the shard
 *   - labelled for the client when the client is dedicated, and for nobody when it is not
 *   - in a zone that has no replica of the shard yet, as long as there is such a one
 *
 * Load is what a worker holds and does as a share of what the average worker does: replicas, points,
 * bytes and processor time count alike. Loads that differ by less than a tenth are equal, and then
 * rendezvous hashing decides (Thaler & Ravishankar, Using Name-Based Mappings to Increase Hit Rates,
 * IEEE/ACM ToN 6(1), 1998), so that many shards made at once spread, and the same question gets the
 * same answer.
 */
import { createHash } from 'node:crypto';
import type { ClientId, ShardId, WorkerId } from '../../../shared/base/ids.ts';

export interface Load {
  replicas: number;
  points: number;
  bytes: number;
  /** Processors in use. */
  cpu: number;
}

export interface Candidate {
  workerId: WorkerId;
  /** What fails together with it; null: nothing is known of that. */
  zone: string | null;
  /** Whose data alone it holds; null: that of all who have no workers of their own. */
  dedicatedTo: ClientId | null;
  /** Whether it can be given something now: it is connected and not draining. */
  usable: boolean;
  load: Load;
}

const KINDS = ['replicas', 'points', 'bytes', 'cpu'] as const;
/** Loads are equal when they round to the same tenth. */
const STEPS = 10;

/**
 * Workers for `count` more replicas, fewer when there are not enough. `holders` have one already,
 * with the zones that they are in.
 */
export function choosePlaces(
  shard: { shardId: ShardId; clientId: ClientId },
  count: number,
  candidates: readonly Candidate[],
  holders: readonly Pick<Candidate, 'workerId' | 'zone'>[] = [],
): Candidate[] {
  const held = new Set(holders.map(({ workerId }) => workerId));
  const allowed = allowedFor(shard.clientId, candidates).filter(({ usable }) => usable);
  const averages = averageOf(allowed);
  const ranked = allowed
    .filter(({ workerId }) => !held.has(workerId))
    .map((candidate) => ({
      candidate,
      load: Math.round(relativeLoad(candidate.load, averages) * STEPS),
      hash: rendezvous(shard.shardId, candidate.workerId),
    }))
    .sort((a, b) => a.load - b.load || Buffer.compare(b.hash, a.hash))
    .map(({ candidate }) => candidate);
  const zones = new Set(holders.map(({ zone }) => zone).filter((zone) => zone !== null));
  const chosen: Candidate[] = [];
  while (chosen.length < count) {
    const free = ranked.filter((candidate) => !chosen.includes(candidate));
    const next = free.find(({ zone }) => zone === null || !zones.has(zone)) ?? free[0];
    if (next === undefined) break;
    chosen.push(next);
    if (next.zone !== null) zones.add(next.zone);
  }
  return chosen;
}

/** Workers for the replicas of several new shards of one client, each counting for the next. */
export function placeShards(
  clientId: ClientId,
  shards: readonly ShardId[],
  count: number,
  workers: readonly Candidate[],
): WorkerId[][] {
  const candidates = workers.map((worker) => ({ ...worker, load: { ...worker.load } }));
  return shards.map((shardId) => {
    const chosen = choosePlaces({ shardId, clientId }, count, candidates);
    for (const { load } of chosen) load.replicas += 1;
    return chosen.map(({ workerId }) => workerId);
  });
}

/** Those that may hold a client's data: one that has workers of its own is on those alone, and alone
 * there, whether they can be reached or not. */
export function allowedFor<W extends Pick<Candidate, 'dedicatedTo'>>(
  clientId: ClientId,
  candidates: readonly W[],
): W[] {
  const isDedicated = candidates.some(({ dedicatedTo }) => dedicatedTo === clientId);
  const label = isDedicated ? clientId : null;
  return candidates.filter(({ dedicatedTo }) => dedicatedTo === label);
}

export function averageOf(candidates: readonly Candidate[]): Load {
  const sum = { replicas: 0, points: 0, bytes: 0, cpu: 0 };
  for (const { load } of candidates) for (const kind of KINDS) sum[kind] += load[kind];
  for (const kind of KINDS) sum[kind] /= Math.max(1, candidates.length);
  return sum;
}

/** 1 for a worker that has as much of everything as the average one. */
export function relativeLoad(load: Load, averages: Load): number {
  const shares = KINDS.map((kind) => (averages[kind] === 0 ? 0 : load[kind] / averages[kind]));
  const counted = KINDS.filter((kind) => averages[kind] > 0).length;
  return shares.reduce((sum, share) => sum + share, 0) / Math.max(1, counted);
}

function rendezvous(shardId: ShardId, workerId: WorkerId): Buffer {
  return createHash('sha256').update(`${shardId}/${workerId}`).digest();
}
