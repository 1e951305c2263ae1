/**
 * JSON text in the making, as bytes in one buffer that doubles when it is full. Payloads arrive as
 * JSON text already and are spliced in with a copy: they are never decoded, parsed or escaped
 * again on their way to the caller.
 */
import { stringifyJson } from '../../shared/domain/json.ts';
import type { JsonValue, PointId } from '../../shared/domain/point.ts';

const CAPACITY_START = 2_048;

export class JsonWriter {
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

  /** What was written. The writer is not used after this. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + count));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
