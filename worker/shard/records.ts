/**
 * Rows on their way out: the payload parts that were asked for, and the vectors, within the bound
 * of one reply.
 */
import { LIMITS } from '../../shared/domain/limits.ts';
import type { PayloadBytes } from '../../shared/domain/point.ts';
import { projectPayloadBytes } from '../../shared/domain/project-payload.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { PayloadSelector, Records } from '../../shared/protocol/schema.ts';
import type { PointRow } from '../points/points-reader.ts';

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
  #bytes = 0;
  readonly #vectors: Float32Array[] = [];

  /** One list of records; its vectors are appended to the reply's. Throws when over the bound. */
  write(rows: PointRow[], view: View): Records {
    const records: Records = {
      ids: rows.map((row) => row.id),
      versions: rows.map((row) => row.version),
      vectors: view.withVector,
    };
    if (view.payload.kind !== 'none') {
      records.payloads = rows.map((row) =>
        this.#count(projectPayloadBytes(row.payload, view.payload)),
      );
    }
    if (view.withVector) {
      for (const row of rows) this.#vectors.push(row.vector);
      this.#add(rows.length * 4 * (rows[0]?.vector.length ?? 0));
    }
    return records;
  }

  /** The vectors of all lists, one after the other. */
  vectors(): Float32Array {
    const lengths = this.#vectors.reduce((sum, vector) => sum + vector.length, 0);
    const all = new Float32Array(lengths);
    let at = 0;
    for (const vector of this.#vectors) {
      all.set(vector, at);
      at += vector.length;
    }
    return all;
  }

  #count(payload: PayloadBytes | null): PayloadBytes | null {
    this.#add(payload?.length ?? 0);
    return payload;
  }

  #add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= LIMITS.replyBytesMax) return;
    const mib = LIMITS.replyBytesMax / 2 ** 20;
    throw new AppError(
      'invalid_argument',
      `the reply would be larger than ${mib} MiB: ask for fewer points or for less of each`,
    );
  }
}
