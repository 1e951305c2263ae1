/** The bound of one reply, which is the same whether one shard gives it or several do. */
import { LIMITS } from '../domain/limits.ts';
import { AppError } from '../errors/app-error.ts';

/** Of payloads and vectors over `LIMITS.replyBytesMax`. */
export function replyTooLarge(): AppError {
  const mib = LIMITS.replyBytesMax / 2 ** 20;
  return new AppError(
    'invalid_argument',
    `the reply would be larger than ${mib} MiB: ask for fewer points or for less of each`,
  );
}
