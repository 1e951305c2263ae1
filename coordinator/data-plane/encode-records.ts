/**
 * Points as the dialect's JSON. Payload bytes are spliced in as they are stored. A large reply is
 * written in slices.
 *
 * Numbers are float32: scores are printed as shortly as that allows (`0.1`), components of vectors
 * with at most nine digits (`float-text.ts`).
 */
import { must } from '../../shared/base/assert.ts';
import type { Slices } from '../../shared/base/slices.ts';
import type { PointId } from '../../shared/domain/point.ts';
import type { Records } from '../../shared/protocol/schema.ts';
import type { JsonWriter } from './json-writer.ts';

/** What a hit takes beside its payload; and a little for the envelope. */
const ITEM_BYTES = 128;
/** Items written between two looks at the clock. */
const ITEMS_PER_STEP = 8;

/** Records with the part of the reply's float section that belongs to them. */
export interface RecordList {
  records: Records;
  vectors: Float32Array;
}

/** Hits of one search. */
export interface ScoredList {
  list: RecordList;
  scores: number[];
}

/** Nothing is waited for when one slice was enough, as it nearly always is. */
export type Written = Promise<void> | void;

/** `[{"id":..,"payload":..,"vector":..}, ...]` */
export function writeRecords(out: JsonWriter, list: RecordList, slices: Slices): Written {
  const count = list.records.ids.length;
  out.expect(expectedBytes(list.records));
  return writeList(out, count, slices, (index) => writeRecord(out, list, index));
}

/** One record. */
export function writeRecord(out: JsonWriter, list: RecordList, index: number): void {
  out.ascii('{"id":');
  out.pointId(idAt(list.records, index));
  writeContents(out, list, index);
  out.ascii('}');
}

/** `[{"id":..,"version":..,"score":..,"payload":..,"vector":..}, ...]` */
export function writeScoredPoints(
  out: JsonWriter,
  { list, scores }: ScoredList,
  slices: Slices,
): Written {
  out.expect(expectedBytes(list.records));
  return writeList(out, list.records.ids.length, slices, (index) => {
    out.ascii('{"id":');
    out.pointId(idAt(list.records, index));
    out.ascii(',"version":');
    out.integer(must(list.records.versions[index], 'a record has a version'));
    out.ascii(',"score":');
    out.float(must(scores[index], 'a hit has a score'));
    writeContents(out, list, index);
    out.ascii('}');
  });
}

/** Without vectors, which make room for themselves. */
function expectedBytes({ ids, payloads }: Records): number {
  let bytes = ids.length * ITEM_BYTES;
  for (const payload of payloads ?? []) bytes += payload?.length ?? 0;
  return bytes;
}

function idAt(records: Records, index: number): PointId {
  return must(records.ids[index], 'a record has an id');
}

function writeList(
  out: JsonWriter,
  count: number,
  slices: Slices,
  writeItem: (index: number) => void,
): Written {
  const writeFrom = (from: number): Written => {
    for (let index = from; index < count; index += 1) {
      if (index % ITEMS_PER_STEP === 0 && slices.due) {
        return slices.rest().then(() => writeFrom(index));
      }
      if (index > 0) out.ascii(',');
      writeItem(index);
    }
    out.ascii(']');
  };
  out.ascii('[');
  return writeFrom(0);
}

/** A payload that was asked for is an object even when the point has none: clients index it. */
function writeContents(out: JsonWriter, list: RecordList, index: number): void {
  const { payloads, ids } = list.records;
  if (payloads !== undefined) {
    const payload = payloads[index] ?? null;
    out.ascii(',"payload":');
    if (payload === null) out.ascii('{}');
    else out.bytes(payload);
  }
  if (list.records.vectors) {
    const dimension = list.vectors.length / ids.length;
    out.ascii(',"vector":');
    out.floats(list.vectors.subarray(index * dimension, (index + 1) * dimension));
  }
}
