/**
 * Vectors by name on their way through a frame: the body lists the names, the float section holds
 * for each name in turn the vectors of all points, one after the other. Today there is one name,
 * the unnamed vector's, and nothing is copied.
 */
import { assert, must } from '../base/assert.ts';
import type { PointVectors } from '../domain/point.ts';

export function joinVectors(vectors: PointVectors): { names: string[]; floats: Float32Array } {
  const names = Object.keys(vectors);
  const [first] = Object.values(vectors);
  assert(names.length === 1, 'one vector a point');
  return { names, floats: must(first, 'it is there') };
}

/** The inverse; every name has the same share of the section. */
export function splitVectors(names: readonly string[], floats: Float32Array): PointVectors {
  const share = names.length === 0 ? 0 : floats.length / names.length;
  assert(Number.isInteger(share), 'the float section holds the same for each name');
  return Object.fromEntries(
    names.map((name, i) => [name, floats.subarray(i * share, (i + 1) * share)]),
  );
}
