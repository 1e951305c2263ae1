/** What the admin API answers of censuses. */
import { list, number, numberOrNull, object, text, textOrNull } from './reply-fields.ts';

export interface CensusRow {
  census: string;
  day: string;
  kind: string;
  state: string;
  started_at: string;
  /** What follows is null while it is under way. */
  finished_at: string | null;
  file: string | null;
  sha256: string | null;
  clients: number | null;
  collections: number | null;
  shards: number | null;
  unknown_shards: number | null;
  points: number | null;
  bytes: number | null;
  memory_bytes: number | null;
  disk_bytes: number | null;
}

/** A collection; its shards as the service tells of them. */
export interface CensusCollectionRow {
  mode: string;
  namespace: string;
  collection: string;
  shards: number;
  unknown_shards: number;
  points: number;
  bytes: number;
  memory_bytes: number;
  disk_bytes: number;
  shard_list: unknown[];
}

export function parseCensus(value: unknown): CensusRow {
  const fields = object(value);
  return {
    census: text(fields, 'census'),
    day: text(fields, 'day'),
    kind: text(fields, 'kind'),
    state: text(fields, 'state'),
    started_at: text(fields, 'started_at'),
    finished_at: textOrNull(fields, 'finished_at'),
    file: textOrNull(fields, 'file'),
    sha256: textOrNull(fields, 'sha256'),
    clients: numberOrNull(fields, 'clients'),
    collections: numberOrNull(fields, 'collections'),
    shards: numberOrNull(fields, 'shards'),
    unknown_shards: numberOrNull(fields, 'unknown_shards'),
    points: numberOrNull(fields, 'points'),
    bytes: numberOrNull(fields, 'bytes'),
    memory_bytes: numberOrNull(fields, 'memory_bytes'),
    disk_bytes: numberOrNull(fields, 'disk_bytes'),
  };
}

export function parseClientCensus(value: unknown): {
  items: CensusCollectionRow[];
  next: number | null;
} {
  const fields = object(value);
  const items = list(fields, 'collections').map((item) => {
    const collection = object(item);
    const sums = object(collection.sums);
    return {
      mode: text(collection, 'mode'),
      namespace: text(collection, 'namespace'),
      collection: text(collection, 'collection'),
      shards: number(sums, 'shards'),
      unknown_shards: number(sums, 'unknown_shards'),
      points: number(sums, 'points'),
      bytes: number(sums, 'bytes'),
      memory_bytes: number(sums, 'memory_bytes'),
      disk_bytes: number(sums, 'disk_bytes'),
      shard_list: list(collection, 'shards'),
    };
  });
  return { items, next: numberOrNull(fields, 'next') };
}
