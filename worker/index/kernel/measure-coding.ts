/**
 * How the vectors of a shard are made ready for coding, measured on some of them: a byte a component
 * only tells neighbours apart when few components stand out, when vectors have little in common, and
 * when products of products are float32.
 */
import type { Distance } from '../../../shared/domain/distance.ts';
import type { Coding } from './layout.ts';

/** How much smaller the largest component has to get for a rotation, or a mean taken out, to pay. */
const FINER_FROM = 1.25;
/** Powers of two up to which vectors are coded as they are. */
const PLAIN_EXPONENT_MAX = 20;
/** The factor is a float32 itself. */
const FACTOR_EXPONENT_MAX = 126;

/** Changes `sample`. `rotatedPeak` tells the largest component of a vector after a rotation. */
export function measureCoding(
  sample: readonly Float32Array[],
  distance: Distance,
  rotatedPeak: (vector: Float32Array) => number,
): Omit<Coding, 'seed'> {
  const mean = meanWorthIt(sample);
  let plain = 0;
  let turned = 0;
  for (const vector of sample) {
    if (mean !== undefined) subtract(vector, mean);
    const length = Math.hypot(...vector);
    if (length === 0) continue;
    plain += peakOf(vector) / length;
    turned += rotatedPeak(vector) / length;
  }
  const factor = distance === 'Cosine' ? 1 : factorFor(sample);
  return { rotated: plain > FINER_FROM * turned, factor, mean };
}

/** The mean, if vectors without it have smaller components: all may lie far from the origin. */
function meanWorthIt(sample: readonly Float32Array[]): Float32Array | undefined {
  const mean = new Float32Array(sample[0]?.length ?? 0);
  for (let i = 0; i < mean.length; i += 1) {
    mean[i] = sample.reduce((sum, vector) => sum + (vector[i] as number), 0) / sample.length;
  }
  let plain = 0;
  let centred = 0;
  for (const vector of sample) {
    plain += peakOf(vector);
    centred += peakOf(subtract(vector.slice(), mean));
  }
  return plain > FINER_FROM * centred ? mean : undefined;
}

/** For vectors so small, or so large, that float32 could not hold products of their products. */
function factorFor(sample: readonly Float32Array[]): number {
  const peak = Math.max(0, ...sample.map(peakOf));
  const exponent = peak === 0 ? 0 : Math.round(Math.log2(peak));
  if (Math.abs(exponent) < PLAIN_EXPONENT_MAX) return 1;
  return 2 ** Math.min(FACTOR_EXPONENT_MAX, -exponent);
}

function subtract(vector: Float32Array, mean: Float32Array): Float32Array {
  for (let i = 0; i < mean.length; i += 1) {
    vector[i] = (vector[i] as number) - (mean[i] as number);
  }
  return vector;
}

function peakOf(vector: Float32Array): number {
  return vector.reduce((peak, x) => Math.max(peak, Math.abs(x)), 0);
}
