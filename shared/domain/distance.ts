/**
 * Distances with Qdrant's score conventions. For Cosine and Dot a higher score is nearer; for
 * Euclid and Manhattan the score is the distance itself, so a lower score is nearer. Cosine
 * vectors are normalised when they are stored; the stored (and returned) vector has unit length.
 */
import { InvalidInput } from '../base/invalid.ts';

export const DISTANCES = ['Cosine', 'Dot', 'Euclid', 'Manhattan'] as const;
export type Distance = (typeof DISTANCES)[number];

/** Whether a higher score is nearer. */
export function higherIsNearer(distance: Distance): boolean {
  return distance === 'Cosine' || distance === 'Dot';
}

/** Squared length up to which products and distances of two vectors are finite as float32. */
const LENGTH2_MAX = 2 ** 124;

/**
 * Makes a vector ready for storage or search, in place: unit length under Cosine, unchanged
 * otherwise. Components must be finite. Throws `InvalidInput` for a zero vector under Cosine, and
 * for one longer than 2^62 under the others.
 */
export function prepareVector(distance: Distance, vector: Float32Array, path: string): void {
  let sum = 0;
  for (let i = 0; i < vector.length; i += 1) {
    const x = vector[i] as number;
    sum += x * x;
  }
  if (distance !== 'Cosine') {
    if (sum <= LENGTH2_MAX) return;
    throw new InvalidInput(path, 'the vector is too long: its length may be 4.6e18 at most');
  }
  if (sum === 0) {
    throw new InvalidInput(path, 'a zero vector has no direction; Cosine needs one that is not 0');
  }
  const scale = 1 / Math.sqrt(sum);
  if (Math.abs(scale - 1) < 1e-7) return;
  for (let i = 0; i < vector.length; i += 1) vector[i] = (vector[i] as number) * scale;
}
