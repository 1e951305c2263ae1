/**
 * JSON as this service reads and writes it: exact, bounded, and never naming `__proto__`.
 *
 * Integers beyond 2^53 (ids are unsigned 64-bit) become bigints and are written back digit by
 * digit. `scanJson` runs over the bytes before any parse: it refuses deep nesting, which would
 * make later recursion overflow the stack, and says whether there is a long integer at all.
 *
 * A parse with long integers has to see the source text of numbers. `JSON.parse` offers it to a
 * reviver, but then calls it for every value, which makes a batch of vectors with 64-bit ids many
 * times slower. So long integers are first put in quotes behind a marker character and turned
 * into bigints in the walk that checks the result; only a text that itself uses the marker takes
 * the reviver.
 */
import { isUtf8 } from 'node:buffer';
import { InvalidInput } from '../base/invalid.ts';
import { locateSyntaxError } from './json-syntax.ts';
import { LIMITS } from './limits.ts';
import type { JsonObject, JsonValue } from './point.ts';

export interface JsonScan {
  /** Deepest nesting of arrays and objects; 0 for a bare value. */
  depth: number;
  /** Whether a number has an integer part that may lie beyond 2^53. */
  bigInteger: boolean;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const POINT = 0x2e;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
/** 2^53 has 16 digits. */
const BIG_DIGITS_MIN = 16;
/** U+007F stands raw in no sane document; see the head of this file. */
const MARKER = '\u007f';
const MARKER_CODE = 0x7f;

/**
 * One pass over the bytes; nothing is checked but the depth. Throws `InvalidInput` as soon as the
 * nesting is deeper than `LIMITS.jsonDepthMax`.
 */
export function scanJson(bytes: Uint8Array): JsonScan {
  const length = bytes.length;
  let deepest = 0;
  let depth = 0;
  let bigInteger = false;
  let at = 0;
  while (at < length) {
    const byte = bytes[at] as number;
    at += 1;
    if (byte >= DIGIT_0 && byte <= DIGIT_9) {
      const start = at - 1;
      at = afterDigits(bytes, at);
      if (at - start >= BIG_DIGITS_MIN) bigInteger = true;
    } else if (byte === POINT) {
      at = afterDigits(bytes, at);
    } else if (byte === QUOTE) {
      at = afterString(bytes, at);
    } else if (byte === 0x5b || byte === 0x7b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
      if (depth > LIMITS.jsonDepthMax) throw tooDeep();
    } else if (byte === 0x5d || byte === 0x7d) depth -= 1;
  }
  return { depth: deepest, bigInteger };
}

function afterDigits(bytes: Uint8Array, at: number): number {
  const length = bytes.length;
  let index = at;
  while (index < length && ((bytes[index] as number) - DIGIT_0) >>> 0 < 10) index += 1;
  return index;
}

/** The index after the closing quote of a string whose text begins at `at`. */
function afterString(bytes: Uint8Array, at: number): number {
  const length = bytes.length;
  let index = at;
  while (index < length) {
    const byte = bytes[index] as number;
    index += 1;
    if (byte === QUOTE) return index;
    if (byte === BACKSLASH) index += 1;
  }
  return index;
}

function tooDeep(): InvalidInput {
  return new InvalidInput('', `the JSON is nested deeper than ${LIMITS.jsonDepthMax} levels`);
}

/** UTF-8 JSON text of untrusted origin. Throws `InvalidInput`. */
export function parseJsonBytes(bytes: Uint8Array): JsonValue {
  const { bigInteger } = scanJson(bytes);
  if (!isUtf8(bytes)) throw new InvalidInput('', 'the text is not valid UTF-8');
  return parseJson(textOf(bytes), bigInteger);
}

/** The same, for what has to be an object (a payload). */
export function parseJsonObject(bytes: Uint8Array): JsonObject {
  const value = parseJsonBytes(bytes);
  if (!isJsonObject(value)) throw new InvalidInput('', 'a payload is a JSON object');
  return value;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/**
 * Parses text whose depth `scanJson` has checked. `exact` (its `bigInteger`) keeps integers beyond
 * 2^53 as bigints. Throws `InvalidInput` for a syntax error (with its position, never with the
 * text), a number too large for a double, and `__proto__` as a key.
 */
export function parseJson(text: string, exact: boolean): JsonValue {
  if (exact) return parseExact(text);
  const value = parseText(text);
  return isSuspicious(text) ? checked(value, false) : value;
}

/** Whether the text may hold what `checked` refuses; a cheap search that errs to true. */
function isSuspicious(text: string): boolean {
  return text.includes('__proto__') || text.includes('\\u00') || /[eE]\+?[0-9]{3}/.test(text);
}

function parseExact(text: string): JsonValue {
  if (text.includes(MARKER) || /\\u007f/i.test(text)) {
    return checked(parseText(text, reviveExact), false);
  }
  return checked(parseText(quoteBigIntegers(text), undefined, text), true);
}

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

const reviveExact: Reviver = (_key, value, { source }) => {
  if (typeof value !== 'number' || source === undefined || Number.isSafeInteger(value))
    return value;
  return /^-?[0-9]+$/.test(source) ? BigInt(source) : value;
};

/** `original` is the text whose positions an error message gives. */
function parseText(text: string, reviver?: Reviver, original = text): JsonValue {
  try {
    // TypeScript does not know the third argument of a reviver (ECMAScript 2026).
    return JSON.parse(text, reviver as (key: string, value: unknown) => unknown) as JsonValue;
  } catch (error) {
    if (error instanceof SyntaxError) throw syntaxError(original);
    throw error;
  }
}

function syntaxError(text: string): InvalidInput {
  const { position, problem } = locateSyntaxError(text);
  return new InvalidInput('', `the JSON is not valid at position ${position}: ${problem}`);
}

/** The text with every integer of 16 digits or more as a string: the marker, then the digits. */
function quoteBigIntegers(text: string): string {
  let quoted = '';
  let copied = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = afterTextString(text, at + 1);
    } else if (code === MINUS || code === 0x2b || (code >= DIGIT_0 && code <= DIGIT_9)) {
      const start = at;
      at = afterTextNumber(text, at + 1);
      if (at - start >= BIG_DIGITS_MIN && /^-?[1-9][0-9]*$/.test(text.slice(start, at))) {
        quoted += `${text.slice(copied, start)}"${MARKER}${text.slice(start, at)}"`;
        copied = at;
      }
    } else at += 1;
  }
  return quoted + text.slice(copied);
}

function afterTextString(text: string, at: number): number {
  let index = at;
  while (index < text.length) {
    const code = text.charCodeAt(index);
    if (code === QUOTE) return index + 1;
    index += code === BACKSLASH ? 2 : 1;
  }
  return index;
}

/** The index after a run of what numbers are made of: digits and `+ - . e E`. */
function afterTextNumber(text: string, at: number): number {
  let index = at;
  while (index < text.length) {
    const code = text.charCodeAt(index);
    const digit = code >= DIGIT_0 && code <= DIGIT_9;
    if (!digit && code !== 0x2e && code !== MINUS && code !== 0x2b && (code | 0x20) !== 0x65) break;
    index += 1;
  }
  return index;
}

/** Walks a parsed value; see `parseJson` for what is refused. `marked`: see `quoteBigIntegers`. */
function checked(root: JsonValue, marked: boolean): JsonValue {
  const holder: JsonObject = { root };
  const rest: (JsonObject | JsonValue[])[] = [holder];
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (Array.isArray(next)) {
      for (let i = 0; i < next.length; i += 1) {
        const value = next[i] as JsonValue;
        if (typeof value === 'object' && value !== null) rest.push(value);
        else next[i] = checkedScalar(value, marked);
      }
      continue;
    }
    for (const key of Object.keys(next)) {
      checkKey(key, marked);
      const value = next[key] as JsonValue;
      if (typeof value === 'object' && value !== null) rest.push(value);
      else next[key] = checkedScalar(value, marked);
    }
  }
  return holder.root as JsonValue;
}

function checkKey(key: string, marked: boolean): void {
  if (key === '__proto__') throw new InvalidInput('', '"__proto__" is not allowed as a key');
  if (marked && key.charCodeAt(0) === MARKER_CODE) {
    throw new InvalidInput('', 'the JSON is not valid: a key is a text in quotes, not a number');
  }
}

function checkedScalar(value: JsonValue, marked: boolean): JsonValue {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new InvalidInput('', 'a number is too large for a 64-bit float');
  }
  if (!marked || typeof value !== 'string' || value.charCodeAt(0) !== MARKER_CODE) return value;
  const exact = BigInt(value.slice(1));
  const rounded = Number(exact);
  return Number.isSafeInteger(rounded) ? rounded : exact;
}

const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** JSON text; bigints are written digit by digit. */
export function stringifyJson(value: JsonValue): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    // The plain form refuses bigints, which are rare; looking for them first would cost a walk.
    if (!(error instanceof TypeError)) throw error;
    return JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === 'bigint' ? rawJSON(inner.toString()) : inner,
    );
  }
}
