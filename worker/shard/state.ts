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
 * whether it was committed until the shard has caught up, and while a levelling is under way, whose
 * rows may have versions that memory has long had.
 */
import { assert, must, unreachable } from '../../shared/base/assert.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import { parseJsonObject } from '../../shared/domain/json.ts';
import type { JsonObject, PayloadBytes } from '../../shared/domain/point.ts';
import type { PayloadIndexes } from '../filter/payload-indexes.ts';
import type { PointRow } from '../points/points-reader.ts';
import type { WriteOp, WriteOutcome } from '../points/write-op.ts';
import type { GuardedIndex } from './guarded-index.ts';
import type { Slices } from './slices.ts';

/** How far memory agreed with the rows at one moment. */
export interface Mark {
  version: number;
  /** How many levellings had begun. */
  levellings: number;
}

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
  /** How many of those in `points.db` memory has; see the head of `points/schema.ts`. */
  levellings: number;
  #appliedVersion: number;
  #applying: Promise<void> = Promise.resolve();
  /** Rows after this version may be missing in memory; infinite when none is. */
  #missingSince = Number.POSITIVE_INFINITY;
  /** Of those since the shard was opened; rows that they write are newer than `floor`. */
  readonly #levellings = { begun: 0, underWay: 0, floor: Number.POSITIVE_INFINITY };

  constructor(parts: {
    descriptor: ShardDescriptor;
    index: GuardedIndex;
    payloads: PayloadIndexes;
    appliedVersion: number;
    levellings: number;
  }) {
    this.descriptor = parts.descriptor;
    this.index = parts.index;
    this.payloads = parts.payloads;
    this.#appliedVersion = parts.appliedVersion;
    this.levellings = parts.levellings;
  }

  get appliedVersion(): number {
    return this.#appliedVersion;
  }

  get trustedVersion(): number {
    const { underWay, floor } = this.#levellings;
    const levelled = underWay > 0 ? floor : Number.POSITIVE_INFINITY;
    return Math.min(this.#appliedVersion, this.#missingSince, levelled);
  }

  get levelling(): boolean {
    return this.#levellings.underWay > 0;
  }

  /** This moment, to ask `isSettled` about later. */
  mark(): Mark {
    return { version: this.trustedVersion, levellings: this.#levellings.begun };
  }

  /** Whether a row, read since the mark, has not changed since then. */
  isSettled(rowVersion: number, mark: Mark): boolean {
    const { begun, floor } = this.#levellings;
    if (rowVersion > mark.version) return false;
    return begun === mark.levellings || rowVersion <= floor;
  }

  /**
   * Rows are about to be written under versions of which `oldest` is the least, in any order. To be
   * called before they may be committed; what it returns, when they are applied or lost track of.
   */
  startLevelling(oldest: number): () => void {
    const levellings = this.#levellings;
    levellings.begun += 1;
    levellings.underWay += 1;
    levellings.floor = Math.min(levellings.floor, oldest - 1);
    return () => {
      levellings.underWay -= 1;
    };
  }

  /** Whether rows may have changes that memory lacks. */
  get behind(): boolean {
    return this.#missingSince !== Number.POSITIVE_INFINITY;
  }

  /** A write ended without saying whether it was committed, or could not be applied. */
  lostTrack(): void {
    this.#missingSince = Math.min(this.#missingSince, this.trustedVersion);
  }

  /**
   * Brings memory level with the rows of `version`: `replay` puts every row that is newer than
   * `since` and removes what has no row. No write may be under way.
   */
  async catchUp(
    { version, levellings }: { version: number; levellings: number },
    replay: (since: number) => Promise<void>,
  ): Promise<void> {
    await replay(this.trustedVersion);
    this.#appliedVersion = version;
    this.levellings = levellings;
    this.#missingSince = Number.POSITIVE_INFINITY;
    this.#applying = Promise.resolve();
  }

  /**
   * Takes over a committed write, in slices. Of a write in parts, memory has all that its version
   * means only with the last part; rows of the others count as newer until then. Outcomes come in the order of their versions and are
   * applied in it. Should applying fail, no later write is acknowledged until `catchUp`.
   */
  apply(op: WriteOp, outcome: WriteOutcome, slices: Slices): Promise<void> {
    this.#applying = this.#applying.then(async () => {
      // It changed nothing; what it repeats has been applied by now.
      if (outcome.repeated !== undefined) return;
      for (let from = 0; from < outcome.labels.length; from += LABELS_PER_STEP) {
        this.#applyStep(op, outcome, from);
        if (slices.due) await slices.rest();
      }
      this.changeCount += outcome.labels.length;
      if (outcome.levellings !== undefined) this.levellings = outcome.levellings;
      const isPart = 'part' in op && op.part !== undefined && op.part !== 'last';
      this.#reach(isPart ? outcome.version - 1 : outcome.version);
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
          this.#remove(label);
          break;
        case 'level':
          if (i >= op.ids.length) this.#remove(label);
          else {
            this.#putVector(label, op.vectors, i);
            this.#putPayload(label, op.payloads[i] ?? null);
          }
          break;
        case 'recount':
        case 'undo':
        case 'settle':
          break;
        default:
          unreachable(op);
      }
    }
  }

  /** Takes over a row as it is now, or that there is none; not while writes are under way. */
  reread(label: number, row: PointRow | undefined): void {
    if (row !== undefined) {
      this.#putVector(label, row.vector, 0);
      this.#putPayload(label, row.payload);
    } else if (this.index.has(label)) this.#remove(label);
  }

  #remove(label: number): void {
    this.removedCount += 1;
    this.index.remove(label);
    this.payloads.remove(label);
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
