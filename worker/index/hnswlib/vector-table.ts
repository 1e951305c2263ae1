/**
 * The vectors of one shard, in memory which holds nothing else. A label is its row:
 *
 *   chunks   [ rows 0 .. n-1 ][ rows n .. 2n-1 ][ ... ]     n rows take about 4 MiB
 *   live     1 1 0 1 ...      one bit a row
 *
 * Chunks make growth cheap (nothing is copied, no view goes stale) except for the first, which
 * starts with few rows and doubles, so that a shard of ten points takes kilobytes. A chunk whose
 * last row goes is given back. A removed row is zeroed at once: deleted data does not linger.
 */
import { assert } from '../../../shared/base/assert.ts';
import { Bitmap } from '../../../shared/base/bitmap.ts';

const CHUNK_BYTES = 2 ** 22;
const FIRST_ROWS = 16;

export class VectorTable {
  readonly dimension: number;
  readonly live = new Bitmap();
  /** Rows of a full chunk: a power of two, and a multiple of 32 so that no word of the bitmap
   * spans two chunks. */
  readonly chunkRows: number;
  readonly #chunkShift: number;
  readonly #chunks: (Float32Array | undefined)[] = [];
  readonly #chunkLive: number[] = [];
  #count = 0;
  #rowsEnd = 0;

  constructor(dimension: number) {
    this.dimension = dimension;
    const rows = Math.max(32, CHUNK_BYTES / (4 * dimension));
    this.#chunkShift = 31 - Math.clz32(rows);
    this.chunkRows = 1 << this.#chunkShift;
  }

  get count(): number {
    return this.#count;
  }

  /** One more than the largest label that has had a row since the table was last empty. */
  get rowsEnd(): number {
    return this.#rowsEnd;
  }

  get memoryBytes(): number {
    const chunks = this.#chunks.reduce((sum, chunk) => sum + (chunk?.byteLength ?? 0), 0);
    return chunks + this.live.words.byteLength;
  }

  has(label: number): boolean {
    return this.live.has(label);
  }

  set(label: number, vector: Float32Array): void {
    assert(vector.length === this.dimension, 'a vector has the dimension of its table');
    const at = label >>> this.#chunkShift;
    this.#chunkWithRoom(at, label & (this.chunkRows - 1)).set(vector, this.offsetOf(label));
    if (this.live.has(label)) return;
    this.live.add(label);
    this.#chunkLive[at] = (this.#chunkLive[at] ?? 0) + 1;
    this.#count += 1;
    if (label >= this.#rowsEnd) this.#rowsEnd = label + 1;
  }

  delete(label: number): void {
    if (!this.live.has(label)) return;
    this.live.delete(label);
    this.#count -= 1;
    const at = label >>> this.#chunkShift;
    const left = (this.#chunkLive[at] ?? 0) - 1;
    this.#chunkLive[at] = left;
    if (left === 0) this.#chunks[at] = undefined;
    else this.row(label).fill(0);
    if (this.#count === 0) this.#rowsEnd = 0;
  }

  /** The chunk that holds `label`'s row, which the caller knows to exist. */
  chunkOf(label: number): Float32Array {
    return this.#chunks[label >>> this.#chunkShift] as Float32Array;
  }

  /** Where the row starts in its chunk, in floats. */
  offsetOf(label: number): number {
    return (label & (this.chunkRows - 1)) * this.dimension;
  }

  /** A view of the row of a live label. */
  row(label: number): Float32Array {
    const offset = this.offsetOf(label);
    return this.chunkOf(label).subarray(offset, offset + this.dimension);
  }

  /** All rows below `rowsEnd` as bytes, in order; rows that were never written are zero. */
  *pieces(rowsEnd: number): Iterable<Uint8Array> {
    for (let start = 0; start < rowsEnd; start += this.chunkRows) {
      const floats = Math.min(this.chunkRows, rowsEnd - start) * this.dimension;
      const chunk = this.#chunks[start >>> this.#chunkShift];
      const held = Math.min(floats, chunk?.length ?? 0);
      if (chunk !== undefined) yield new Uint8Array(chunk.buffer, chunk.byteOffset, held * 4);
      if (held < floats) yield new Uint8Array((floats - held) * 4);
    }
  }

  /** A table over rows read from `pieces`; takes the memory over. */
  static adopt(dimension: number, live: Bitmap, rows: Float32Array): VectorTable {
    const table = new VectorTable(dimension);
    const rowsEnd = rows.length / dimension;
    table.live.or(live);
    table.live.forEach((label) => {
      const at = label >>> table.#chunkShift;
      table.#chunkLive[at] = (table.#chunkLive[at] ?? 0) + 1;
      table.#count += 1;
    });
    table.#rowsEnd = table.#count === 0 ? 0 : rowsEnd;
    const chunkFloats = table.chunkRows * dimension;
    for (let start = 0, at = 0; start < rows.length; start += chunkFloats, at += 1) {
      if ((table.#chunkLive[at] ?? 0) === 0) continue;
      const part = rows.subarray(start, start + chunkFloats);
      table.#chunks[at] = part;
      if (part.length < chunkFloats && at > 0) {
        const full = new Float32Array(chunkFloats);
        full.set(part);
        table.#chunks[at] = full;
      }
    }
    return table;
  }

  #chunkWithRoom(at: number, row: number): Float32Array {
    const chunk = this.#chunks[at];
    if (chunk !== undefined && (row + 1) * this.dimension <= chunk.length) return chunk;
    let rows = this.chunkRows;
    if (at === 0) {
      const wanted = Math.max(FIRST_ROWS, row + 1, (2 * (chunk?.length ?? 0)) / this.dimension);
      rows = Math.min(this.chunkRows, wanted);
    }
    const next = new Float32Array(rows * this.dimension);
    if (chunk !== undefined) next.set(chunk);
    this.#chunks[at] = next;
    return next;
  }
}
