/**
 * What an open shard holds in memory. All of it can be made again from `points.db`, and one thread
 * only changes it, in the order in which the writer thread committed.
 *
 *            commit (writer thread)          apply (this thread)         acknowledge
 *   write -> points.db has version v  ->  index and payloads at v  ->  reply
 *
 * Between commit and apply, rows read from `points.db` may be newer than `appliedVersion`; readers
 * that need both to agree wait with `applied(version)`.
 */
import { assert } from '../../shared/base/assert.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import { parseJsonObject } from '../../shared/domain/json.ts';
import type { JsonObject, PayloadBytes } from '../../shared/domain/point.ts';
import type { PayloadIndexes } from '../filter/payload-indexes.ts';
import type { VectorIndex } from '../index/vector-index.ts';
import type { WriteOp, WriteOutcome } from '../points/write-op.ts';

export class ShardState {
  descriptor: ShardDescriptor;
  index: VectorIndex;
  readonly payloads: PayloadIndexes;
  /** Points changed since the shard was opened. */
  changeCount = 0;
  #appliedVersion: number;
  #waiting: { version: number; resolve: () => void }[] = [];

  constructor(parts: {
    descriptor: ShardDescriptor;
    index: VectorIndex;
    payloads: PayloadIndexes;
    appliedVersion: number;
  }) {
    this.descriptor = parts.descriptor;
    this.index = parts.index;
    this.payloads = parts.payloads;
    this.#appliedVersion = parts.appliedVersion;
  }

  get appliedVersion(): number {
    return this.#appliedVersion;
  }

  /** Resolves once everything up to `version` is in memory. */
  applied(version: number): Promise<void> {
    if (version <= this.#appliedVersion) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ version, resolve }));
  }

  /** Takes over a committed write. Outcomes come in the order of their versions. */
  apply(op: WriteOp, outcome: WriteOutcome): void {
    switch (op.kind) {
      case 'upsert':
        this.#putVectors(outcome.labels, op.vectors);
        this.#putPayloads(outcome.labels, op.payloads);
        break;
      case 'vectors':
        this.#putVectors(outcome.labels, op.vectors);
        break;
      case 'payload':
        this.#putPayloads(outcome.labels, outcome.payloads ?? []);
        break;
      case 'delete':
      case 'delete-labels':
        for (const label of outcome.labels) this.#remove(label);
        break;
    }
    this.changeCount += outcome.labels.length;
    this.#reach(outcome.version);
  }

  #putVectors(labels: Uint32Array, vectors: Float32Array): void {
    const { dimension } = this.descriptor.config.vector;
    labels.forEach((label, i) => {
      this.index.add(label, vectors.subarray(i * dimension, (i + 1) * dimension));
    });
  }

  #putPayloads(labels: Uint32Array, payloads: (PayloadBytes | null)[]): void {
    if (this.payloads.size === 0) return;
    labels.forEach((label, i) => {
      this.payloads.put(label, parsePayload(payloads[i] ?? null));
    });
  }

  #remove(label: number): void {
    this.index.remove(label);
    this.payloads.remove(label);
  }

  #reach(version: number): void {
    assert(version >= this.#appliedVersion, 'outcomes come in the order of their versions');
    this.#appliedVersion = version;
    if (this.#waiting.length === 0) return;
    const ready = this.#waiting.filter((waiter) => waiter.version <= this.#appliedVersion);
    this.#waiting = this.#waiting.filter((waiter) => waiter.version > this.#appliedVersion);
    for (const waiter of ready) waiter.resolve();
  }
}

/** The stored text was written by us, so it parses. */
export function parsePayload(bytes: PayloadBytes | null): JsonObject | null {
  return bytes === null ? null : parseJsonObject(bytes);
}
