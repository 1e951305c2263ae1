/**
 * JSON text in the making, as bytes. Payloads arrive as JSON text already and are spliced in with a
 * copy: they are never decoded, parsed or escaped again on their way to the caller.
 *
 * The buffer doubles when it is full, up to a segment; a longer text is a list of segments, because
 * doubling on would copy all of a large reply at once.
 */
import { stringifyJson } from '../../shared/domain/json.ts';
import type { JsonValue, PointId } from '../../shared/domain/point.ts';
import {
  FLOAT_TEXT_BYTES_MAX,
  SHORT_FLOAT_TEXT_BYTES_MAX,
  writeFloat,
  writeShortFloat,
} from './float-text.ts';

const CAPACITY_START = 2_048;
const SEGMENT_BYTES = 2 ** 20;
const COMMA = 0x2c;
const DIGIT_0 = 0x30;
/** Up to here a loop over the characters is quicker than a call out of JavaScript. */
const SHORT_TEXT_CHARS = 32;
/** Below it a division by ten is one of 32-bit integers. */
const SHORT_INTEGER_END = 2 ** 31;

export class JsonWriter {
  readonly #full: Buffer[] = [];
  #buffer = Buffer.allocUnsafe(CAPACITY_START);
  #length = 0;

  /** Makes room for about so many bytes at once, where the buffer would else grow to it in steps. */
  expect(bytes: number): void {
    if (this.#length + bytes <= SEGMENT_BYTES) this.#grow(this.#length + bytes);
  }

  /** Appends text that has only ASCII characters: punctuation, numbers, UUIDs. */
  ascii(text: string): void {
    const { length } = text;
    this.#reserve(length);
    if (length > SHORT_TEXT_CHARS) this.#buffer.write(text, this.#length, 'latin1');
    else {
      const buffer = this.#buffer;
      const at = this.#length;
      for (let i = 0; i < length; i += 1) buffer[at + i] = text.charCodeAt(i);
    }
    this.#length += length;
  }

  /** Appends a whole number from 0 on. */
  integer(value: number): void {
    if (value >= SHORT_INTEGER_END) {
      this.ascii(String(value));
      return;
    }
    let digits = 1;
    for (let end = 10; value >= end; end *= 10) digits += 1;
    this.#reserve(digits);
    let rest = value | 0;
    for (let at = this.#length + digits - 1; at >= this.#length; at -= 1) {
      const tens = (rest / 10) | 0;
      this.#buffer[at] = DIGIT_0 + rest - 10 * tens;
      rest = tens;
    }
    this.#length += digits;
  }

  /** Appends the shortest decimal that names the float32; the double where that is infinite. */
  float(value: number): void {
    const single = Math.fround(value);
    if (!Number.isFinite(single)) {
      this.ascii(String(value));
      return;
    }
    this.#reserve(SHORT_FLOAT_TEXT_BYTES_MAX);
    this.#length = writeShortFloat(this.#buffer, this.#length, single);
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
    if (typeof id === 'number') this.integer(id);
    else this.ascii(typeof id === 'string' ? `"${id}"` : String(id));
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
      this.#grow(Math.min(SEGMENT_BYTES, 2 * wanted));
      return;
    }
    this.#full.push(this.#buffer.subarray(0, this.#length));
    this.#buffer = Buffer.allocUnsafe(Math.max(SEGMENT_BYTES, count));
    this.#length = 0;
  }
  #grow(capacity: number): void {
    if (capacity <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(capacity);
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
