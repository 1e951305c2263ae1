/**
 * Components of vectors as JSON numbers, written straight into the bytes of a reply. Nine
 * significant digits name each float32 exactly. They are found as one integer: a component times
 * the power of ten that makes it nine digits long. The product is off by one part in 2^53 and
 * rounding it by one in 10^9, while half the distance between float32 neighbours is at least one
 * in 2^25, so a reader finds the same float32. `toPrecision` does the same seven times slower,
 * which for the largest reply is seconds.
 */

/** Bytes that one component takes at most, with the comma: "-0.00000123456789,". */
export const FLOAT_TEXT_BYTES_MAX = 20;

/** And a short one: "-340282300000000000000". */
export const SHORT_FLOAT_TEXT_BYTES_MAX = 24;

const ZERO = 0x30;
const MINUS = 0x2d;
const POINT = 0x2e;
const DIGITS = 9;
const MANTISSA_END = 1e9;

/** Components from here on have at most five zeros after the point. */
const FAST_MIN = 1e-6;
const FAST_MAX = 1e9;
/** Below it two digits less than nine still end after the point. */
const SHORT_MAX = 1e6;
/** `POWERS[i]` is 10^i; all are exact. */
const POWERS = Array.from({ length: DIGITS + 7 }, (_, i) => 10 ** i);

/** "000", "001", ... "999", one after the other. */
const TRIPLES = Uint8Array.from({ length: 3_000 }, (_, i) => {
  const number = Math.trunc(i / 3);
  return ZERO + (Math.trunc(number / 10 ** (2 - (i % 3))) % 10);
});

/** Writes `x`, a finite float32, at `at`; returns the index after it. */
export function writeFloat(bytes: Uint8Array, at: number, x: number): number {
  let index = at;
  let size = x;
  if (x < 0) {
    bytes[index] = MINUS;
    index += 1;
    size = -x;
  }
  if (size >= FAST_MIN && size < FAST_MAX) {
    const places = decimalPlaces(size);
    // Below 2^31, so that the bit operation rounds down.
    const mantissa = (size * (POWERS[places] as number) + 0.5) | 0;
    if (mantissa < MANTISSA_END) return writeMantissa(bytes, index, mantissa, places);
  }
  return writeText(bytes, index, size === 0 ? '0' : size.toPrecision(DIGITS));
}

/** The same with the fewest digits from seven on that name the float32. */
export function writeShortFloat(bytes: Uint8Array, at: number, x: number): number {
  const size = Math.abs(x);
  if (size >= FAST_MIN && size < SHORT_MAX) {
    const places = decimalPlaces(size);
    for (let spared = 2; spared > 0; spared -= 1) {
      const power = POWERS[places - spared] as number;
      const mantissa = (size * power + 0.5) | 0;
      // A reader divides just so: both are exact.
      if (Math.fround(mantissa / power) !== size) continue;
      const nine = mantissa * (POWERS[spared] as number);
      if (nine >= MANTISSA_END) break;
      if (x < 0) bytes[at] = MINUS;
      return writeMantissa(bytes, x < 0 ? at + 1 : at, nine, places);
    }
    return writeFloat(bytes, at, x);
  }
  return writeText(bytes, at, shortText(x));
}

function shortText(x: number): string {
  for (let digits = DIGITS - 2; digits < DIGITS; digits += 1) {
    const short = Number(x.toPrecision(digits));
    if (Math.fround(short) === x) return String(short);
  }
  return String(Number(x.toPrecision(DIGITS)));
}

/** Digits after the point when there are nine significant ones; components are mostly below 1. */
function decimalPlaces(size: number): number {
  if (size < 1) {
    if (size >= 0.1) return 9;
    if (size >= 0.01) return 10;
    if (size >= 0.001) return 11;
    let places = 12;
    for (let scaled = size * 10_000; scaled < 1; scaled *= 10) places += 1;
    return places;
  }
  let places = DIGITS - 1;
  while (size >= (POWERS[DIGITS - places] as number)) places -= 1;
  return places;
}

/** Writes `mantissa` / 10^`places` without zeros at its end. */
function writeMantissa(bytes: Uint8Array, at: number, mantissa: number, places: number): number {
  let index = at;
  const whole = places < DIGITS ? DIGITS - places : 0;
  if (whole === 0) {
    bytes[index] = ZERO;
    bytes[index + 1] = POINT;
    index += 2;
    for (let i = DIGITS; i < places; i += 1, index += 1) bytes[index] = ZERO;
  }
  // With digits before the point, all are written one place late and those moved back.
  const first = whole === 0 ? index : index + 1;
  const thousands = (mantissa / 1_000) | 0;
  const millions = (thousands / 1_000) | 0;
  writeTriple(bytes, first, millions);
  writeTriple(bytes, first + 3, thousands - 1_000 * millions);
  writeTriple(bytes, first + 6, mantissa - 1_000 * thousands);
  if (whole > 0) {
    for (let i = 0; i < whole; i += 1) bytes[index + i] = bytes[first + i] as number;
    bytes[index + whole] = POINT;
  }
  let end = first + DIGITS;
  while (bytes[end - 1] === ZERO) end -= 1;
  return bytes[end - 1] === POINT ? end - 1 : end;
}

function writeTriple(bytes: Uint8Array, at: number, number: number): void {
  const from = 3 * number;
  bytes[at] = TRIPLES[from] as number;
  bytes[at + 1] = TRIPLES[from + 1] as number;
  bytes[at + 2] = TRIPLES[from + 2] as number;
}

function writeText(bytes: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i += 1) bytes[at + i] = text.charCodeAt(i);
  return at + text.length;
}
