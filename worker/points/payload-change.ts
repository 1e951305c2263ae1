/**
 * Changes to payloads with Qdrant's meaning:
 *
 *   set          each given top-level key replaces the stored one; a null value removes the key.
 *                With `at`, this happens inside the object that the path leads to. What is not an
 *                object on the way becomes one (`a.b`); what is not an array where an element is
 *                meant becomes an empty array (`a[]`, `a[2]`), whose elements do not exist.
 *   overwrite    the given payload replaces the stored one
 *   delete-keys  removes what each path leads to: a key, an array's element, or (`a[]`) all of them
 *   clear        no payload
 */
import { assert } from '../../shared/base/assert.ts';
import {
  isJsonObject,
  parseJsonObject,
  scanJson,
  stringifyJson,
} from '../../shared/domain/json.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { EACH, type PathStep, type PayloadPath } from '../../shared/domain/payload-path.ts';
import type { JsonObject, JsonValue, PayloadBytes } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { PayloadChange } from '../../shared/protocol/messages/payload-update.ts';

export type ChangePayload = (stored: PayloadBytes | null) => PayloadBytes | null;

/**
 * The change as a function, so that its own payload is parsed once for many points. Throws
 * `InvalidInput` for JSON that is none; the function throws `AppError` when the result is over a
 * bound.
 */
export function compilePayloadChange(change: PayloadChange): ChangePayload {
  switch (change.kind) {
    case 'clear':
      return () => null;
    case 'overwrite':
      parseJsonObject(change.payload);
      return () => change.payload;
    case 'set': {
      const source = parseJsonObject(change.payload);
      const { at } = change;
      return (stored) => edited(stored, (root) => merge(root, at, source));
    }
    case 'delete-keys':
      return (stored) =>
        stored === null
          ? null
          : edited(stored, (root) => {
              for (const path of change.paths) remove(root, path, 0);
            });
  }
}

function edited(stored: PayloadBytes | null, edit: (root: JsonObject) => void): PayloadBytes {
  const root = stored === null ? {} : parseJsonObject(stored);
  edit(root);
  const bytes = Buffer.from(stringifyJson(root));
  if (bytes.length > LIMITS.payloadBytesMax) {
    throw new AppError(
      'invalid_argument',
      `the payload would be larger than ${LIMITS.payloadBytesMax} bytes`,
    );
  }
  // A long path can nest deeper than any one document that is accepted.
  scanJson(bytes);
  return bytes;
}

function merge(root: JsonObject, at: PayloadPath | undefined, source: JsonObject): void {
  if (at === undefined || at.length === 0) {
    mergeKeys(root, source);
    return;
  }
  const first = at[0];
  assert(typeof first === 'string', 'a payload path begins with a key');
  setAtKey(root, first, { path: at, next: 1 }, source);
}

interface Walk {
  path: PayloadPath;
  /** The step to take next. */
  next: number;
}

function setAtKey(parent: JsonObject, key: string, walk: Walk, source: JsonObject): void {
  put(parent, key, setInside(own(parent, key), walk, source));
}

/** `value` with `source` merged in where the rest of the path leads; the same object if it can. */
function setInside(value: JsonValue | undefined, walk: Walk, source: JsonObject): JsonValue {
  const step = walk.path[walk.next];
  const rest = { path: walk.path, next: walk.next + 1 };
  if (step === undefined || typeof step === 'string') {
    const object = isJsonObject(value) ? value : {};
    if (step === undefined) mergeKeys(object, source);
    else setAtKey(object, step, rest, source);
    return object;
  }
  const array = Array.isArray(value) ? value : [];
  for (const index of elements(array, step)) {
    array[index] = setInside(array[index], rest, source);
  }
  return array;
}

function mergeKeys(target: JsonObject, source: JsonObject): void {
  for (const [key, value] of Object.entries(source)) {
    if (value === null) delete target[key];
    else put(target, key, value);
  }
}

function remove(value: JsonValue | undefined, path: PayloadPath, at: number): void {
  const step = path[at];
  if (step === undefined || typeof value !== 'object' || value === null) return;
  const last = at === path.length - 1;
  if (Array.isArray(value)) {
    if (typeof step === 'string') return;
    if (last) value.splice(step === EACH ? 0 : step, step === EACH ? value.length : 1);
    else for (const index of elements(value, step)) remove(value[index], path, at + 1);
    return;
  }
  if (typeof step !== 'string') return;
  if (last) delete value[step];
  else remove(own(value, step), path, at + 1);
}

/** The indexes of `array` that a step names; empty for an element that is not there. */
function elements(array: JsonValue[], step: Exclude<PathStep, string>): Iterable<number> {
  if (step === EACH) return array.keys();
  return step < array.length ? [step] : [];
}

function own(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function put(object: JsonObject, key: string, value: JsonValue): void {
  assert(key !== '__proto__', 'the parser refused "__proto__"');
  object[key] = value;
}
