/**
 * What an open shard holds in memory. All of it can be made again from `points.db`, and one thread
 * only changes it, in the order in which the writer thread committed.
 *
 *            commit (writer thread)          apply (this thread)         acknowledge
 *   write -> points.db has version v  ->  index and payloads at v  ->  reply
 *
 * Between commit and apply, rows read from `points.db` may be newer than what is in memory; a search
 * settles its hits on the rows (see `search.ts`). `trustedVersion` is how far memory surely agrees
 * with the rows: it lags behind `appliedVersion` from the moment a write ends without saying
 * whether it was committed until the shard has caught up.
 */
import { assert, must, unreachable } from '../../shared/base/assert.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import { parseJsonObject } from '../../shared/domain/json.ts';
import type { JsonObject, PayloadBytes } from '../../shared/domain/point.ts';
import type { PayloadIndexes } from '../filter/payload-indexes.ts';
import type { WriteOp, WriteOutcome } from '../points/write-op.ts';
import type { GuardedIndex } from './guarded-index.ts';
import type { Slices } from './slices.ts';

/** Points applied between two looks at the clock. */
const LABELS_PER_STEP = 32;

export class ShardState {
  descriptor: ShardDescriptor;
  index: GuardedIndex;
  readonly payloads: PayloadIndexes;
  /** Points changed since the shard was opened. */
  changeCount = 0;
  /** Vectors that were removed or replaced since then. */
  removedCount = 0;
  #appliedVersion: number;
  #applying: Promise<void> = Promise.resolve();
  /** Rows after this version may be missing in memory; infinite when none is. */
  #missingSince = Number.POSITIVE_INFINITY;

  constructor(parts: {
    descriptor: ShardDescriptor;
    index: GuardedIndex;
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

  get trustedVersion(): number {
    return Math.min(this.#appliedVersion, this.#missingSince);
  }

  /** Whether rows may have changes that memory lacks. */
  get behind(): boolean {
    return this.#missingSince !== Number.POSITIVE_INFINITY;
  }

  /** A write ended without saying whether it was committed, or could not be applied. */
  lostTrack(): void {
    this.#missingSince = Math.min(this.#missingSince, this.#appliedVersion);
  }

  /**
   * Brings memory level with the rows of `version`: `replay` puts every row that is newer than
   * `since` and removes what has no row. No write may be under way.
   */
  async catchUp(version: number, replay: (since: number) => Promise<void>): Promise<void> {
    await replay(this.trustedVersion);
    this.#appliedVersion = version;
    this.#missingSince = Number.POSITIVE_INFINITY;
    this.#applying = Promise.resolve();
  }

  /**
   * Takes over a committed write, in slices. Outcomes come in the order of their versions and are
   * applied in it. Should applying fail, no later write is acknowledged until `catchUp`.
   */
  apply(op: WriteOp, outcome: WriteOutcome, slices: Slices): Promise<void> {
    this.#applying = this.#applying.then(async () => {
      for (let from = 0; from < outcome.labels.length; from += LABELS_PER_STEP) {
        this.#applyStep(op, outcome, from);
        if (slices.due) await slices.rest();
      }
      this.changeCount += outcome.labels.length;
      this.#reach(outcome.version);
    });
    return this.#applying;
  }

  #applyStep(op: WriteOp, outcome: WriteOutcome, from: number): void {
    const to = Math.min(from + LABELS_PER_STEP, outcome.labels.length);
    for (let i = from; i < to; i += 1) {
      const label = must(outcome.labels[i], 'an outcome names its labels');
      switch (op.kind) {
        case 'upsert':
          this.#putVector(label, op.vectors, i);
          this.#putPayload(label, op.payloads[i] ?? null);
          break;
        case 'vectors':
          this.#putVector(label, op.vectors, i);
          break;
        case 'payload':
          this.#putPayload(label, outcome.payloads?.[i] ?? null);
          break;
        case 'delete':
        case 'delete-labels':
          this.removedCount += 1;
          this.index.remove(label);
          this.payloads.remove(label);
          break;
        default:
          unreachable(op);
      }
    }
  }

  #putVector(label: number, vectors: Float32Array, i: number): void {
    const { dimension } = this.descriptor.config.vector;
    if (this.index.has(label)) this.removedCount += 1;
    this.index.add(label, vectors.subarray(i * dimension, (i + 1) * dimension));
  }

  #putPayload(label: number, payload: PayloadBytes | null): void {
    if (this.payloads.size > 0) this.payloads.put(label, parsePayload(payload));
  }

  #reach(version: number): void {
    assert(version >= this.#appliedVersion, 'outcomes come in the order of their versions');
    this.#appliedVersion = version;
  }
}

/** The stored text was written by us, so it parses. */
export function parsePayload(bytes: PayloadBytes | null): JsonObject | null {
  return bytes === null ? null : parseJsonObject(bytes);
}
