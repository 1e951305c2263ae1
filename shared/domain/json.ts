/**
 * JSON as this service reads and writes it: exact, bounded, and never naming `__proto__`.
 *
 * Integers beyond 2^53 (ids are unsigned 64-bit) become bigints and are written back digit by
 * digit. A parse with long integers has to see the source text of numbers. `JSON.parse` offers it
 * to a reviver, but then calls it for every value, which costs ten times the parse. So the bytes
 * are scanned first (`json-scan.ts`), long integers are put in quotes behind a marker, and the walk
 * that checks the result makes them bigints:
 *
 *   12345678901234567      ->  "<DEL>12345678901234567"     a long integer
 *   "<DEL>any text"        ->  "<DEL>=<DEL>any text"        a string that begins with the marker
 *
 * so that no string of the caller can be taken for a number, whatever it says.
 */
import { isUtf8 } from 'node:buffer';
import { InvalidInput } from '../base/invalid.ts';
import { JsonScan, MARKER, scanOn } from './json-scan.ts';
import { locateSyntaxError } from './json-syntax.ts';
import type { JsonObject, JsonValue } from './point.ts';

/** Stands behind the marker in front of what was a string all along. */
const KEPT = 0x3d;
const QUOTE = 0x22;

/** Scans all of `bytes`. Throws `InvalidInput` when it is nested too deeply. */
export function scanJson(bytes: Uint8Array): JsonScan {
  const scan = new JsonScan();
  scanOn(scan, bytes, { pauseAt: bytes.length, floor: 0 });
  return scan;
}

/**
 * UTF-8 JSON text of untrusted origin. Throws `InvalidInput` for a syntax error (with its position,
 * never with the text), a number too large for a double, and `__proto__` as a key.
 */
export function parseJsonBytes(bytes: Uint8Array): JsonValue {
  const scan = scanJson(bytes);
  checkUtf8(bytes);
  try {
    return parseSpan(bytes, { start: 0, end: bytes.length, open: '', close: '' }, scan);
  } catch (error) {
    if (error instanceof SyntaxError) throw syntaxError(textOf(bytes, 0, bytes.length));
    throw error;
  }
}

export function checkUtf8(bytes: Uint8Array): void {
  if (!isUtf8(bytes)) throw new InvalidInput('', 'the text is not valid UTF-8');
}

/** A part of a text that is valid JSON between `open` and `close`. */
export interface Span {
  start: number;
  end: number;
  open: string;
  close: string;
}

/**
 * Parses a span that `scan` has seen, and takes its notes of it. Throws `SyntaxError` for what is
 * not JSON and `InvalidInput` for what is refused.
 */
export function parseSpan(bytes: Uint8Array, span: Span, scan: JsonScan): JsonValue {
  const { start, end, open, close } = span;
  const edits = takeEdits(scan, end);
  const text = edits === undefined ? textOf(bytes, start, end) : editedText(bytes, span, edits);
  const value = JSON.parse(open + text + close) as JsonValue;
  return edits !== undefined || scan.suspicious ? checked(value, edits !== undefined) : value;
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

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
}

function syntaxError(text: string): InvalidInput {
  const { position, problem } = locateSyntaxError(text);
  return new InvalidInput('', `the JSON is not valid at position ${position}: ${problem}`);
}

interface Edits {
  /** Start and end of each. */
  longIntegers: number[];
  /** Where strings that begin with the marker start. */
  marked: number[];
}

/** The scan's notes before `end`; undefined when there is no long integer. */
function takeEdits(scan: JsonScan, end: number): Edits | undefined {
  if (scan.longIntegers.length === 0 && scan.marked.length === 0) return undefined;
  const edits = {
    longIntegers: scan.longIntegers.filter((at) => at <= end),
    marked: scan.marked.filter((at) => at < end),
  };
  scan.longIntegers = scan.longIntegers.slice(edits.longIntegers.length);
  scan.marked = scan.marked.slice(edits.marked.length);
  return edits.longIntegers.length === 0 ? undefined : edits;
}

/** The text of the span with the marker put in; see the head of this file. */
function editedText(bytes: Uint8Array, { start, end }: Span, edits: Edits): string {
  const { longIntegers, marked } = edits;
  const extra = 1.5 * longIntegers.length + 2 * marked.length;
  const out = Buffer.allocUnsafe(end - start + extra);
  let length = 0;
  let copied = start;
  let next = 0;
  const copyTo = (at: number): void => {
    out.set(bytes.subarray(copied, at), length);
    length += at - copied;
    copied = at;
  };
  const keepBefore = (at: number): void => {
    for (; next < marked.length && (marked[next] as number) < at; next += 1) {
      copyTo(marked[next] as number);
      out[length] = MARKER;
      out[length + 1] = KEPT;
      length += 2;
    }
  };
  for (let i = 0; i < longIntegers.length; i += 2) {
    keepBefore(longIntegers[i] as number);
    copyTo(longIntegers[i] as number);
    out[length] = QUOTE;
    out[length + 1] = MARKER;
    length += 2;
    copyTo(longIntegers[i + 1] as number);
    out[length] = QUOTE;
    length += 1;
  }
  keepBefore(end);
  copyTo(end);
  return out.toString('utf8', 0, length);
}

/** Walks a parsed value; see `parseJsonBytes` for what is refused. `marked`: see `editedText`. */
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
    const keys = Object.keys(next);
    if (marked && keys.some(isMarked)) restoreKeys(next, keys);
    for (const key of Object.keys(next)) {
      if (key === '__proto__') throw new InvalidInput('', '"__proto__" is not allowed as a key');
      const value = next[key] as JsonValue;
      if (typeof value === 'object' && value !== null) rest.push(value);
      else next[key] = checkedScalar(value, marked);
    }
  }
  return holder.root as JsonValue;
}

function isMarked(text: string): boolean {
  return text.charCodeAt(0) === MARKER;
}

/** Gives keys that begin with the marker their own text again, in their old order. */
function restoreKeys(object: JsonObject, keys: readonly string[]): void {
  const values = keys.map((key) => object[key] as JsonValue);
  for (const key of keys) delete object[key];
  keys.forEach((key, i) => {
    object[isMarked(key) ? keptText(key) : key] = values[i] as JsonValue;
  });
}

/** Throws `InvalidInput` when it was a number: a key is a text. */
function keptText(text: string): string {
  if (text.charCodeAt(1) === KEPT) return text.slice(2);
  throw new InvalidInput('', 'the JSON is not valid: a key is a text in quotes, not a number');
}

function checkedScalar(value: JsonValue, marked: boolean): JsonValue {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new InvalidInput('', 'a number is too large for a 64-bit float');
  }
  if (!marked || typeof value !== 'string' || !isMarked(value)) return value;
  if (value.charCodeAt(1) === KEPT) return value.slice(2);
  const rounded = Number(value.slice(1));
  return Number.isSafeInteger(rounded) ? rounded : BigInt(value.slice(1));
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
