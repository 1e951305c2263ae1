/**
 * Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998): hits that are near the query and
 * unlike each other. From the candidates, nearest first, the next pick is always the one with the
 * largest
 *
 *   (1 - diversity) * similarity(query, candidate) - diversity * max similarity(picked, candidate)
 *
 * The similarity is the collection's own score, negated where it is a distance. The reply keeps
 * the scores of the search. Costs `limit` x candidates similarities; both are bounded, and the work
 * is cut into slices.
 */
import type { Slices } from '../../shared/base/slices.ts';
import { type Distance, higherIsNearer } from '../../shared/domain/distance.ts';

export interface Candidates {
  /** Similarity to the query, as the search scored it. */
  scores: readonly number[];
  /** One vector a candidate, one after the other. */
  vectors: Float32Array;
  dimension: number;
  distance: Distance;
}

/** Indexes of the picked candidates, in the order of their picking; at most `limit`. */
export async function pickDiverse(
  candidates: Candidates,
  { limit, diversity }: { limit: number; diversity: number },
  slices: Slices,
): Promise<number[]> {
  const { scores, distance } = candidates;
  const sign = higherIsNearer(distance) ? 1 : -1;
  const rest = scores.map((_score, index) => index);
  /** Similarity of each candidate to the nearest one that is picked. */
  const nearest = scores.map(() => Number.NEGATIVE_INFINITY);
  const picked: number[] = [];
  while (picked.length < limit && rest.length > 0) {
    const at = bestOf(rest, (index) => {
      const relevance = (1 - diversity) * sign * (scores[index] as number);
      return picked.length === 0 ? relevance : relevance - diversity * (nearest[index] as number);
    });
    const [pick] = rest.splice(at, 1) as [number];
    picked.push(pick);
    if (slices.due) await slices.rest();
    for (const index of rest) {
      const similarity = sign * scoreOf(candidates, pick, index);
      if (similarity > (nearest[index] as number)) nearest[index] = similarity;
    }
  }
  return picked;
}

/** The place in `items` of the first one with the highest value. */
function bestOf(items: readonly number[], worthOf: (item: number) => number): number {
  let best = 0;
  let bestWorth = Number.NEGATIVE_INFINITY;
  items.forEach((item, place) => {
    const worth = worthOf(item);
    if (worth > bestWorth) {
      best = place;
      bestWorth = worth;
    }
  });
  return best;
}

/** The score of candidate `a` for candidate `b`. Cosine vectors have unit length. */
function scoreOf({ vectors, dimension, distance }: Candidates, a: number, b: number): number {
  let sum = 0;
  for (let i = 0; i < dimension; i += 1) {
    const x = vectors[a * dimension + i] as number;
    const y = vectors[b * dimension + i] as number;
    if (distance === 'Euclid') sum += (x - y) * (x - y);
    else if (distance === 'Manhattan') sum += Math.abs(x - y);
    else sum += x * y;
  }
  return distance === 'Euclid' ? Math.sqrt(sum) : sum;
}
