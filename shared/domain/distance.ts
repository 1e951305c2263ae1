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

/**
 * Makes a vector ready for storage or search, in place: unit length under Cosine, unchanged
 * otherwise. Components must be finite. Throws `InvalidInput` for a zero vector under Cosine.
 */
export function prepareVector(distance: Distance, vector: Float32Array, path: string): void {
  if (distance !== 'Cosine') return;
  let sum = 0;
  for (let i = 0; i < vector.length; i += 1) {
    const x = vector[i] as number;
    sum += x * x;
  }
  if (sum === 0) {
    throw new InvalidInput(path, 'a zero vector has no direction; Cosine needs one that is not 0');
  }
  const scale = 1 / Math.sqrt(sum);
  if (Math.abs(scale - 1) < 1e-7) return;
  for (let i = 0; i < vector.length; i += 1) vector[i] = (vector[i] as number) * scale;
}
