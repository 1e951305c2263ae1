/**
 * The payload indexes of one shard, in memory only: they are filled from the rows when a shard
 * is opened and follow every write.
 *
 *   addField -> filling -> putField for every row -> finishField -> used by the planner
 *
 * While an index is filling, writes already go into it, but no query is planned with it: it
 * would miss the rows that have not come yet.
 */
import { must } from '../../shared/base/assert.ts';
import type { PayloadIndexType } from '../../shared/domain/collection.ts';
import {
  formatPayloadPath,
  type PayloadPath,
  parsePayloadPath,
} from '../../shared/domain/payload-path.ts';
import type { JsonObject } from '../../shared/domain/point.ts';
import { FieldIndex } from './field-index.ts';

interface Entry {
  index: FieldIndex;
  filling: boolean;
}

export class PayloadIndexes {
  /** By the canonical text of the path. */
  readonly #entries = new Map<string, Entry>();

  /** Indexes that are there from the start count as filled: put all rows before the first query. */
  constructor(fields: Record<string, PayloadIndexType>) {
    for (const [field, type] of Object.entries(fields)) {
      this.addField(field, type);
      this.finishField(field);
    }
  }

  /** How many fields are indexed. */
  get size(): number {
    return this.#entries.size;
  }

  get fields(): Record<string, PayloadIndexType> {
    return Object.fromEntries([...this.#entries].map(([field, { index }]) => [field, index.type]));
  }

  get memoryBytes(): number {
    let total = 0;
    for (const { index } of this.#entries.values()) total += index.memoryBytes;
    return total;
  }

  /** Points that have a value of the index's kind under this key; 0 without such an index. */
  pointsWith(field: string): number {
    return this.#entries.get(canonical(field))?.index.points ?? 0;
  }

  /** Starts an empty index, in place of one that was there. */
  addField(field: string, type: PayloadIndexType): void {
    const path = parsePayloadPath(field, 'field_name');
    const index = new FieldIndex(type, path);
    this.#entries.set(formatPayloadPath(path), { index, filling: true });
  }

  /** Puts one row into one index. */
  putField(field: string, label: number, payload: JsonObject | null): void {
    must(this.#entries.get(canonical(field)), 'the field is indexed').index.put(label, payload);
  }

  /** Says that every row has been put: from now on queries use the index. */
  finishField(field: string): void {
    must(this.#entries.get(canonical(field)), 'the field is indexed').filling = false;
  }

  removeField(field: string): void {
    this.#entries.delete(canonical(field));
  }

  /** Replaces what was known of `label`. */
  put(label: number, payload: JsonObject | null): void {
    for (const { index } of this.#entries.values()) index.put(label, payload);
  }

  remove(label: number): void {
    for (const { index } of this.#entries.values()) index.remove(label);
  }

  /** The index that can answer conditions on `path`. */
  indexOf(path: PayloadPath): FieldIndex | undefined {
    if (this.#entries.size === 0) return undefined;
    const entry = this.#entries.get(formatPayloadPath(path));
    return entry === undefined || entry.filling ? undefined : entry.index;
  }
}

function canonical(field: string): string {
  return formatPayloadPath(parsePayloadPath(field, 'field_name'));
}
