/**
 * Whole rows on their way from one replica to another, as the coordinator hands them on: points with
 * the versions that they have, and ids that were deleted, each list with entries that belong together
 * by their place, and a span of the writes that take effect once (`once.ts`). The float section of the frame holds one vector a point, in the same order.
 *
 * The checksum is made where the rows are read and checked where they are written, so that nothing
 * on the way can change them unseen. It is SHA-256 over
 *
 *   points u32 | removed u32 | floats u32
 *   a point:    key (`pointIdToKey`; its first byte says how long it is) | version u64 |
 *               bytes of its payload u32, 2^32 - 1 for none
 *   removed:    key | version u64
 *   payloads, one after the other
 *   vectors:    float32, one after the other
 *   of writes that take effect once, if the page has a span of them:
 *               rows u32 | after | until (zeros for none), each version u64 | key
 *   a row:      key | request | version u64 | at u64
 *
 * all of it little-endian but for the keys.
 */
import { createHash } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { type PointId, pointIdToKey } from '../domain/point.ts';
import { ONCE_DIGEST_BYTES, type OnceMark, type OnceSpan, OnceSpanSchema } from './once.ts';
import { Bytes, closed, PayloadSchema, PointIdSchema, VersionSchema } from './schema.ts';

export const PageSchema = closed({
  ids: Type.Array(PointIdSchema),
  versions: Type.Array(VersionSchema),
  payloads: Type.Array(PayloadSchema),
  removedIds: Type.Array(PointIdSchema),
  removedVersions: Type.Array(VersionSchema),
  once: Type.Optional(OnceSpanSchema),
  checksum: Bytes,
});
export type Page = Static<typeof PageSchema>;

const COUNTS_BYTES = 12;
const KEY_BYTES_MAX = 17;
const POINT_BYTES_MAX = KEY_BYTES_MAX + 12;
const NO_PAYLOAD = 2 ** 32 - 1;
const COUNT_BYTES = 4;
const NUMBER_BYTES = 8;
const MARK_BYTES = NUMBER_BYTES + ONCE_DIGEST_BYTES;
const ONCE_ROW_BYTES = 2 * (NUMBER_BYTES + ONCE_DIGEST_BYTES);

/** The page with its checksum. */
export function sealPage(rows: Omit<Page, 'checksum'>, vectors: Float32Array): Page {
  return { ...rows, checksum: pageChecksum(rows, vectors) };
}

/** Whether lists and vectors belong together and are what was sealed. */
export function isWholePage(page: Page, vectors: Float32Array, dimension: number): boolean {
  const { ids, versions, payloads, removedIds, removedVersions, checksum } = page;
  const belong = ids.length === versions.length && ids.length === payloads.length;
  if (!belong || removedIds.length !== removedVersions.length) return false;
  if (vectors.length !== ids.length * dimension) return false;
  return pageChecksum(page, vectors).equals(checksum);
}

export function pageChecksum(page: Omit<Page, 'checksum'>, vectors: Float32Array): Buffer {
  const { ids, versions, payloads, removedIds, removedVersions } = page;
  const points = ids.length + removedIds.length;
  const head = Buffer.allocUnsafe(COUNTS_BYTES + points * POINT_BYTES_MAX);
  head.writeUInt32LE(ids.length, 0);
  head.writeUInt32LE(removedIds.length, 4);
  head.writeUInt32LE(vectors.length, 8);
  let at = COUNTS_BYTES;
  const put = (id: PointId, version: number | undefined) => {
    at += pointIdToKey(id).copy(head, at);
    at = head.writeBigUInt64LE(BigInt(version ?? 0), at);
  };
  ids.forEach((id, i) => {
    put(id, versions[i]);
    at = head.writeUInt32LE(payloads[i]?.length ?? NO_PAYLOAD, at);
  });
  removedIds.forEach((id, i) => {
    put(id, removedVersions[i]);
  });
  const hash = createHash('sha256').update(head.subarray(0, at));
  for (const payload of payloads) if (payload !== null) hash.update(payload);
  hash.update(new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength));
  if (page.once !== undefined) hash.update(bytesOfSpan(page.once));
  return hash.digest();
}

function bytesOfSpan({ after, until, rows }: OnceSpan): Buffer {
  const bytes = Buffer.alloc(COUNT_BYTES + 2 * MARK_BYTES + rows.length * ONCE_ROW_BYTES);
  let at = bytes.writeUInt32LE(rows.length, 0);
  const put = (digest: Uint8Array) => {
    bytes.set(digest, at);
    at += ONCE_DIGEST_BYTES;
  };
  const putNumber = (value: number) => {
    at = bytes.writeBigUInt64LE(BigInt(value), at);
  };
  const putMark = ({ version, key }: OnceMark) => {
    putNumber(version);
    put(key);
  };
  putMark(after);
  if (until === null) at += MARK_BYTES;
  else putMark(until);
  for (const row of rows) {
    put(row.key);
    put(row.request);
    putNumber(row.version);
    putNumber(row.at);
  }
  return bytes;
}
