/**
 * Points to store, in both forms of the dialect:
 *
 *   {"points": [{"id": 1, "vector": [...], "payload": {...}}, ...]}
 *   {"batch": {"ids": [...], "vectors": [[...], ...], "payloads": [{...}, ...]}}
 *
 * All of a batch is checked before any of it is sent, so it is stored whole or not at all. An id
 * that occurs twice keeps its last point, as if the points had been stored one after the other.
 * Vectors and payloads of a large batch are read in slices.
 */
import { must } from '../../shared/base/assert.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { Slices } from '../../shared/base/slices.ts';
import type { VectorConfig } from '../../shared/domain/collection.ts';
import { isJsonObject, stringifyJson } from '../../shared/domain/json.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import {
  type JsonObject,
  type PayloadBytes,
  type PointId,
  type PointVectors,
  parsePointId,
  UNNAMED_VECTOR,
} from '../../shared/domain/point.ts';
import { refuseUnknown, within } from './field-path.ts';
import { checkBatchSize } from './parse-selectors.ts';
import { readVector, unnamedOf } from './parse-vector.ts';

export interface ParsedPoints {
  ids: PointId[];
  /** By name one vector a point, in the order of `ids`, prepared. */
  vectors: PointVectors;
  payloads: (PayloadBytes | null)[];
}

export interface UpsertInput {
  points?: unknown;
  batch?: unknown;
}

/** What points are read for, and by whose leave. */
export interface PointsReading {
  config: VectorConfig;
  slices: Slices;
}

/** Throws `InvalidInput`. `path` is the place of the object that holds `points` or `batch`. */
export async function parseUpsert(
  input: UpsertInput,
  reading: PointsReading,
  path = '',
): Promise<ParsedPoints> {
  const listed = input.points !== undefined && input.points !== null;
  const batched = input.batch !== undefined && input.batch !== null;
  if (listed === batched) throw new InvalidInput(path, 'give either "points" or "batch"');
  return listed
    ? parseList(input.points, reading, within(path, 'points'))
    : parseBatch(input.batch, reading, within(path, 'batch'));
}

/** Points with vectors only: `[{"id": 1, "vector": [...]}, ...]`. */
export async function parsePointVectors(
  input: unknown,
  reading: PointsReading,
  path: string,
): Promise<{ ids: PointId[]; vectors: PointVectors }> {
  const { ids, vectors } = await parseItems(input, reading, path, ['id', 'vector']);
  return { ids, vectors };
}

function parseList(input: unknown, reading: PointsReading, path: string): Promise<ParsedPoints> {
  return parseItems(input, reading, path, ['id', 'vector', 'payload']);
}

async function parseItems(
  input: unknown,
  { config, slices }: PointsReading,
  path: string,
  fields: readonly string[],
): Promise<ParsedPoints> {
  if (!Array.isArray(input)) throw new InvalidInput(path, 'must be a list of points');
  checkBatchSize(input.length, path);
  const points = input.map((point, i) => checkedPoint(point, fields, `${path}[${i}]`));
  const slots = new Slots(points.map((point, i) => parsePointId(point.id, `${path}[${i}].id`)));
  const parsed = emptyPoints(slots.ids, config);
  for (let i = 0; i < points.length; i += 1) {
    if (slices.due) await slices.rest();
    const point = points[i] as JsonObject;
    const place = placeOf(parsed.vectors, slots.of(i), config);
    readVector(point.vector, config, place, `${path}[${i}].vector`);
    parsed.payloads[slots.of(i)] = encodePayload(point.payload, `${path}[${i}].payload`);
  }
  return parsed;
}

function checkedPoint(point: unknown, fields: readonly string[], path: string): JsonObject {
  if (!isJsonObject(point)) throw new InvalidInput(path, 'a point is a JSON object');
  refuseUnknown(point, fields, path);
  if (point.vector === undefined) throw new InvalidInput(path, 'the field "vector" is missing');
  return point;
}

async function parseBatch(
  input: unknown,
  { config, slices }: PointsReading,
  path: string,
): Promise<ParsedPoints> {
  if (!isJsonObject(input)) throw new InvalidInput(path, 'must be a JSON object');
  refuseUnknown(input, ['ids', 'vectors', 'payloads'], path);
  const ids = listOf(input.ids, `${path}.ids`);
  checkBatchSize(ids.length, `${path}.ids`);
  const vectors = listOf(
    isJsonObject(input.vectors) ? unnamedOf(input.vectors, `${path}.vectors`) : input.vectors,
    `${path}.vectors`,
  );
  const payloads =
    (input.payloads ?? null) === null ? [] : listOf(input.payloads, `${path}.payloads`);
  checkSameLength(ids.length, vectors.length, `${path}.vectors`);
  if (payloads.length > 0) checkSameLength(ids.length, payloads.length, `${path}.payloads`);

  const slots = new Slots(ids.map((id, i) => parsePointId(id, `${path}.ids[${i}]`)));
  const parsed = emptyPoints(slots.ids, config);
  for (let i = 0; i < ids.length; i += 1) {
    if (slices.due) await slices.rest();
    const place = placeOf(parsed.vectors, slots.of(i), config);
    readVector(vectors[i], config, place, `${path}.vectors[${i}]`);
    parsed.payloads[slots.of(i)] = encodePayload(payloads[i], `${path}.payloads[${i}]`);
  }
  return parsed;
}

/** Which place of the result each point of the request takes; an id that returns keeps its own. */
class Slots {
  readonly ids: PointId[] = [];
  readonly #slots: number[] = [];

  constructor(ids: readonly PointId[]) {
    const slotById = new Map<PointId, number>();
    for (const id of ids) {
      const slot = slotById.get(id) ?? this.ids.push(id) - 1;
      slotById.set(id, slot);
      this.#slots.push(slot);
    }
  }

  of(index: number): number {
    return this.#slots[index] as number;
  }
}

function emptyPoints(ids: PointId[], config: VectorConfig): ParsedPoints {
  return {
    ids,
    vectors: { [UNNAMED_VECTOR]: new Float32Array(ids.length * config.dimension) },
    payloads: new Array<PayloadBytes | null>(ids.length).fill(null),
  };
}

function placeOf(vectors: PointVectors, slot: number, config: VectorConfig): Float32Array {
  const unnamed = must(vectors[UNNAMED_VECTOR], 'a batch has the unnamed vector');
  return unnamed.subarray(slot * config.dimension, (slot + 1) * config.dimension);
}

/** A payload's bytes as they are stored; null for none. Throws `InvalidInput`. */
export function encodePayload(payload: unknown, path: string): PayloadBytes | null {
  if (payload === undefined || payload === null) return null;
  if (!isJsonObject(payload)) throw new InvalidInput(path, 'a payload is a JSON object');
  const bytes = Buffer.from(stringifyJson(payload));
  if (bytes.length > LIMITS.payloadBytesMax) {
    throw new InvalidInput(path, `a payload has at most ${LIMITS.payloadBytesMax} bytes of JSON`);
  }
  return bytes;
}

function listOf(value: unknown, path: string): unknown[] {
  if (!Array.isArray(value)) throw new InvalidInput(path, 'must be a list');
  return value;
}

function checkSameLength(ids: number, others: number, path: string): void {
  if (ids === others) return;
  throw new InvalidInput(path, `there are ${ids} ids but ${others} entries here`);
}
