/**
 * One write, and how much it can grow its shard at most: never less than it does, or the quota
 * would not hold, and no more than can be said without looking at the points that are there.
 */
import { createHash } from 'node:crypto';
import type { VectorConfig } from '../../shared/domain/collection.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { EACH, type PayloadPath } from '../../shared/domain/payload-path.ts';
import type { MessageName, Request } from '../../shared/protocol/messages.ts';
import type { Meter } from '../../shared/protocol/meter.ts';
import { ONCE_DIGEST_BYTES, type Once } from '../../shared/protocol/once.ts';
import type { Room } from '../../shared/protocol/schema.ts';

/** One checked change, ready to be sent but for its version. */
export type Write = WriteOf<
  'points-upsert' | 'points-delete' | 'vectors-update' | 'payload-update'
>;

type WriteOf<N extends MessageName> = N extends MessageName
  ? { name: N; body: Omit<Request<N>, 'version'>; vectors?: Float32Array; empty?: boolean }
  : never;

/** The same write, which takes effect once. */
export function withOnce(write: Write, once: Once): Write {
  return { ...write, body: { ...write.body, once } } as Write;
}

/** The same write on somebody's account. */
export function withMeter(write: Write, meter: Meter): Write {
  return { ...write, body: { ...write.body, meter } } as Write;
}

/** Each of several writes of one request takes effect once by itself. */
export function onceOfOperation(once: Once, index: number): Once {
  const hash = createHash('sha256').update(once.key).update(`operation ${index}`);
  return { ...once, key: hash.digest().subarray(0, ONCE_DIGEST_BYTES) };
}

/** Bytes that the write stores; `changed`: how many points its filter has found, if it has one. */
export function storedBytes(
  { name, body, vectors }: Write,
  changed: number,
): { payload: number; vector: number } {
  const stored = { payload: 0, vector: vectors?.byteLength ?? 0 };
  if (name === 'points-upsert') {
    for (const payload of body.payloads) stored.payload += payload?.length ?? 0;
  }
  if (name === 'payload-update' && 'payload' in body.change) {
    const points = body.points.kind === 'ids' ? body.points.ids.length : changed;
    stored.payload = points * body.change.payload.length;
  }
  return stored;
}

/** Quotes and commas aside, what a step of a path adds around what it leads to: `:{}` and `,`, or
 * `[]`. */
const STEP_BYTES = 4;

/** Whether the write can make its shard larger at all. */
export function mayGrow({ name, body }: Write): boolean {
  if (name === 'points-upsert') return true;
  return name === 'payload-update' && 'payload' in body.change;
}

/** `shardPoints`: how many a filter may match. */
export function growthMax(write: Write, config: VectorConfig, shardPoints: number): Room {
  const { name, body } = write;
  if (name === 'points-upsert') {
    const points = body.ids.length;
    let bytes = points * config.dimension * Float32Array.BYTES_PER_ELEMENT;
    for (const payload of body.payloads) bytes += payload === null ? 0 : payload.length;
    return { points, bytes };
  }
  if (name !== 'payload-update') return { points: 0, bytes: 0 };
  const points = body.points.kind === 'ids' ? body.points.ids.length : shardPoints;
  return { points: 0, bytes: points * payloadGrowth(body.change) };
}

/** Of the payload of one point. */
function payloadGrowth(change: Request<'payload-update'>['change']): number {
  if (!('payload' in change)) return 0;
  const { payload } = change;
  const at = change.kind === 'set' ? change.at : undefined;
  // Every element of an array gets it, and how many there are is not known here.
  if (at?.includes(EACH)) return LIMITS.payloadBytesMax;
  return Math.min(LIMITS.payloadBytesMax, payload.length + (at === undefined ? 0 : pathBytes(at)));
}

function pathBytes(path: PayloadPath): number {
  const bytes = path.map((step) => Buffer.byteLength(JSON.stringify(step)) + STEP_BYTES);
  return bytes.reduce((sum, one) => sum + one, 0);
}
