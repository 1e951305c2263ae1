/**
 * Points as the dialect's JSON. Payload bytes are spliced in as they are stored.
 *
 * Numbers are float32 and nine significant digits name each float32 exactly. Scores are few and
 * printed as shortly as that allows (`0.1`). Components of vectors are many, and cutting their
 * trailing zeros would cost three times the rest, so they keep them (`0.0223102160`); a reader
 * gets the same number.
 */
import { must } from '../../shared/base/assert.ts';
import type { PointId } from '../../shared/domain/point.ts';
import type { Records } from '../../shared/protocol/schema.ts';
import type { JsonWriter } from './json-writer.ts';

/** Records with the part of the reply's float section that belongs to them. */
export interface RecordList {
  records: Records;
  vectors: Float32Array;
}

/** `[{"id":..,"payload":..,"vector":..}, ...]` */
export function writeRecords(out: JsonWriter, list: RecordList): void {
  writeList(out, list.records.ids.length, (index) => writeRecord(out, list, index));
}

/** One record. */
export function writeRecord(out: JsonWriter, list: RecordList, index: number): void {
  out.ascii('{"id":');
  out.pointId(idAt(list.records, index));
  writeContents(out, list, index);
  out.ascii('}');
}

/** `[{"id":..,"version":..,"score":..,"payload":..,"vector":..}, ...]` */
export function writeScoredPoints(out: JsonWriter, list: RecordList, scores: number[]): void {
  writeList(out, list.records.ids.length, (index) => {
    out.ascii('{"id":');
    out.pointId(idAt(list.records, index));
    out.ascii(`,"version":${list.records.versions[index]},"score":${scoreText(scores[index])}`);
    writeContents(out, list, index);
    out.ascii('}');
  });
}

function idAt(records: Records, index: number): PointId {
  return must(records.ids[index], 'a record has an id');
}

function writeList(out: JsonWriter, count: number, writeItem: (index: number) => void): void {
  out.ascii('[');
  for (let index = 0; index < count; index += 1) {
    if (index > 0) out.ascii(',');
    writeItem(index);
  }
  out.ascii(']');
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
    writeVector(out, list.vectors.subarray(index * dimension, (index + 1) * dimension));
  }
}

function writeVector(out: JsonWriter, vector: Float32Array): void {
  let text = '[';
  for (let i = 0; i < vector.length; i += 1) {
    const x = vector[i] as number;
    if (i > 0) text += ',';
    text += Number.isInteger(x) && Math.abs(x) < 1e9 ? String(x) : x.toPrecision(9);
  }
  out.ascii(`${text}]`);
}

/** The shortest decimal that names the float32; the double itself where that would overflow. */
function scoreText(score: number | undefined): string {
  const exact = must(score, 'a hit has a score');
  const single = Math.fround(exact);
  if (!Number.isFinite(single)) return String(exact);
  for (let digits = 7; digits < 9; digits += 1) {
    const short = Number(single.toPrecision(digits));
    if (Math.fround(short) === single) return String(short);
  }
  return String(Number(single.toPrecision(9)));
}
