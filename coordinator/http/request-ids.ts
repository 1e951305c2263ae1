import { type RequestId, randomId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';

/** Digits of the count, of 32 each: so many ids have the same random part. */
const COUNT_CHARS = 5;
const COUNT_MAX = 32 ** COUNT_CHARS;
const DIGITS = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * Ids of requests: `req_` and 16 characters, of which the last five count and the others are random
 * (55 bits), drawn anew after 33 million. Drawing all of them would cost each request a microsecond.
 */
export function requestIds({ bytes }: Pick<SecureRandom, 'bytes'>): () => RequestId {
  let prefix = '';
  let count = COUNT_MAX;
  return () => {
    if (count === COUNT_MAX) {
      prefix = randomId<RequestId>('req_', bytes).slice(0, -COUNT_CHARS);
      count = 0;
    }
    let digits = '';
    for (let rest = count, i = 0; i < COUNT_CHARS; i += 1) {
      digits = DIGITS[rest & 31] + digits;
      rest >>>= 5;
    }
    count += 1;
    return `${prefix}${digits}` as RequestId;
  };
}
