/**
 * A point: id, vectors by name, JSON payload. Ids are unsigned 64-bit integers or UUIDs and stay
 * exact: an integer is a `number` while that is exact and a `bigint` beyond (never both for the
 * same value, so ids are valid `Map` keys); a UUID is its canonical lower-case hyphenated text.
 */
import { InvalidInput } from '../base/invalid.ts';

declare const uuidBrand: unique symbol;
export type Uuid = string & { readonly [uuidBrand]: true };
export type PointId = number | bigint | Uuid;

/**
 * Vectors by name, of one point or of a batch: then each entry holds the vectors of all its points,
 * one after the other. The unnamed vector has the name `''`.
 */
export type PointVectors = Record<string, Float32Array>;
export const UNNAMED_VECTOR = '';

/** What JSON can say, with integers beyond 2^53 kept exact as bigints. */
export type JsonValue = null | boolean | number | bigint | string | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}

/** A payload at rest and in transit: UTF-8 JSON text of one object. */
export type PayloadBytes = Uint8Array;

export const POINT_ID_MAX = 2n ** 64n - 1n;
const UUID_PATTERN =
  /^(?:urn:uuid:)?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i;

/** Parses an id as it stands in JSON (number, bigint, or text). Throws `InvalidInput`. */
export function parsePointId(value: unknown, path: string): PointId {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) {
    return value === 0 ? 0 : value;
  }
  if (typeof value === 'bigint' && value >= 0n && value <= POINT_ID_MAX) {
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }
  if (typeof value === 'string') {
    const groups = UUID_PATTERN.exec(value);
    if (groups !== null) return groups.slice(1).join('-').toLowerCase() as Uuid;
  }
  throw new InvalidInput(path, 'a point id is an unsigned 64-bit integer or a UUID');
}

/** An id as it stands in the path of a URL: digits or a UUID. Throws `InvalidInput`. */
export function parsePointIdText(text: string, path: string): PointId {
  return parsePointId(/^[0-9]{1,20}$/.test(text) ? BigInt(text) : text, path);
}

const KEY_INTEGER = 0;
const KEY_UUID = 1;

/**
 * The id as bytes whose `memcmp` order is the order of ids: integers by value, then UUIDs.
 * 9 bytes (tag 0, big-endian u64) or 17 bytes (tag 1, the 16 bytes of the UUID).
 */
export function pointIdToKey(id: PointId): Buffer {
  if (typeof id === 'string') {
    const key = Buffer.allocUnsafe(17);
    key[0] = KEY_UUID;
    key.write(id.replaceAll('-', ''), 1, 'hex');
    return key;
  }
  const key = Buffer.allocUnsafe(9);
  key[0] = KEY_INTEGER;
  key.writeBigUInt64BE(BigInt(id), 1);
  return key;
}

/** The order of ids, as that of their keys; negative when `a` comes first. */
export function comparePointIds(a: PointId, b: PointId): number {
  const isText = typeof a === 'string';
  if (isText !== (typeof b === 'string')) return isText ? 1 : -1;
  // The canonical texts of two UUIDs differ in hexadecimal digits only, which sort by value.
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The inverse of `pointIdToKey`. */
export function pointIdFromKey(key: Uint8Array): PointId {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  if (bytes[0] === KEY_INTEGER) {
    const value = bytes.readBigUInt64BE(1);
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }
  const hex = bytes.toString('hex', 1);
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return [...groups, hex.slice(20)].join('-') as Uuid;
}
