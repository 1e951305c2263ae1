/**
 * The collections that exist, in memory: the data path asks no database. It is filled from
 * `control.db` at start and changed right after each commit, by the one coordinator there is.
 *
 * The key of a lookup begins with the client and the mode that the API key proved, so another
 * client's collection is not forbidden, it is not there: the same 404, from the same code.
 */
import type { CollectionId, ShardId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Principal } from '../auth/principal.ts';
import type { CollectionRecord, ShardPlacement } from '../store/collections.ts';
import { collectionNameProblem } from './parse-collection.ts';

/** Whose collections, and in which namespace; part of every lookup. */
export type Owner = Pick<Principal, 'clientId' | 'mode' | 'namespace'>;

export class Catalog {
  /** By client and mode, namespace, name; there is no empty map in it. */
  readonly #byOwner = new Map<string, Map<string, Map<string, CollectionRecord>>>();
  readonly #byShard = new Map<ShardId, CollectionRecord>();

  constructor(records: Iterable<CollectionRecord> = []) {
    for (const record of records) if (record.state === 'active') this.put(record);
  }

  /** Throws `collection_not_found`; a name that no collection can have is an invalid argument. */
  find(owner: Owner, name: string): CollectionRecord {
    const record = this.get(owner, name);
    if (record !== undefined) return record;
    const problem = collectionNameProblem(name);
    if (problem !== undefined) throw new AppError('invalid_argument', problem);
    throw new AppError('collection_not_found', `Not found: Collection \`${name}\` doesn't exist!`);
  }

  get(owner: Owner, name: string): CollectionRecord | undefined {
    return this.#byOwner.get(keyOf(owner))?.get(owner.namespace)?.get(name);
  }

  /** By name. */
  list(owner: Owner): CollectionRecord[] {
    const records = this.#byOwner.get(keyOf(owner))?.get(owner.namespace)?.values() ?? [];
    return [...records].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** How many collections a client has in each of its namespaces that has one. */
  countByNamespace(owner: Omit<Owner, 'namespace'>): Map<string, number> {
    const counts = new Map<string, number>();
    for (const [namespace, records] of this.#byOwner.get(keyOf(owner)) ?? []) {
      counts.set(namespace, records.size);
    }
    return counts;
  }

  /** All shards of a client's collections of that mode; without those that are being filled. */
  shardsOf(owner: Omit<Owner, 'namespace'>): ShardPlacement[] {
    return this.#recordsOf(owner).flatMap(({ shards }) => shards);
  }

  /** How many there are with those that are being filled. */
  countShards(owner: Omit<Owner, 'namespace'>): number {
    return this.#recordsOf(owner).reduce((sum, record) => sum + allShards(record).length, 0);
  }

  /** The record as it is now. Throws `collection_not_found` when the collection is gone. */
  current(record: CollectionRecord): CollectionRecord {
    const known = this.get(record, record.name);
    if (known?.collectionId === record.collectionId) return known;
    throw new AppError('collection_not_found');
  }

  /** The collection of a shard. */
  ofShard(shardId: ShardId): CollectionRecord | undefined {
    return this.#byShard.get(shardId);
  }

  /** Every collection that is there. */
  all(): Iterable<CollectionRecord> {
    return new Set(this.#byShard.values());
  }

  /** Adds a collection or replaces its record. */
  put(record: CollectionRecord): void {
    const key = keyOf(record);
    const namespaces = this.#byOwner.get(key) ?? new Map<string, Map<string, CollectionRecord>>();
    const records = namespaces.get(record.namespace) ?? new Map<string, CollectionRecord>();
    this.#forgetShards(records.get(record.name));
    for (const { shardId } of allShards(record)) this.#byShard.set(shardId, record);
    records.set(record.name, record);
    namespaces.set(record.namespace, records);
    this.#byOwner.set(key, namespaces);
  }

  /** Removes a collection, not a newer one of the same name. */
  remove(record: Owner & { name: string; collectionId: CollectionId }): void {
    const key = keyOf(record);
    const namespaces = this.#byOwner.get(key);
    const records = namespaces?.get(record.namespace);
    const known = records?.get(record.name);
    if (records === undefined || known?.collectionId !== record.collectionId) return;
    this.#forgetShards(known);
    records.delete(record.name);
    if (records.size === 0) namespaces?.delete(record.namespace);
    if (namespaces?.size === 0) this.#byOwner.delete(key);
  }

  #forgetShards(record: CollectionRecord | undefined): void {
    if (record === undefined) return;
    for (const { shardId } of allShards(record)) this.#byShard.delete(shardId);
  }

  #recordsOf(owner: Omit<Owner, 'namespace'>): CollectionRecord[] {
    const namespaces = [...(this.#byOwner.get(keyOf(owner))?.values() ?? [])];
    return namespaces.flatMap((records) => [...records.values()]);
  }
}

/** Those of a collection that are read and written, and those that are being filled. */
export function allShards({
  shards,
  filling,
}: Pick<CollectionRecord, 'shards' | 'filling'>): ShardPlacement[] {
  return filling.length === 0 ? shards : [...shards, ...filling];
}

function keyOf({ clientId, mode }: Omit<Owner, 'namespace'>): string {
  return `${clientId}/${mode}`;
}
