/**
 * What can be written to a shard, what comes of it, and the form in which both cross to the writer
 * thread and back.
 *
 * Packing. A structured clone of a view copies the whole buffer below it, and the payloads of one
 * request are views of one large frame. So everything large is copied once, densely, into buffers
 * of its own which are then moved, not cloned. The caller's arrays stay intact: it needs the
 * vectors again for the index.
 */
import { must } from '../../shared/base/assert.ts';
import type { PayloadBytes, PointId } from '../../shared/domain/point.ts';
import type { PayloadChange } from '../../shared/protocol/messages/payload-update.ts';
import type { Meter } from '../../shared/protocol/meter.ts';
import type { Once, OnceMark, OnceSpan } from '../../shared/protocol/once.ts';
import type { Room, Written } from '../../shared/protocol/schema.ts';

/** A change to the rows of a shard. */
export type Change =
  /** `vectors` holds one vector an id. The ids are distinct. */
  | {
      kind: 'upsert';
      ids: PointId[];
      vectors: Float32Array;
      payloads: (PayloadBytes | null)[];
      room?: Room | undefined;
    }
  | { kind: 'delete'; ids: PointId[] }
  | { kind: 'delete-labels'; labels: Uint32Array }
  /** All points must exist, else `point_not_found` and nothing changes. */
  | { kind: 'vectors'; ids: PointId[]; vectors: Float32Array }
  /** By ids, all must exist; by labels, those that are gone are passed over. */
  | {
      kind: 'payload';
      target: { ids: PointId[] } | { labels: Uint32Array };
      change: PayloadChange;
      room?: Room | undefined;
    };

/** Under which version a change is made. */
export interface Numbered {
  /** Above the shard's last, else `stale_write` and nothing changes. */
  version: number;
  /** Of a change that is several commits under one version; the later ones may find it taken. */
  part?: 'first' | 'middle' | 'last';
  /** Done before, it changes nothing; of several commits the last one says that it is done. */
  once?: Once | undefined;
  /** It may be undone; writes up to `stable` are not undone any more. */
  undoable?: { stable: number } | undefined;
  /** On whose account it is; nobody's when it is not said. */
  meter?: Meter | undefined;
  /** What is noted of writes up to this version is in the ledger. */
  metered?: number | undefined;
}

/**
 * Rows as another replica has them, under the versions that they have there; what was there is
 * replaced. Those come in any order, which is why images need to hear of it (see `schema.ts`).
 */
export interface Levelling {
  kind: 'level';
  ids: PointId[];
  versions: number[];
  payloads: (PayloadBytes | null)[];
  vectors: Float32Array;
  /** After the rows: these are deleted, and have tombstones whether they were there or not. */
  removedIds: PointId[];
  removedVersions: number[];
  /** The shard's last version is this at least. */
  lastVersion: number;
  /** Tombstones up to this version may be missing. */
  floor: number;
  /** What is known of writes that take effect once. */
  once?: OnceSpan | undefined;
  /** It ends a levelling: what is noted of writes so far is in the ledger, or of no replica in sync. */
  isLast: boolean;
  /** `levellings` of the image on disk, when there is one. */
  imageLevellings: number | undefined;
}

/** Counts anew what is counted, from all rows. */
export interface Recount {
  kind: 'recount';
}

/** Takes back all writes above a version; see `shard-undo`. */
export interface Undo {
  kind: 'undo';
  after: number;
  upTo: number;
  /** See `Levelling`: rows come back under the versions that they had. */
  imageLevellings: number | undefined;
}

/** Forgets how rows were before writes up to that version, some at a time. */
export interface Settle {
  kind: 'settle';
  upTo: number;
}

export type WriteOp = (Change & Numbered) | Levelling | Recount | Undo | Settle;

/** With what the shard held right after this op, before the next one of its group. */
export interface WriteOutcome extends Written {
  /** Of the changed points: for upsert and vectors one an id, in order; for deletes those freed; for
   * a levelling one an id, then those freed; for an undo all that were put back, in no order. */
  labels: Uint32Array;
  /** Of a levelling or an undo: how many levellings there have been. */
  levellings?: number;
  /** Of a payload change: the new payload of each label. */
  payloads?: (PayloadBytes | null)[];
}

/** Payloads end to end; a length of -1 stands for null. */
export interface PackedPayloads {
  bytes: Uint8Array<ArrayBuffer>;
  lengths: Int32Array<ArrayBuffer>;
}

type WithRows = Extract<WriteOp, { kind: 'upsert' | 'level' }>;
type PackedRows<Op> = Op extends WithRows
  ? Omit<Op, 'payloads'> & { payloads: PackedPayloads }
  : never;

export type PackedOp = PackedRows<WithRows> | Exclude<WriteOp, WithRows>;

export interface PackedOutcome extends Omit<WriteOutcome, 'payloads'> {
  payloads?: PackedPayloads;
}

export interface Packed<T> {
  value: T;
  /** Buffers to move with the message. */
  transfer: ArrayBuffer[];
  /** Size of what is large in it. */
  bytes: number;
}

export function packOp(given: WriteOp): Packed<PackedOp> {
  const op = withOwnDigests(given);
  switch (op.kind) {
    case 'upsert':
    case 'level': {
      const vectors = new Float32Array(op.vectors);
      const payloads = packPayloads(op.payloads);
      return packed({ ...op, vectors, payloads }, [vectors, payloads.bytes, payloads.lengths]);
    }
    case 'vectors': {
      const vectors = new Float32Array(op.vectors);
      return packed({ ...op, vectors }, [vectors]);
    }
    case 'delete':
    case 'recount':
    case 'undo':
    case 'settle':
      return packed(op, []);
    case 'delete-labels': {
      const labels = new Uint32Array(op.labels);
      return packed({ ...op, labels }, [labels]);
    }
    case 'payload':
      return packPayloadOp(op);
  }
}

/** Digests are views of their frame, and a clone of one would copy all of it. */
function withOwnDigests(op: WriteOp): WriteOp {
  if (!('once' in op) || op.once === undefined) return op;
  if (op.kind !== 'level') return { ...op, once: ownDigests(op.once) };
  const { after, until, rows } = op.once;
  const ownMark = ({ version, key }: OnceMark) => ({ version, key: copyOf(key) });
  const once = {
    after: ownMark(after),
    until: until && ownMark(until),
    rows: rows.map(ownDigests),
  };
  return { ...op, once };
}

function ownDigests<Of extends Once>(once: Of): Of {
  return { ...once, key: copyOf(once.key), request: copyOf(once.request) };
}

function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function packPayloadOp(op: Extract<WriteOp, { kind: 'payload' }>) {
  const { target, change } = op;
  const buffers: NodeJS.TypedArray<ArrayBuffer>[] = [];
  const copy = { ...op };
  if ('labels' in target) {
    const labels = new Uint32Array(target.labels);
    buffers.push(labels);
    copy.target = { labels };
  }
  if ('payload' in change) {
    const payload = new Uint8Array(change.payload);
    buffers.push(payload);
    copy.change = { ...change, payload };
  }
  return packed<PackedOp>(copy, buffers);
}

export function packOutcome(outcome: WriteOutcome): Packed<PackedOutcome> {
  const labels = new Uint32Array(outcome.labels);
  const { payloads, ...rest } = outcome;
  const value: PackedOutcome = { ...rest, labels };
  if (payloads === undefined) return packed(value, [labels]);
  value.payloads = packPayloads(payloads);
  return packed(value, [labels, value.payloads.bytes, value.payloads.lengths]);
}

export function unpackOp(op: PackedOp): WriteOp {
  return 'payloads' in op ? { ...op, payloads: unpackPayloads(op.payloads) } : op;
}

export function unpackOutcome({ payloads, ...outcome }: PackedOutcome): WriteOutcome {
  if (payloads === undefined) return outcome;
  return { ...outcome, payloads: unpackPayloads(payloads) };
}

/** Bytes that an op adds to the disk at most, roughly; 0 for what frees space. */
export function growthBytes(op: Change | WriteOp): number {
  switch (op.kind) {
    case 'upsert':
    case 'level': {
      const payloads = op.payloads.reduce((sum, payload) => sum + (payload?.length ?? 0), 0);
      return payloads + op.vectors.byteLength;
    }
    case 'vectors':
      return op.vectors.byteLength;
    case 'payload': {
      if (!('payload' in op.change)) return 0;
      const points = 'ids' in op.target ? op.target.ids.length : op.target.labels.length;
      return points * op.change.payload.length;
    }
    case 'delete':
    case 'delete-labels':
    case 'recount':
    case 'undo':
    case 'settle':
      return 0;
  }
}

function packed<T>(value: T, arrays: NodeJS.TypedArray<ArrayBuffer>[]): Packed<T> {
  const transfer = arrays.map((array) => array.buffer);
  return { value, transfer, bytes: transfer.reduce((sum, buffer) => sum + buffer.byteLength, 0) };
}

function packPayloads(payloads: readonly (PayloadBytes | null)[]): PackedPayloads {
  const lengths = Int32Array.from(payloads, (payload) => payload?.length ?? -1);
  let total = 0;
  for (const length of lengths) total += Math.max(0, length);
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const payload of payloads) {
    if (payload === null) continue;
    bytes.set(payload, at);
    at += payload.length;
  }
  return { bytes, lengths };
}

function unpackPayloads({ bytes, lengths }: PackedPayloads): (PayloadBytes | null)[] {
  const payloads: (PayloadBytes | null)[] = new Array(lengths.length);
  let at = 0;
  for (let i = 0; i < lengths.length; i += 1) {
    const length = must(lengths[i], 'one length a payload');
    payloads[i] = length < 0 ? null : Buffer.from(bytes.buffer, bytes.byteOffset + at, length);
    at += Math.max(0, length);
  }
  return payloads;
}
