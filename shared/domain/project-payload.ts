/**
 * The part of a payload that a caller wants, by key paths.
 *
 *   include   keeps what lies under a path, and the objects and arrays on the way to it
 *   exclude   drops what lies under a path, and keeps everything else
 *
 * A path goes through an array only with `[]`: under `include a.b`, an array at `a` comes back
 * empty, and `a[].b` is the way to its elements. An index (`a[0]`) selects nothing, since what is
 * kept of an array would change its indexes. A scalar met before the end of a path is kept.
 */
import { parseJsonObject, stringifyJson } from './json.ts';
import { EACH, type PathStep, type PayloadPath } from './payload-path.ts';
import type { JsonObject, JsonValue, PayloadBytes } from './point.ts';

export type Projection =
  | { kind: 'all' }
  | { kind: 'none' }
  | { kind: 'include'; paths: PayloadPath[] }
  | { kind: 'exclude'; paths: PayloadPath[] };

/** The projected payload; null stays null. Only `include` and `exclude` parse the bytes. */
export function projectPayloadBytes(
  payload: PayloadBytes | null,
  projection: Projection,
): PayloadBytes | null {
  if (payload === null || projection.kind === 'none') return null;
  if (projection.kind === 'all') return payload;
  const part = projectPayload(parseJsonObject(payload), projection.kind, projection.paths);
  return Buffer.from(stringifyJson(part));
}

/** A new object that shares unchanged parts with `payload`. */
export function projectPayload(
  payload: JsonObject,
  kind: 'include' | 'exclude',
  paths: PayloadPath[],
): JsonObject {
  const part = kind === 'include' ? included(payload, paths, 0) : excluded(payload, paths, 0);
  return part as JsonObject;
}

/** `paths` are those whose first `depth` steps led to `value`. */
function included(value: JsonValue, paths: PayloadPath[], depth: number): JsonValue {
  if (paths.some((path) => path.length === depth)) return value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const next = pathsThrough(paths, depth, EACH);
    return next.length === 0 ? [] : value.map((element) => included(element, next, depth + 1));
  }
  const part: JsonObject = {};
  for (const key of Object.keys(value)) {
    const next = pathsThrough(paths, depth, key);
    if (next.length > 0) part[key] = included(value[key] as JsonValue, next, depth + 1);
  }
  return part;
}

function excluded(value: JsonValue, paths: PayloadPath[], depth: number): JsonValue {
  if (paths.length === 0 || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const next = pathsThrough(paths, depth, EACH);
    if (next.some((path) => path.length === depth + 1)) return [];
    return value.map((element) => excluded(element, next, depth + 1));
  }
  const part: JsonObject = {};
  for (const key of Object.keys(value)) {
    const next = pathsThrough(paths, depth, key);
    if (next.some((path) => path.length === depth + 1)) continue;
    part[key] = excluded(value[key] as JsonValue, next, depth + 1);
  }
  return part;
}

function pathsThrough(paths: PayloadPath[], depth: number, step: PathStep): PayloadPath[] {
  return paths.filter((path) => path[depth] === step);
}
