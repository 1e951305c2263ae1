import type { Random } from '../../shared/base/random.ts';

const DELAY_MS_MIN = 1_000;

/**
 * Milliseconds until the next try after so many that failed: drawn evenly from none to a bound that
 * doubles, so that those who failed together do not come back together ("full jitter", Brooker 2015).
 */
export function retryDelay(
  failed: number,
  { firstMs, maxMs }: { firstMs: number; maxMs: number },
  random: Pick<Random, 'next'>,
): number {
  const bound = Math.min(maxMs, firstMs * 2 ** Math.min(failed - 1, 32));
  return DELAY_MS_MIN + Math.floor(random.next() * bound);
}
