/**
 * The one binary format of the link between coordinator and worker. A frame is one WebSocket
 * message: a header of 104 bytes, structure as MessagePack, vectors as raw float32. All numbers
 * are little-endian.
 *
 *   offset  bytes  field
 *        0      1  protocol version
 *        1      1  kind: 1 request, 2 reply, 3 error, 4 cancel
 *        2      2  message number (`messages.ts`); all others repeat that of the request
 *        4      4  epoch of the connection
 *        8      4  request id, unique among the requests under way in this epoch
 *       12      4  milliseconds left to the deadline; 0 but in requests
 *       16     16  shard: the bytes of its UUID; zeros but in requests
 *       32      4  S, bytes of structure
 *       36      4  V, bytes of vectors, a multiple of 4
 *       40      1  O, characters of the origin
 *       41     63  origin: the id of the HTTP request that this is a part of, in ASCII, and zeros; nothing but
 *                  zeros (O = 0) of work that is nobody's request, and in all but requests
 *      104      S  structure: one MessagePack map (see `body.ts`)
 *    104+S   0..3  zeros up to a multiple of 4
 *        .      V  vectors: float32
 *
 * Request id 0 belongs to no request. A worker that is about to stop sends an error frame with it
 * and the code `shutting_down`: the coordinator then sends nothing more on this connection and
 * hangs up when everything sent is answered.
 *
 * A cancel says that nobody waits for the answer to its request any more. A worker that has not begun
 * with it drops it and answers nothing; else the answer comes and meets nobody. It has no structure.
 *
 * A deadline travels as a duration because the two machines share no clock. The zeros keep the
 * vectors aligned, so that a receiver reads them where they lie, without a copy. An answer from
 * another epoch is dropped by the receiver: ids start again with each connection, and without the
 * epoch a late answer could meet a new request.
 */
import { endianness } from 'node:os';
import { assert } from '../base/assert.ts';
import { isRequestId, REQUEST_ID_CHARS_MAX, type ShardId } from '../base/ids.ts';
import { LIMITS } from '../domain/limits.ts';
import { ProtocolError } from './protocol-error.ts';
import { PROTOCOL_VERSION } from './version.ts';

assert(endianness() === 'LE', 'float32 sections are little-endian like the machine');

/** The format in one line, hashed with the schemas so that it cannot change under a version. */
export const FRAME_LAYOUT =
  'u8 version, u8 kind, u16 message, u32 epoch, u32 request, u32 deadline ms, u8[16] shard, ' +
  'u32 structure bytes, u32 vector bytes, u8 origin chars, u8[63] origin, structure, zeros to 4, ' +
  'f32[] vectors; little-endian';

export const FRAME_HEADER_BYTES = 104;
/** The request id of frames that answer no request. */
export const NO_REQUEST = 0;
export const FRAME_KINDS = { request: 1, reply: 2, error: 3, cancel: 4 } as const;
export type FrameKind = keyof typeof FRAME_KINDS;

export interface Frame {
  kind: FrameKind;
  /** Number of the message in `MESSAGES`. */
  message: number;
  epoch: number;
  requestId: number;
  deadlineMs: number;
  shardId: ShardId | undefined;
  /** Id of the HTTP request that it is a part of; '' of none. */
  origin: string;
  /** MessagePack; after `decodeFrame` a view of the received bytes. */
  structure: Uint8Array;
  /** After `decodeFrame` a view of the received bytes when they are aligned, else a copy. */
  vectors: Float32Array;
}

const U32_MAX = 2 ** 32 - 1;
const SHARD_OFFSET = 16;
const SHARD_BYTES = 16;
const ORIGIN_OFFSET = 40;
const EMPTY = new Float32Array(0);

/** Bytes that a frame with these sections takes. */
export function frameBytes(structureBytes: number, vectorBytes: number): number {
  return FRAME_HEADER_BYTES + alignTo4(structureBytes) + vectorBytes;
}

export function encodeFrame(frame: Frame): Buffer<ArrayBuffer> {
  const { structure, vectors } = frame;
  const vectorsAt = FRAME_HEADER_BYTES + alignTo4(structure.byteLength);
  const bytes = Buffer.allocUnsafe(vectorsAt + vectors.byteLength);
  bytes[0] = PROTOCOL_VERSION;
  bytes[1] = FRAME_KINDS[frame.kind];
  bytes.writeUInt16LE(frame.message, 2);
  bytes.fill(0, SHARD_OFFSET, SHARD_OFFSET + SHARD_BYTES);
  if (frame.shardId !== undefined) writeShard(bytes, frame.shardId);
  bytes.writeUInt32LE(structure.byteLength, 32);
  bytes.writeUInt32LE(vectors.byteLength, 36);
  bytes.set(structure, FRAME_HEADER_BYTES);
  writeOrigin(bytes, frame.origin);
  bytes.fill(0, FRAME_HEADER_BYTES + structure.byteLength, vectorsAt);
  bytes.set(new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength), vectorsAt);
  stampFrame(bytes, frame);
  return bytes;
}

/** Writes what is known only when the frame is sent: connection, request id and time left. */
export function stampFrame(
  bytes: Buffer,
  stamp: Pick<Frame, 'epoch' | 'requestId' | 'deadlineMs'>,
): void {
  bytes.writeUInt32LE(stamp.epoch, 4);
  bytes.writeUInt32LE(stamp.requestId, 8);
  bytes.writeUInt32LE(Math.min(U32_MAX, Math.ceil(stamp.deadlineMs)), 12);
}

/** Reads a frame from bytes that nobody vouches for. Throws `ProtocolError`, nothing else. */
export function decodeFrame(received: Uint8Array): Frame {
  if (received.byteLength > LIMITS.frameBytesMax) throw new ProtocolError('frame too large');
  if (received.byteLength < FRAME_HEADER_BYTES)
    throw new ProtocolError('frame shorter than header');
  const bytes = Buffer.from(received.buffer, received.byteOffset, received.byteLength);
  if (bytes[0] !== PROTOCOL_VERSION) throw new ProtocolError('unknown protocol version');
  const structureBytes = bytes.readUInt32LE(32);
  const vectorBytes = bytes.readUInt32LE(36);
  if (vectorBytes % 4 !== 0) throw new ProtocolError('vector section is not float32');
  // Both lengths are below 2^32, so the sum is exact.
  if (frameBytes(structureBytes, vectorBytes) !== bytes.byteLength) {
    throw new ProtocolError('section lengths do not add up to the frame');
  }
  const structureEnd = FRAME_HEADER_BYTES + structureBytes;
  return {
    kind: kindOf(bytes[1]),
    message: bytes.readUInt16LE(2),
    epoch: bytes.readUInt32LE(4),
    requestId: bytes.readUInt32LE(8),
    deadlineMs: bytes.readUInt32LE(12),
    shardId: readShard(bytes),
    origin: readOrigin(bytes),
    structure: bytes.subarray(FRAME_HEADER_BYTES, structureEnd),
    vectors: readVectors(bytes, alignTo4(structureEnd), vectorBytes),
  };
}

function alignTo4(count: number): number {
  return Math.ceil(count / 4) * 4;
}

function kindOf(value: number | undefined): FrameKind {
  if (value === FRAME_KINDS.request) return 'request';
  if (value === FRAME_KINDS.reply) return 'reply';
  if (value === FRAME_KINDS.error) return 'error';
  if (value === FRAME_KINDS.cancel) return 'cancel';
  throw new ProtocolError('unknown frame kind');
}

function readVectors(bytes: Buffer, at: number, vectorBytes: number): Float32Array {
  if (vectorBytes === 0) return EMPTY;
  const offset = bytes.byteOffset + at;
  if (offset % 4 === 0) return new Float32Array(bytes.buffer, offset, vectorBytes / 4);
  const copy = new Float32Array(vectorBytes / 4);
  new Uint8Array(copy.buffer).set(bytes.subarray(at, at + vectorBytes));
  return copy;
}

/** The value of each lower-case hexadecimal digit by its code; above 15 for what is none. */
const NIBBLES = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = '0123456789abcdef'.indexOf(String.fromCharCode(code));
  return value < 0 ? 0xff : value;
});
const UUID_CHARS = 36;
const DASHES_AT = [8, 13, 18, 23];

/** By hand: a pattern, a replacement and a hexadecimal write take five times as long. */
function writeShard(bytes: Buffer, shardId: ShardId): void {
  let at = SHARD_OFFSET;
  let seen = 0;
  for (let i = 0; i < UUID_CHARS; i += 2) {
    if (shardId[i] === '-' && DASHES_AT.includes(i)) i += 1;
    const high = NIBBLES[shardId.charCodeAt(i)] ?? 0xff;
    const low = NIBBLES[shardId.charCodeAt(i + 1)] ?? 0xff;
    seen |= high | low;
    bytes[at] = (high << 4) | low;
    at += 1;
  }
  const isUuid = seen <= 0x0f && at === SHARD_OFFSET + SHARD_BYTES;
  assert(isUuid && shardId.length === UUID_CHARS, 'a shard id is a lower-case UUID');
}

function readShard(bytes: Buffer): ShardId | undefined {
  let seen = 0;
  for (let i = 0; i < SHARD_BYTES; i += 1) seen |= bytes[SHARD_OFFSET + i] as number;
  if (seen === 0) return undefined;
  const hex = bytes.toString('hex', SHARD_OFFSET, SHARD_OFFSET + SHARD_BYTES);
  const head = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}`;
  return `${head}-${hex.slice(16, 20)}-${hex.slice(20)}` as ShardId;
}

/** Of what is a request id and of nothing else. */
function writeOrigin(bytes: Buffer, origin: string): void {
  bytes.fill(0, ORIGIN_OFFSET, FRAME_HEADER_BYTES);
  if (origin === '') return;
  assert(origin.length <= REQUEST_ID_CHARS_MAX, 'an origin fits its place');
  bytes[ORIGIN_OFFSET] = origin.length;
  bytes.write(origin, ORIGIN_OFFSET + 1, 'latin1');
}

function readOrigin(bytes: Buffer): string {
  const length = bytes[ORIGIN_OFFSET] ?? 0;
  if (length === 0) return '';
  const from = ORIGIN_OFFSET + 1;
  const origin = bytes.toString('latin1', from, from + length);
  if (length > REQUEST_ID_CHARS_MAX || !isRequestId(origin)) {
    throw new ProtocolError('the origin is no id of a request');
  }
  return origin;
}
