/**
 * A JSON array of numbers read straight from its bytes into float32, for vectors: no text, no
 * double an element and no second pass. What it reads, it reads exactly as `JSON.parse` followed
 * by a store into a `Float32Array` would; anything it is not sure of it leaves to that.
 *
 *   "-0.03125" -> digits 3125 (as a double), places 5 -> 3125 / 10^5 -> float32
 *
 * Digits are gathered in a double, which is exact up to 2^53 and off by a few parts in 2^53 below
 * 10^19; dividing by an exact power of ten adds another. So the number that the text says lies
 * within one part in 2^48 of the quotient. When both ends of it round to one float32, so does the
 * number, and so does the double that is nearest to it. When they do not (or when there are more
 * digits, or an exponent), `Number` reads the text of the element.
 *
 * Decimals are read four bytes at a time, as one integer, in two thirds of the time of a loop over
 * digits. The last of them, three at most, are moved to the end of a word of zeros instead of being
 * looped over, and the sign is a factor. Both are chance, and a branch that a processor can not
 * predict costs as much as several digits.
 */
import { checkUtf8 } from './json.ts';
import { JsonScan, scanOn } from './json-scan.ts';
import { LIMITS } from './limits.ts';
import type { JsonObject, JsonValue } from './point.ts';

export interface FloatArray {
  values: Float32Array;
  /** The index after the closing bracket. */
  end: number;
}

/** Stands in the text for the array that was read. */
const PLACEHOLDER = '0';
/** Of the blanks around a key and its colon. */
const KEY_SPAN_BYTES_MAX = 64;

const BLANK_MAX = 0x20;
const COMMA = 0x2c;
const PLUS = 0x2b;
const MINUS = 0x2d;
const POINT = 0x2e;
const DIGIT_0 = 0x30;
const LIST_START = 0x5b;
const LIST_END = 0x5d;
const LETTER_E = 0x65;

/** Four bytes each. */
const ZEROS = 0x30303030;
const SIXES = 0x06060606;
const UPPER_HALVES = 0xf0f0f0f0 | 0;

const DIGITS_BELOW = 1e19;
const PLACES_MAX = 22;
/** All are exact. */
const POWERS = Float64Array.from({ length: PLACES_MAX + 1 }, (_, i) => 10 ** i);
const LOWER = 1 - 2 ** -48;
const UPPER = 1 + 2 ** -48;
/** Longer elements are left to the parser. */
const ELEMENT_BYTES_MAX = 64;

/**
 * An object whose member `key` is an array of numbers, which is read as float32; the rest is parsed
 * as `parseJsonBytes` does. Undefined when it is something else or needs a closer look: `key` is
 * not there, or twice, integers are long, or the text is not JSON. Throws `InvalidInput` when it is
 * over a bound.
 */
export function parseWithFloats(
  bytes: Buffer,
  key: string,
): Record<string, JsonValue | Float32Array> | undefined {
  const quoted = `"${key}"`;
  const keyAt = bytes.indexOf(quoted);
  if (keyAt < 0) return undefined;
  const scan = new JsonScan();
  scanOn(scan, bytes, { pauseAt: keyAt, floor: 0 });
  const { at: start } = scan;
  if (!isValueOf(quoted, bytes, scan)) return undefined;
  const floats = readFloats(bytes, start);
  // The name again may be the name of another member, which would win.
  if (floats === undefined || bytes.indexOf(quoted, floats.end) >= 0) return undefined;
  scan.at = floats.end;
  scan.depth -= 1;
  scanOn(scan, bytes, { pauseAt: bytes.length, floor: 0 });
  // Suspicious is also an escaped letter: with one the name could be spelt in another way.
  if (scan.suspicious || scan.longIntegers.length > 0) return undefined;
  checkUtf8(bytes);
  const before = bytes.toString('utf8', 0, start - 1);
  const rest = parsed(before + PLACEHOLDER + bytes.toString('utf8', floats.end));
  if (rest === undefined) return undefined;
  return Object.assign(rest, { [key]: floats.values });
}

/** Whether the bracket at which `scan` paused begins the value of that key of the outermost object. */
function isValueOf(quoted: string, bytes: Buffer, { at, depth, childAt }: JsonScan): boolean {
  if (depth !== 2 || bytes[at - 1] !== LIST_START) return false;
  const from = childAt[1] ?? 0;
  if (at - from > quoted.length + KEY_SPAN_BYTES_MAX) return false;
  const text = bytes.toString('latin1', from, at - 1).trim();
  return text.startsWith(quoted) && text.slice(quoted.length).trim() === ':';
}

/** Undefined when it is not JSON. Who reads it again says where. */
function parsed(text: string): JsonObject | undefined {
  try {
    return JSON.parse(text) as JsonObject;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Where elements are put before their number is known; only while `readFloats` runs. */
const scratch = new Float32Array(LIMITS.dimensionMax);

/**
 * Reads from `start`, the byte after the opening bracket. Undefined when it is not an array of one
 * to `LIMITS.dimensionMax` finite numbers. All of it is one loop over local variables: a function
 * or an object for each element takes twice as long.
 */
export function readFloats(bytes: Uint8Array, start: number): FloatArray | undefined {
  const { length } = bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  let at = start;
  for (let count = 0; count < scratch.length; count += 1) {
    if ((bytes[at] as number) <= BLANK_MAX) at = afterBlanks(bytes, at);
    const from = at;
    const first = bytes[at] as number;
    // 1 for the minus, and for what no number begins with.
    const minus = (first - POINT) >>> 31;
    if ((first ^ MINUS) * minus !== 0) return undefined;
    at += minus;
    const wholeAt = at;
    let digits = 0;
    for (; at < length; at += 1) {
      const digit = (bytes[at] as number) - DIGIT_0;
      if (digit >>> 0 >= 10) break;
      digits = digits * 10 + digit;
    }
    const whole = at - wholeAt;
    if (whole === 0 || (whole > 1 && bytes[wholeAt] === DIGIT_0)) return undefined;
    let places = 0;
    if (bytes[at] === POINT) {
      at += 1;
      const placesAt = at;
      let four = 0;
      let others = 0;
      for (; at + 4 <= length; at += 4) {
        four = view.getInt32(at, true) ^ ZEROS;
        others = othersIn(four);
        if (others !== 0) break;
        digits = digits * 10_000 + numberOf(four);
      }
      if (others === 0) {
        four = lastFour(view, at);
        others = othersIn(four);
      }
      const left = (32 - Math.clz32(~others & (others - 1))) >> 3;
      digits = digits * (POWERS[left] as number) + numberOf((four << (24 - 8 * left)) << 8);
      at += left;
      places = at - placesAt;
      if (places === 0) return undefined;
    }
    const hasExponent = ((bytes[at] as number) | 0x20) === LETTER_E;
    const size = digits / (POWERS[Math.min(places, PLACES_MAX)] as number);
    const float = Math.fround(size * LOWER);
    const isSure = float === Math.fround(size * UPPER) && digits < DIGITS_BELOW;
    if (isSure && places <= PLACES_MAX && !hasExponent) {
      scratch[count] = float * (1 - 2 * minus);
    } else {
      if (hasExponent) at = afterExponent(bytes, at);
      scratch[count] = numberIn(bytes, from, at);
      if (!Number.isFinite(scratch[count])) return undefined;
    }
    if ((bytes[at] as number) <= BLANK_MAX) at = afterBlanks(bytes, at);
    const next = bytes[at];
    at += 1;
    if (next === LIST_END) return { values: scratch.slice(0, count + 1), end: at };
    if (next !== COMMA) return undefined;
  }
  return undefined;
}

/** What `readFloats` makes of four bytes, where there are less; what is missing is no digit. */
function lastFour(view: DataView, at: number): number {
  let four = ZEROS;
  for (let i = 0; at + i < view.byteLength; i += 1) four ^= view.getUint8(at + i) << (8 * i);
  return four;
}

/** Zero when four bytes, 0x30 taken off, are digits; else its lowest bit is in the first other. */
function othersIn(four: number): number {
  return (four | (four + SIXES)) & UPPER_HALVES;
}

/** The number that four digits are, of which the first is the lowest byte. */
function numberOf(four: number): number {
  const pairs = (Math.imul(four, 10) + (four >>> 8)) & 0x00ff00ff;
  return (pairs & 0xff) * 100 + (pairs >>> 16);
}

/** The index after the exponent whose `e` is at `at`. */
function afterExponent(bytes: Uint8Array, at: number): number {
  const sign = bytes[at + 1];
  let index = at + (sign === PLUS || sign === MINUS ? 2 : 1);
  while (((bytes[index] ?? 0) - DIGIT_0) >>> 0 < 10) index += 1;
  return index;
}

/** NaN when it is none: an exponent may lack its digits. */
function numberIn(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > ELEMENT_BYTES_MAX) return Number.NaN;
  return Number(String.fromCharCode(...bytes.subarray(start, end)));
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function afterBlanks(bytes: Uint8Array, at: number): number {
  let index = at;
  while (isBlank(bytes[index])) index += 1;
  return index;
}
