import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShardId } from '../base/ids.ts';
import { SeededRandom } from '../base/random.ts';
import { LIMITS } from '../domain/limits.ts';
import { decodeRequest, encodeBody, messageName } from './body.ts';
import { decodeFrame, encodeFrame, FRAME_HEADER_BYTES, type Frame, stampFrame } from './frame.ts';
import { ProtocolError } from './protocol-error.ts';
import { PROTOCOL_VERSION } from './version.ts';

const SHARD = '0b54a2f0-9c1d-4e3a-8f00-0123456789ab' as ShardId;

function frameOf(over: Partial<Frame> = {}): Frame {
  return {
    kind: 'request',
    message: 20,
    epoch: 0xfedcba98,
    requestId: 0x89abcdef,
    deadlineMs: 10_000,
    shardId: SHARD,
    origin: 'req_abcdefghijklmnop',
    structure: encodeBody({ searches: [] }),
    vectors: Float32Array.of(1, -2.5, 3e38),
    ...over,
  };
}

/** The same bytes at another place in memory, as a socket may deliver them. */
function shifted(bytes: Uint8Array, by: number): Uint8Array {
  const room = new Uint8Array(bytes.byteLength + by);
  room.set(bytes, by);
  return room.subarray(by);
}

test('a frame comes back as it was, wherever it lies in memory', () => {
  for (const structureBytes of [0, 1, 2, 3, 4, 5, 1000]) {
    for (const count of [0, 1, 256]) {
      const vectors = Float32Array.from({ length: count }, (_, i) => i / 3);
      const structure = new Uint8Array(structureBytes).fill(7);
      for (const kind of ['request', 'reply', 'error', 'cancel'] as const) {
        const frame = frameOf({ kind, structure, vectors });
        const bytes = encodeFrame(frame);
        assert.equal(bytes.byteLength % 4, 0);
        for (const by of [0, 1, 2, 3]) {
          const read = decodeFrame(shifted(bytes, by));
          assert.deepEqual({ ...read, structure: new Uint8Array(read.structure) }, frame);
        }
      }
    }
  }
});

test('aligned vectors are read where they lie', () => {
  const bytes = encodeFrame(frameOf());
  assert.equal(bytes.byteOffset % 4, 0);
  assert.equal(decodeFrame(bytes).vectors.buffer, bytes.buffer);
});

test('the layout is the one in the head of the file', () => {
  const bytes = encodeFrame(frameOf({ structure: Uint8Array.of(0x80) }));
  const text = bytes.toString('hex');
  assert.equal(text.slice(0, 8), '0a011400');
  assert.equal(text.slice(8, 32), '98badcfeefcdab8910270000');
  assert.equal(text.slice(32, 64), SHARD.replaceAll('-', ''));
  assert.equal(text.slice(64, 80), '010000000c000000');
  assert.equal(bytes[40], 20);
  assert.equal(bytes.toString('latin1', 41, 104), `req_abcdefghijklmnop${'\0'.repeat(43)}`);
  assert.equal(text.slice(208, 216), '80000000');
  assert.equal(bytes.readFloatLE(112), -2.5);
});

test('a stamp changes epoch, request and deadline only; long deadlines are cut', () => {
  const bytes = encodeFrame(frameOf());
  stampFrame(bytes, { epoch: 1, requestId: 2, deadlineMs: 2.2 });
  const frame = decodeFrame(bytes);
  assert.deepEqual([frame.epoch, frame.requestId, frame.deadlineMs], [1, 2, 3]);
  assert.deepEqual([frame.message, frame.shardId], [20, SHARD]);
  stampFrame(bytes, { epoch: 1, requestId: 2, deadlineMs: 1e300 });
  assert.equal(decodeFrame(bytes).deadlineMs, 2 ** 32 - 1);
});

test('an origin comes back up to its longest, and none is zeros', () => {
  for (const origin of [
    '',
    'a'.repeat(8),
    '7b0e8a3c-93a1-4c5e-8d0b-5f2f0a8d9c11',
    'z'.repeat(63),
  ]) {
    assert.equal(decodeFrame(encodeFrame(frameOf({ origin }))).origin, origin);
  }
});

test('no shard is zeros', () => {
  assert.equal(decodeFrame(encodeFrame(frameOf({ shardId: undefined }))).shardId, undefined);
});

test('malformed frames are protocol errors', () => {
  const good = encodeFrame(frameOf());
  const broken: [string, (bytes: Buffer) => Uint8Array][] = [
    ['empty', () => new Uint8Array(0)],
    ['header only half', (bytes) => bytes.subarray(0, FRAME_HEADER_BYTES - 1)],
    ['version', (bytes) => bytes.fill(PROTOCOL_VERSION + 1, 0, 1)],
    ['kind 0', (bytes) => bytes.fill(0, 1, 2)],
    ['kind 5', (bytes) => bytes.fill(5, 1, 2)],
    ['structure longer than the frame', (bytes) => bytes.fill(0xff, 32, 36)],
    ['vectors longer than the frame', (bytes) => bytes.fill(0xff, 36, 40)],
    ['both longest', (bytes) => bytes.fill(0xff, 32, 40)],
    ['vectors not of 4 bytes', (bytes) => bytes.fill(11, 36, 37)],
    ['origin longer than its place', (bytes) => bytes.fill(64, 40, 41)],
    ['origin with a quotation mark', (bytes) => bytes.fill('"', 45, 46)],
    ['origin too short', (bytes) => bytes.fill(3, 40, 41)],
    ['cut off', (bytes) => bytes.subarray(0, bytes.byteLength - 1)],
    ['too long', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])],
  ];
  for (const [name, damage] of broken) {
    assert.throws(() => decodeFrame(damage(Buffer.from(good))), ProtocolError, name);
  }
  assert.throws(() => decodeFrame(new Uint8Array(LIMITS.frameBytesMax + 1)), ProtocolError);
});

test('random and damaged bytes give a frame or a protocol error, nothing else', () => {
  const seed = (process.pid * 2_654_435_761) >>> 0;
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const good = encodeFrame(
    frameOf({ structure: encodeBody({ ids: [1, 2n ** 63n, 'x'], at: { deep: [null, 1.5] } }) }),
  );
  let accepted = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = round % 4 === 0 ? randomBytes(random) : damaged(good, random);
    try {
      const frame = decodeFrame(bytes);
      accepted += 1;
      decodeRequest(messageName(frame.message) ?? 'points-query', frame.structure);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
    }
  }
  assert(accepted > 0, 'some frames pass the header');
});

function randomBytes(random: SeededRandom): Uint8Array {
  const bytes = Uint8Array.from({ length: random.below(120) }, () => random.below(256));
  if (random.below(2) === 0)
    bytes.set([PROTOCOL_VERSION, 1 + random.below(3)].slice(0, bytes.length));
  return bytes;
}

function damaged(good: Buffer, random: SeededRandom): Uint8Array {
  const bytes = Buffer.from(good);
  for (let i = random.below(4); i >= 0; i -= 1) {
    bytes[random.below(bytes.byteLength)] = random.below(256);
  }
  const whole = random.below(3) !== 0;
  return whole ? bytes : bytes.subarray(0, random.below(bytes.byteLength));
}
