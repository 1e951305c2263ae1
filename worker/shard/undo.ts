/**
 * Writes that are taken back because too few replicas have them (`shard-undo`). Rows come back from the
 * images that were kept of them (`points/undo-log.ts`), under the versions that they had, so for memory
 * and image it is a levelling; memory reads anew what was put back.
 *
 * Images are dropped by later writes, which say what can not be undone any more. Those of the last
 * writes before a quiet time would stay, and with them what was deleted: `purge` sees to that. A write
 * is undone within seconds of its commit or never.
 */
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { Request } from '../../shared/protocol/messages.ts';
import type { Written } from '../../shared/protocol/schema.ts';
import type { WriteOp } from '../points/write-op.ts';
import type { ReaderOf } from './evaluate.ts';
import type { ShardImage } from './shard-image.ts';
import { Slices } from './slices.ts';
import type { ShardState } from './state.ts';
import type { WriteGate } from './write-gate.ts';

export interface UndoParts {
  state: ShardState;
  image: ShardImage;
  gate: WriteGate;
  reader: ReaderOf;
  clock: Clock;
  /** Commits and applies. */
  write: (op: WriteOp) => Promise<Written>;
}

const WHOLE = { payload: true, vector: true };
const LABELS_PER_STEP = 32;
/** Rows may come back under any version. */
const OLDEST = 1;

export class ShardUndo {
  readonly #parts: UndoParts;
  /** What was the last version at the purge before. */
  #purgeUpTo = 0;

  constructor(parts: UndoParts) {
    this.#parts = parts;
  }

  /** Throws `stale_write` and `conflict`, and then nothing is changed. */
  undo({ after, upTo }: Request<'shard-undo'>): Promise<Written> {
    const { gate, state, image, write } = this.#parts;
    return gate.exclusive(() => {
      const ended = state.startLevelling(OLDEST);
      const imageLevellings = image.levellings;
      return write({ kind: 'undo', after, upTo, imageLevellings }).finally(ended);
    });
  }

  /** Has memory take over the rows with these labels; called between commit and answer. */
  async reread(labels: Uint32Array): Promise<void> {
    const { state, reader, clock } = this.#parts;
    const slices = new Slices(clock);
    let at = 0;
    while (at < labels.length) {
      const wanted = labels.subarray(at, at + LABELS_PER_STEP);
      const rows = reader().byLabels(wanted, WHOLE);
      rows.forEach((row, i) => {
        state.reread(must(wanted[i], 'one entry a label'), row);
      });
      at += rows.length;
      if (slices.due) await slices.rest();
    }
  }

  /**
   * Drops the images that were there at the last purge: their writes were acknowledged long ago, or
   * nobody knows of them any more. True when images are left for the next purge.
   */
  async purge(): Promise<boolean> {
    const { reader, gate, write } = this.#parts;
    const upTo = this.#purgeUpTo;
    this.#purgeUpTo = reader().stats().version;
    const settle = () => write({ kind: 'settle', upTo });
    while (reader().keepsImages(upTo)) await gate.shared(settle);
    return reader().keepsImages(Number.MAX_SAFE_INTEGER);
  }
}
