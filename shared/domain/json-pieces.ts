/**
 * Parses a large JSON text in pieces, so that its reader can let others go on in between: one
 * `JSON.parse` of the largest body would hold the event loop for a tenth of a second at best, and
 * for seconds when the text is made for it (millions of distinct keys).
 *
 * A container that is longer than a piece is split: its children are parsed a group at a time and
 * put together here. Inside another split container it is a child of its own.
 *
 *   {"points": [{"id": 1, ...}, {"id": 2, ...}, ..., {"id": 99, ...}], "wait": true}
 *    `--head--'  `------piece------'            `-----piece-----'      `--piece--'
 *
 * What stands in a piece is checked by `JSON.parse`; the commas, brackets and keys between pieces
 * are checked here. `after` of a frame says what came before the part that is not parsed yet:
 *
 *   bracket: nothing or children may follow     comma: children must follow
 *   child: only the closing bracket may follow
 */
import { must } from '../base/assert.ts';
import { InvalidInput } from '../base/invalid.ts';
import { checkUtf8, parseSpan, type Span } from './json.ts';
import { JsonScan, scanOn } from './json-scan.ts';
import type { JsonObject, JsonValue } from './point.ts';

const PIECE_BYTES = 64 * 1024;

const COMMA = 0x2c;
const LIST_START = 0x5b;
const LIST_END = 0x5d;
const OBJECT_END = 0x7d;

interface ListFrame {
  kind: 'list';
  value: JsonValue[];
}

interface ObjectFrame {
  kind: 'object';
  value: JsonObject;
}

/** A container that is split. */
type Frame = (ListFrame | ObjectFrame) & {
  /** Its key in the container around it, when that is an object. */
  key: string;
  /** All before this byte is parsed. */
  from: number;
  after: 'bracket' | 'comma' | 'child';
};

/**
 * Yields after each piece and returns the value. Throws `InvalidInput` as `parseJsonBytes` does,
 * but for the place of a syntax error, which it gives roughly.
 */
export function* parseJsonPieces(
  bytes: Uint8Array,
  pieceBytes = PIECE_BYTES,
): Generator<void, JsonValue> {
  checkUtf8(bytes);
  const pieces = new Pieces(bytes, pieceBytes);
  while (!pieces.step()) yield;
  return pieces.result;
}

class Pieces {
  readonly #bytes: Uint8Array;
  readonly #pieceBytes: number;
  readonly #scan = new JsonScan();
  /** The split containers from the outside in, below them a list that has the root as its child. */
  readonly #frames: Frame[] = [{ kind: 'list', value: [], key: '', from: 0, after: 'bracket' }];

  constructor(bytes: Uint8Array, pieceBytes: number) {
    this.#bytes = bytes;
    this.#pieceBytes = pieceBytes;
  }

  get #frame(): Frame {
    return must(this.#frames.at(-1), 'the frame of the root stays');
  }

  /** The number of the innermost split container, from the outermost at 1. */
  get #floor(): number {
    return this.#frames.length - 1;
  }

  get result(): JsonValue {
    const { value } = this.#frame;
    if (!Array.isArray(value) || value.length !== 1) throw this.#fault(this.#bytes.length);
    return value[0] as JsonValue;
  }

  /** Parses one piece; true when it was the last. */
  step(): boolean {
    const scan = this.#scan;
    const pauseAt = this.#frame.from + this.#pieceBytes;
    scanOn(scan, this.#bytes, { pauseAt, floor: this.#floor });
    if (scan.depth < this.#floor) this.#close();
    else if (scan.at >= this.#bytes.length) return this.#end();
    else this.#split();
    return false;
  }

  #end(): boolean {
    if (this.#floor > 0) throw this.#fault(this.#bytes.length);
    this.#take(this.#bytes.length);
    return true;
  }

  /** Parses the complete children, and goes into a child that is longer than a piece. */
  #split(): void {
    this.#takeComplete();
    const scan = this.#scan;
    while (scan.depth > this.#floor && scan.at - this.#frame.from > this.#pieceBytes) {
      this.#enter();
      this.#takeComplete();
    }
  }

  #takeComplete(): void {
    const frame = this.#frame;
    const childAt = this.#scan.childAt[this.#floor] ?? 0;
    if (childAt <= frame.from) return;
    if (this.#isBlank(frame.from, childAt - 1)) throw this.#fault(frame.from);
    this.#take(childAt - 1);
    frame.from = childAt;
    frame.after = 'comma';
  }

  /** Makes the open child of the innermost split container the next one. */
  #enter(): void {
    const { kind, from } = this.#frame;
    const start = must(this.#scan.opened[this.#floor + 1], 'a child is open');
    let key = '';
    if (kind === 'object') {
      // Behind anything but a key and its colon, the word makes no JSON.
      const head = this.#parse({ start: from, end: start - 1, open: '{', close: 'null}' });
      const keys = Object.keys(head as JsonObject);
      if (keys.length !== 1) throw this.#fault(from);
      key = keys[0] as string;
    } else if (!this.#isBlank(from, start - 1)) throw this.#fault(from);
    const rest = { key, from: start, after: 'bracket' } as const;
    if (this.#bytes[start - 1] === LIST_START) {
      this.#frames.push({ kind: 'list', value: [], ...rest });
    } else this.#frames.push({ kind: 'object', value: {}, ...rest });
  }

  /** The closing bracket of the innermost split container has been seen. */
  #close(): void {
    const at = this.#scan.at - 1;
    const frame = this.#frame;
    const bracket = frame.kind === 'list' ? LIST_END : OBJECT_END;
    if (this.#floor <= 0 || this.#bytes[at] !== bracket) throw this.#fault(at);
    this.#take(at);
    this.#frames.pop();
    const around = this.#frame;
    if (around.kind === 'list') around.value.push(frame.value);
    else around.value[frame.key] = frame.value;
    this.#passComma(around);
  }

  /** After a child that was split: a comma, or the end of the container around it. */
  #passComma(around: Frame): void {
    const scan = this.#scan;
    const at = this.#afterBlanks(scan.at);
    const next = this.#bytes[at];
    around.after = 'child';
    scan.at = at;
    around.from = at;
    if (this.#floor === 0 ? at === this.#bytes.length : isClosing(next)) return;
    if (this.#floor === 0 || next !== COMMA) throw this.#fault(at);
    around.after = 'comma';
    scan.at = at + 1;
    around.from = at + 1;
    scan.childAt[this.#floor] = at + 1;
  }

  /** Parses what the innermost frame has up to `end`, which may be nothing. */
  #take(end: number): void {
    const { kind, value, from, after } = this.#frame;
    if (this.#isBlank(from, end)) {
      if (after === 'comma') throw this.#fault(from);
      return;
    }
    if (kind === 'list') {
      const items = this.#parse({ start: from, end, open: '[', close: ']' });
      for (const item of items as JsonValue[]) value.push(item);
    } else Object.assign(value, this.#parse({ start: from, end, open: '{', close: '}' }));
  }

  #parse(span: Span): JsonValue {
    try {
      return parseSpan(this.#bytes, span, this.#scan);
    } catch (error) {
      if (error instanceof SyntaxError) throw this.#fault(span.start);
      throw error;
    }
  }

  #isBlank(start: number, end: number): boolean {
    return this.#afterBlanks(start) >= end;
  }

  #afterBlanks(start: number): number {
    let at = start;
    while (isBlankByte(this.#bytes[at])) at += 1;
    return at;
  }

  #fault(at: number): InvalidInput {
    const problem = `the JSON is not valid near byte ${at}, or within ${this.#pieceBytes} bytes from it`;
    return new InvalidInput('', problem);
  }
}

function isClosing(byte: number | undefined): boolean {
  return byte === LIST_END || byte === OBJECT_END;
}

function isBlankByte(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
