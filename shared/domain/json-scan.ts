/**
 * One pass over the bytes of a JSON text before it is parsed. It checks nothing but depth and
 * number of containers, and notes what the parse has to know: where integers stand that a double can not hold, and whether
 * the text may hold what the parse has to look for and refuse.
 *
 * The pass can pause and go on, for texts that are parsed piece by piece (`json-pieces.ts`).
 */
import { InvalidInput } from '../base/invalid.ts';
import { LIMITS } from './limits.ts';

const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const DIGIT_0 = 0x30;
const BACKSLASH = 0x5c;
const UNDERSCORE = 0x5f;
const LETTER_E = 0x65;
const LETTER_U = 0x75;
/** Starts a string that stands for a long integer; see `json.ts`. U+007F is rare in real texts. */
export const MARKER = 0x7f;
/** The quotes and the characters of `__proto__`. */
const PROTO_BYTES = 11;

/** 2^53 has 16 digits. */
const LONG_DIGITS_MIN = 16;
/** The largest double has 309. */
const LONG_DIGITS_MAX = 308;
/** With fewer digits than that before and in the exponent, no number is too large for a double. */
const EXPONENT_DIGITS_MIN = 3;

export class JsonScan {
  /** The byte that comes next. */
  at = 0;
  /** Containers that are open. */
  depth = 0;
  deepest = 0;
  /** Containers in all. */
  containers = 0;
  /** Whether a number may be too large for a double, or a key may be `__proto__`. */
  suspicious = false;
  /** Start and end of each integer that may lie beyond 2^53, its sign included. */
  longIntegers: number[] = [];
  /** Where the text of a string starts that begins with the marker. */
  marked: number[] = [];
  /** For each open container the byte after its bracket, from the outermost at 1. */
  readonly opened: number[] = [0];
  /** For each open container the byte after its last comma (or its bracket). */
  readonly childAt: number[] = [0];
}

/**
 * Goes on to the end of `bytes`, or until one of these, whose byte is then the last one seen:
 * a comma or an opening bracket at `pauseAt` or later, a bracket that closes container number
 * `floor`. Throws `InvalidInput` as soon as the text is over a bound.
 */
export function scanOn(
  scan: JsonScan,
  bytes: Uint8Array,
  { pauseAt, floor }: { pauseAt: number; floor: number },
): void {
  const length = bytes.length;
  const { childAt, opened } = scan;
  let { at, depth } = scan;
  while (at < length) {
    const byte = bytes[at] as number;
    at += 1;
    if ((byte - DIGIT_0) >>> 0 < 10) at = afterInteger(scan, bytes, at - 1);
    else if (byte === COMMA) {
      childAt[depth] = at;
      if (at > pauseAt) break;
    } else if (byte === QUOTE) at = afterString(scan, bytes, at);
    else if (byte === POINT) at = afterDigits(bytes, at);
    else if ((byte | 0x20) === LETTER_E) at = afterExponent(scan, bytes, at);
    else if (byte === 0x5b || byte === 0x7b) {
      depth += 1;
      if (depth > scan.deepest) scan.deepest = depth;
      scan.containers += 1;
      if (depth > LIMITS.jsonDepthMax || scan.containers > LIMITS.jsonContainersMax) {
        throw overBound(depth);
      }
      opened[depth] = at;
      childAt[depth] = at;
      if (at > pauseAt) break;
    } else if (byte === 0x5d || byte === 0x7d) {
      depth -= 1;
      if (depth < floor) break;
    }
  }
  scan.at = at;
  scan.depth = depth;
}

function afterDigits(bytes: Uint8Array, at: number): number {
  const length = bytes.length;
  let index = at;
  while (index < length && ((bytes[index] as number) - DIGIT_0) >>> 0 < 10) index += 1;
  return index;
}

/** The index after the digits that begin at `start`; notes a long integer. */
function afterInteger(scan: JsonScan, bytes: Uint8Array, start: number): number {
  const end = afterDigits(bytes, start + 1);
  if (end - start < LONG_DIGITS_MIN) return end;
  const next = bytes[end] ?? 0;
  const fraction = next === POINT || (next | 0x20) === LETTER_E;
  if (fraction || bytes[start] === DIGIT_0 || end - start > LONG_DIGITS_MAX) {
    scan.suspicious = true;
  } else scan.longIntegers.push(bytes[start - 1] === MINUS ? start - 1 : start, end);
  return end;
}

/** The index after what follows an `e`; in the words `true` and `false` nothing does. */
function afterExponent(scan: JsonScan, bytes: Uint8Array, at: number): number {
  const sign = bytes[at] ?? 0;
  const start = sign === PLUS || sign === MINUS ? at + 1 : at;
  const end = afterDigits(bytes, start);
  if (sign !== MINUS && end - start >= EXPONENT_DIGITS_MIN) scan.suspicious = true;
  return end;
}

/** The index after the closing quote of a string whose text begins at `at`. */
function afterString(scan: JsonScan, bytes: Uint8Array, at: number): number {
  const length = bytes.length;
  let index = at;
  while (index < length) {
    const byte = bytes[index] as number;
    index += 1;
    if (byte === QUOTE) break;
    if (byte !== BACKSLASH) continue;
    // All of `__proto__` can be written as \u00.. and nothing else of it can be escaped.
    if (bytes[index] === LETTER_U && bytes[index + 1] === DIGIT_0) scan.suspicious = true;
    index += 1;
  }
  if (index - at === PROTO_BYTES - 1 && bytes[at] === UNDERSCORE) scan.suspicious = true;
  if (startsMarked(bytes, at)) scan.marked.push(at);
  return index;
}

/** Whether the text at `at` begins with the marker, itself or as `\u007f`. */
function startsMarked(bytes: Uint8Array, at: number): boolean {
  const first = bytes[at];
  if (first === MARKER) return true;
  if (first !== BACKSLASH || bytes[at + 1] !== LETTER_U) return false;
  const [a, b, c, d] = bytes.subarray(at + 2, at + 6);
  return a === DIGIT_0 && b === DIGIT_0 && c === 0x37 && ((d ?? 0) | 0x20) === 0x66;
}

function overBound(depth: number): InvalidInput {
  if (depth > LIMITS.jsonDepthMax) {
    return new InvalidInput('', `the JSON is nested deeper than ${LIMITS.jsonDepthMax} levels`);
  }
  const problem = `the JSON has more than ${LIMITS.jsonContainersMax} arrays and objects: send less`;
  return new InvalidInput('', problem);
}
