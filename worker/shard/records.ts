/**
 * Rows on their way out: the payload parts that were asked for, and the vectors, within the bound
 * of one reply.
 */
import { LIMITS } from '../../shared/domain/limits.ts';
import type { PayloadBytes } from '../../shared/domain/point.ts';
import { projectPayloadBytes } from '../../shared/domain/project-payload.ts';
import { replyTooLarge } from '../../shared/protocol/reply-bound.ts';
import type { PayloadSelector, Records } from '../../shared/protocol/schema.ts';
import type { PointRow } from '../points/points-reader.ts';
import type { Slices } from './slices.ts';

/** What a request wants to see of each point. */
export interface View {
  payload: PayloadSelector;
  withVector: boolean;
}

/** The columns that a view needs. */
export function columnsOf(view: View): { payload: boolean; vector: boolean } {
  return { payload: view.payload.kind !== 'none', vector: view.withVector };
}

/** Collects the rows of one reply, which may hold several lists. */
export class RecordsWriter {
  readonly #slices: Slices;
  readonly #vectors: Float32Array[] = [];
  #bytes = 0;

  constructor(slices: Slices) {
    this.#slices = slices;
  }

  /** One list of records; its vectors are appended to the reply's. Throws when over the bound. */
  async write(rows: readonly PointRow[], view: View): Promise<Records> {
    const records: Records = {
      ids: rows.map((row) => row.id),
      versions: rows.map((row) => row.version),
      vectors: view.withVector,
    };
    if (view.payload.kind !== 'none') records.payloads = await this.#project(rows, view.payload);
    if (view.withVector) {
      for (const row of rows) this.#vectors.push(row.vector);
      this.#add(rows.length * (rows[0]?.vector.byteLength ?? 0));
    }
    return records;
  }

  /** The vectors of all lists, one after the other. */
  vectors(): Float32Array {
    const length = this.#vectors.reduce((sum, vector) => sum + vector.length, 0);
    const all = new Float32Array(length);
    let at = 0;
    for (const vector of this.#vectors) {
      all.set(vector, at);
      at += vector.length;
    }
    return all;
  }

  async #project(
    rows: readonly PointRow[],
    selector: PayloadSelector,
  ): Promise<(PayloadBytes | null)[]> {
    const payloads: (PayloadBytes | null)[] = [];
    for (const row of rows) {
      const payload = projectPayloadBytes(row.payload, selector);
      this.#add(payload?.length ?? 0);
      payloads.push(payload);
      if (selector.kind !== 'all' && this.#slices.due) await this.#slices.rest();
    }
    return payloads;
  }

  #add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > LIMITS.replyBytesMax) throw replyTooLarge();
  }
}
