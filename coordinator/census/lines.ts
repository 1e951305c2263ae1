/**
 * A census as lines of JSON, the form in which it is archived. Names are those of the admin API.
 *
 *   {"census": "2026-11-27", "day": ..., "kind": ..., "started_at": ..., "format": 1}
 *   {"client_id": ..., "plan": ..., "state": ..., "live": {sums}, "test": {sums}}          each client
 *   {"client_id": ..., "mode": ..., "namespace": ..., "collection": ..., "sums": {...}, "shards": [...]}  its collections
 *   ...
 *   {"end": {sums of all, "clients": ..., "finished_at": ...}}
 *
 * Points and bytes are counted once for each shard, whatever its replicas are; memory and disk are those of
 * all replicas that answered. All amounts are integers.
 *
 * A shard says where its points and bytes are from (`source`):
 *
 *   replica       a replica in sync, asked at `at`; they are what it held at that version
 *   coordinator   no replica in sync answered: what they said after the last write, at or before `at`
 *   census        the same, and nobody has heard of it since the start: from an earlier census, at `at`
 *   none          nobody ever said it: they are 0, and mean nothing
 *
 * All but the first are *unknown*, and counted as such in every sum. Shards that are being filled to take the place
 * of others are not in a census yet.
 */
import { assert } from '../../shared/base/assert.ts';
import type { CensusKind } from '../../shared/crypto/census-seal.ts';
import type { Mode } from '../../shared/domain/collection.ts';

export const CENSUS_FORMAT = 1;
export const SHARD_SOURCES = ['replica', 'coordinator', 'census', 'none'] as const;
export type ShardSource = (typeof SHARD_SOURCES)[number];

export interface CensusHead {
  /** The day, and for one on demand a dot and its number. */
  census: string;
  day: string;
  kind: CensusKind;
  started_at: string;
  format: typeof CENSUS_FORMAT;
}

export interface CensusReplica {
  worker_id: string;
  state: 'in_sync' | 'behind';
  /** How many versions it lacks; null while the last version is not known. */
  versions_behind: number | null;
  /** What it said; null when it did not answer. */
  version: number | null;
  points: number | null;
  bytes: number | null;
  memory_bytes: number | null;
  disk_bytes: number | null;
}

export interface CensusShard {
  shard_id: string;
  ordinal: number;
  source: ShardSource;
  at: string | null;
  version: number | null;
  points: number;
  bytes: number;
  replicas: CensusReplica[];
}

export interface ShardSums {
  shards: number;
  unknown_shards: number;
  points: number;
  bytes: number;
  memory_bytes: number;
  disk_bytes: number;
}

export interface CensusSums extends ShardSums {
  collections: number;
}

export interface CensusCollection {
  client_id: string;
  mode: Mode;
  namespace: string;
  collection: string;
  collection_id: string;
  sums: ShardSums;
  shards: CensusShard[];
}

export interface CensusClient {
  client_id: string;
  plan: string;
  state: string;
  live: CensusSums;
  test: CensusSums;
}

export interface CensusEnd {
  end: CensusSums & { clients: number; finished_at: string };
}

export type CensusLine = CensusHead | CensusClient | CensusCollection | CensusEnd;

const NOTHING: Readonly<ShardSums> = {
  shards: 0,
  unknown_shards: 0,
  points: 0,
  bytes: 0,
  memory_bytes: 0,
  disk_bytes: 0,
};
const SUM_NAMES = Object.keys(NOTHING) as (keyof ShardSums)[];

export function noSums(): CensusSums {
  return { collections: 0, ...NOTHING };
}

/** Adds a collection to the sums. */
export function addTo(total: CensusSums, { sums }: Pick<CensusCollection, 'sums'>): void {
  total.collections += 1;
  for (const name of SUM_NAMES) total[name] += sums[name];
  const isExact = SUM_NAMES.every((name) => Number.isSafeInteger(total[name]));
  assert(isExact, 'what a fleet of workers can hold is below 2^53 bytes');
}

/** What the shards of a collection come to. */
export function sumsOf(shards: readonly CensusShard[]): ShardSums {
  const sums = { ...NOTHING };
  for (const { source, points, bytes, replicas } of shards) {
    sums.shards += 1;
    if (source !== 'replica') sums.unknown_shards += 1;
    sums.points += points;
    sums.bytes += bytes;
    for (const replica of replicas) {
      sums.memory_bytes += replica.memory_bytes ?? 0;
      sums.disk_bytes += replica.disk_bytes ?? 0;
    }
  }
  return sums;
}

export function isHead(line: CensusLine): line is CensusHead {
  return 'census' in line;
}

export function isEnd(line: CensusLine): line is CensusEnd {
  return 'end' in line;
}

export function isCollection(line: CensusLine): line is CensusCollection {
  return 'shards' in line;
}

/** `2026-11-27`, in UTC. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, DAY_CHARS);
}

/** The hour since 1970 that a day begins with. */
export function firstHourOf(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) / MS_PER_HOUR;
}

const DAY_CHARS = 10;
const MS_PER_HOUR = 3_600_000;

/** The name of the archive of a census. */
export function archiveFileOf(census: string): string {
  return `${census}.jsonl.zst`;
}
