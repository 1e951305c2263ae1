/**
 * Vectors of requests: a JSON array of numbers, the base64 text of little-endian float32 (a third
 * of the size and no number to parse), or either under the unnamed vector's name: `{"": ...}`.
 * The vector of a query may be float32 already (`json-floats.ts`). All become it here, checked and
 * prepared for the collection's distance; nothing below looks at a component again.
 */
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { VectorConfig } from '../../shared/domain/collection.ts';
import { prepareVector } from '../../shared/domain/distance.ts';
import { UNNAMED_VECTOR } from '../../shared/domain/point.ts';

const FLOAT_BYTES = 4;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Reads `input` into `into`, which has the collection's dimension. Throws `InvalidInput`. */
export function readVector(
  input: unknown,
  config: VectorConfig,
  into: Float32Array,
  path: string,
): void {
  if (Array.isArray(input)) readArray(input, config, into, path);
  else if (input instanceof Float32Array) {
    checkDimension(input.length, config, path);
    into.set(input);
  } else if (typeof input === 'string') readBase64(input, config, into, path);
  else if (typeof input === 'object' && input !== null) {
    readVector(unnamedOf(input, path), config, into, path);
    return;
  } else throw notAVector(path);
  prepareVector(config.distance, into, path);
}

/** A fresh vector. */
export function parseVector(input: unknown, config: VectorConfig, path: string): Float32Array {
  const vector = new Float32Array(config.dimension);
  readVector(input, config, vector, path);
  return vector;
}

/** What stands under the name `""` of a record of vectors, which is the only name there may be. */
export function unnamedOf(input: object, path: string): unknown {
  for (const name of Object.keys(input)) {
    if (name === UNNAMED_VECTOR) continue;
    if (name === 'indices' || name === 'values') {
      throw new InvalidInput(path, 'sparse vectors are not available; send an array of numbers');
    }
    throw unknownVectorName(path, name);
  }
  const vector = (input as Record<string, unknown>)[UNNAMED_VECTOR];
  // A record inside a record would recurse as deep as the JSON goes.
  if (typeof vector !== 'object' || Array.isArray(vector)) return vector;
  throw notAVector(path);
}

export function unknownVectorName(path: string, name: string): InvalidInput {
  const shown = JSON.stringify(name.slice(0, 64));
  return new InvalidInput(
    path,
    `there is no vector named ${shown}: a point has one vector, which has no name`,
  );
}

function notAVector(path: string): InvalidInput {
  return new InvalidInput(path, 'a vector is an array of numbers, or base64 of float32 values');
}

function readArray(input: unknown[], config: VectorConfig, into: Float32Array, path: string): void {
  if (Array.isArray(input[0])) {
    throw new InvalidInput(path, 'multi-vectors are not available; send one array of numbers');
  }
  checkDimension(input.length, config, path);
  for (let i = 0; i < input.length; i += 1) {
    const component = input[i];
    if (typeof component === 'number') into[i] = component;
    else if (typeof component === 'bigint') into[i] = Number(component);
    else throw new InvalidInput(`${path}[${i}]`, 'a component of a vector is a number');
    // After the store: 1e39 is finite as JSON reads it and infinite as float32.
    if (!Number.isFinite(into[i])) throw notFinite(path, i);
  }
}

function readBase64(text: string, config: VectorConfig, into: Float32Array, path: string): void {
  const bytes = BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
  if (bytes === undefined || bytes.length % FLOAT_BYTES !== 0) {
    throw new InvalidInput(path, 'the text is not base64 of little-endian float32 values');
  }
  checkDimension(bytes.length / FLOAT_BYTES, config, path);
  for (let i = 0; i < into.length; i += 1) {
    into[i] = bytes.readFloatLE(i * FLOAT_BYTES);
    if (!Number.isFinite(into[i])) throw notFinite(path, i);
  }
}

function checkDimension(given: number, config: VectorConfig, path: string): void {
  if (given === config.dimension) return;
  throw new InvalidInput(
    path,
    `Vector dimension error: expected dim: ${config.dimension}, got ${given}`,
  );
}

function notFinite(path: string, index: number): InvalidInput {
  return new InvalidInput(
    `${path}[${index}]`,
    'a component must be a finite float32 (at most 3.4e38, not NaN or Infinity)',
  );
}
