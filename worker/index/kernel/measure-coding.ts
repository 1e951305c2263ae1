/**
 * How the vectors of a shard are made ready for coding, measured on some of them: a byte a component
 * only tells neighbours apart when few components stand out, when vectors have little in common, and
 * when products of products are float32.
 */
import type { Distance } from '../../../shared/domain/distance.ts';
import type { Coding } from './layout.ts';

/** How much smaller the largest component has to get for a rotation, or a centre taken out, to pay. */
const FINER_FROM = 1.25;
/** Vectors of the sample of which medians are taken, of each component. */
const MEDIAN_OF = 64;
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
  const centre = centreWorthIt(sample);
  let plain = 0;
  let turned = 0;
  for (const vector of sample) {
    if (centre !== undefined) subtract(vector, centre);
    const length = Math.hypot(...vector);
    if (length === 0) continue;
    plain += peakOf(vector) / length;
    turned += rotatedPeak(vector) / length;
  }
  const factor = distance === 'Cosine' ? 1 : factorFor(sample);
  return { rotated: plain > FINER_FROM * turned, factor, centre };
}

/** Whether another centre than the coding's, or none, would leave much smaller components. */
export function isCoarse(
  sample: readonly Float32Array[],
  { centre }: Pick<Coding, 'centre'>,
): boolean {
  const now = meanPeakOf(sample, centre);
  return now > FINER_FROM * meanPeakOf(sample, centreWorthIt(sample));
}

function meanPeakOf(sample: readonly Float32Array[], centre: Float32Array | undefined): number {
  const peaks = sample.map((vector) => {
    return peakOf(centre === undefined ? vector : subtract(vector.slice(), centre));
  });
  return peaks.reduce((sum, peak) => sum + peak, 0) / peaks.length;
}

/**
 * What most vectors have alike, if without it their components are smaller: the median of each
 * component, since a few vectors that lie elsewhere would draw a mean away from all others.
 */
function centreWorthIt(sample: readonly Float32Array[]): Float32Array | undefined {
  const step = Math.ceil(sample.length / MEDIAN_OF);
  const some = sample.filter((_, i) => i % step === 0);
  const column = new Float32Array(some.length);
  const centre = Float32Array.from({ length: sample[0]?.length ?? 0 }, (_, i) => {
    for (const [row, vector] of some.entries()) column[row] = vector[i] as number;
    return column.sort()[some.length >> 1] as number;
  });
  const isWorthIt = meanPeakOf(sample, undefined) > FINER_FROM * meanPeakOf(sample, centre);
  return isWorthIt ? centre : undefined;
}

/** For vectors so small, or so large, that float32 could not hold products of their products. */
function factorFor(sample: readonly Float32Array[]): number {
  const peak = Math.max(0, ...sample.map(peakOf));
  const exponent = peak === 0 ? 0 : Math.round(Math.log2(peak));
  if (Math.abs(exponent) < PLAIN_EXPONENT_MAX) return 1;
  return 2 ** Math.min(FACTOR_EXPONENT_MAX, -exponent);
}

function subtract(vector: Float32Array, centre: Float32Array): Float32Array {
  for (let i = 0; i < centre.length; i += 1) {
    vector[i] = (vector[i] as number) - (centre[i] as number);
  }
  return vector;
}

function peakOf(vector: Float32Array): number {
  return vector.reduce((peak, x) => Math.max(peak, Math.abs(x)), 0);
}
