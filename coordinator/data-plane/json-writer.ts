/**
 * JSON text in the making, as bytes. Payloads arrive as JSON text already and are spliced in with a
 * copy: they are never decoded, parsed or escaped again on their way to the caller.
 *
 * The buffer doubles when it is full, up to a segment; a longer text is a list of segments, because
 * doubling on would copy all of a large reply at once.
 */
import { stringifyJson } from '../../shared/domain/json.ts';
import type { JsonValue, PointId } from '../../shared/domain/point.ts';
import { FLOAT_TEXT_BYTES_MAX, writeFloat } from './float-text.ts';

const CAPACITY_START = 2_048;
const SEGMENT_BYTES = 2 ** 20;
const COMMA = 0x2c;

export class JsonWriter {
  readonly #full: Buffer[] = [];
  #buffer = Buffer.allocUnsafe(CAPACITY_START);
  #length = 0;

  /** Appends text that has only ASCII characters: punctuation, numbers, UUIDs. */
  ascii(text: string): void {
    this.#reserve(text.length);
    this.#length += this.#buffer.write(text, this.#length, 'latin1');
  }

  /** Appends bytes that are JSON text already. */
  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  value(value: JsonValue): void {
    this.bytes(Buffer.from(stringifyJson(value)));
  }

  pointId(id: PointId): void {
    this.ascii(typeof id === 'string' ? `"${id}"` : String(id));
  }

  /** Appends `[0.1,-2,...]`. */
  floats(vector: Float32Array): void {
    this.#reserve(vector.length * FLOAT_TEXT_BYTES_MAX + 2);
    const buffer = this.#buffer;
    let at = this.#length + buffer.write('[', this.#length, 'latin1');
    for (let i = 0; i < vector.length; i += 1) {
      if (i > 0) {
        buffer[at] = COMMA;
        at += 1;
      }
      at = writeFloat(buffer, at, vector[i] as number);
    }
    this.#length = at + buffer.write(']', at, 'latin1');
  }

  /** What was written, in order. The writer is not used after this. */
  finish(): Buffer[] {
    return [...this.#full, this.#buffer.subarray(0, this.#length)];
  }

  #reserve(count: number): void {
    const wanted = this.#length + count;
    if (wanted <= this.#buffer.length) return;
    if (wanted <= SEGMENT_BYTES) {
      const grown = Buffer.allocUnsafe(Math.min(SEGMENT_BYTES, 2 * wanted));
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
      return;
    }
    this.#full.push(this.#buffer.subarray(0, this.#length));
    this.#buffer = Buffer.allocUnsafe(Math.max(SEGMENT_BYTES, count));
    this.#length = 0;
  }
}
