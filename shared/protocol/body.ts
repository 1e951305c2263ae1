/**
 * The structure section of a frame: one MessagePack value, checked against the message's schema
 * after it is read. Integers beyond 2^53 are bigints on both ends; byte strings are `Uint8Array`
 * views of the frame.
 *
 * Before the library reads the bytes, one pass walks them: it follows lengths and depth, and
 * refuses every extension type. MessagePack extensions would let the other end choose what is
 * built here (regular expressions, errors, cyclic references, typed arrays of any size); nothing
 * in this protocol needs one. The walk costs some nanoseconds a value and makes the recursion and
 * the allocations of the library bounded by the bytes that were really sent.
 *
 * The library comes without its native part, which makes all strings of a body at once. It is worth
 * that for hundreds of UUIDs; the reply to a search has six names, and is read in two thirds of the
 * time without.
 */
import { Packr } from 'msgpackr/pack';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { InvalidInput } from '../base/invalid.ts';
import { LIMITS } from '../domain/limits.ts';
import { MESSAGES, type MessageName, type Reply, type Request } from './messages.ts';
import { ProtocolError } from './protocol-error.ts';

/**
 * A number comes back as a number and a bigint as a bigint: the library writes 64-bit integer
 * tokens for bigints only (larger numbers go as float64, exactly). Its `int64AsType: 'auto'` would
 * turn 2^53 into a number, and the same id would then have two forms.
 */
const packr = new Packr({ useRecords: false, mapsAsObjects: true });

/** Nesting of one body: a list of searches, each with the deepest filter. A nested group costs
 * at most four levels (condition, group, `minShould`, list), what is around and inside it less
 * than sixteen. */
const BODY_DEPTH_MAX = 4 * LIMITS.filterDepthMax + 16;

/** Throws `InvalidInput` for an integer beyond 64 bits, which has no place in MessagePack. */
export function encodeBody(body: object): Uint8Array {
  try {
    return packr.pack(body);
  } catch (error) {
    if (error instanceof RangeError) {
      throw new InvalidInput('', 'an integer of the request does not fit into 64 bits');
    }
    throw error;
  }
}

/** The body of a request. Throws `ProtocolError` for anything but what the schema says. */
export function decodeRequest<N extends MessageName>(name: N, structure: Uint8Array): Request<N> {
  return decode(MESSAGES[name].request, structure) as Request<N>;
}

/** The body of a reply. Throws `ProtocolError` for anything but what the schema says. */
export function decodeReply<N extends MessageName>(name: N, structure: Uint8Array): Reply<N> {
  return decode(MESSAGES[name].reply, structure) as Reply<N>;
}

const NAMES = new Map<number, MessageName>(
  Object.entries(MESSAGES).map(([name, message]) => [message.number, name as MessageName]),
);

/** The message with this number, if there is one. */
export function messageName(number: number): MessageName | undefined {
  return NAMES.get(number);
}

type Check = (value: unknown) => boolean;
const checks = new Map<TSchema, Check>();

/** Reads a value that `schema` describes. Compiled at first use: most tools need few messages. */
export function decode(schema: TSchema, structure: Uint8Array): unknown {
  let check = checks.get(schema);
  if (check === undefined) {
    const validator = Compile(schema);
    check = (value) => validator.Check(value);
    checks.set(schema, check);
  }
  const value = unpack(structure);
  if (!check(value)) throw new ProtocolError('the body does not match its schema');
  return value;
}

function unpack(structure: Uint8Array): unknown {
  const end = walkValue(structure, 0, 0);
  if (end !== structure.byteLength) throw new ProtocolError('bytes after the body');
  try {
    return packr.unpack(structure);
  } catch (error) {
    throw new ProtocolError('the body is not MessagePack', { cause: error });
  }
}

/** Bytes of the length or value that follows each token from 0xc0 to 0xdf; -1: refused. */
const OPERAND_BYTES: readonly number[] = [
  // nil, (never used), false, true, bin 8/16/32, ext 8/16/32
  0, -1, 0, 0, 1, 2, 4, -1, -1, -1,
  // float 32/64, uint 8/16/32/64, int 8/16/32/64
  4, 8, 1, 2, 4, 8, 1, 2, 4, 8,
  // fixext 1/2/4/8/16, str 8/16/32, array 16/32, map 16/32
  -1, -1, -1, -1, -1, 1, 2, 4, 2, 4, 2, 4,
];

/** Where the value that starts at `at` ends. Throws `ProtocolError` when it does not. */
function walkValue(bytes: Uint8Array, at: number, depth: number): number {
  if (depth > BODY_DEPTH_MAX) throw new ProtocolError('the body is nested too deeply');
  const token = bytes[at];
  if (token === undefined) throw new ProtocolError('the body is cut off');
  if (token < 0x80 || token >= 0xe0) return at + 1;
  if (token < 0x90) return walkMap(bytes, at + 1, token & 0x0f, depth);
  if (token < 0xa0) return walkArray(bytes, at + 1, token & 0x0f, depth);
  if (token < 0xc0) return within(bytes, at + 1 + (token & 0x1f));
  const operandBytes = OPERAND_BYTES[token - 0xc0] ?? -1;
  if (operandBytes < 0) throw new ProtocolError('MessagePack extensions are not part of the body');
  const next = within(bytes, at + 1 + operandBytes);
  if (token <= 0xc3 || (token >= 0xca && token <= 0xd3)) return next;
  const length = readLength(bytes, at + 1, operandBytes);
  if (token >= 0xde) return walkMap(bytes, next, length, depth);
  if (token >= 0xdc) return walkArray(bytes, next, length, depth);
  return within(bytes, next + length);
}

function walkArray(bytes: Uint8Array, start: number, length: number, depth: number): number {
  let at = start;
  // Each element takes a byte at least, so the loop ends with the bytes.
  for (let i = 0; i < length; i += 1) at = walkValue(bytes, at, depth + 1);
  return at;
}

function walkMap(bytes: Uint8Array, start: number, length: number, depth: number): number {
  let at = start;
  for (let i = 0; i < length; i += 1) {
    const token = bytes[at] ?? 0;
    const isString = (token >= 0xa0 && token < 0xc0) || (token >= 0xd9 && token <= 0xdb);
    if (!isString) throw new ProtocolError('the keys of a map are strings');
    at = walkValue(bytes, at, depth + 1);
    at = walkValue(bytes, at, depth + 1);
  }
  return at;
}

function within(bytes: Uint8Array, end: number): number {
  if (end > bytes.byteLength) throw new ProtocolError('the body is cut off');
  return end;
}

function readLength(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = 0; i < count; i += 1) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}
