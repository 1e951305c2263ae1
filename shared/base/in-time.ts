import type { Clock } from './clock.ts';

/** What `wait` comes to, if it comes to it in `timeoutMs`; else rejects with what `late` makes. */
export async function inTime<T>(
  clock: Clock,
  timeoutMs: number,
  wait: Promise<T>,
  late: () => unknown,
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const cancel = clock.after(timeoutMs, () => reject(late()));
  return Promise.race([wait, promise]).finally(cancel);
}
