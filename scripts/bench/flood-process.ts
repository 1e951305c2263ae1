/**
 * A process that floods a service when its parent says so, over its channel, and tells what came
 * back. It is apart from the parent so that what it does is not in the latencies measured there.
 */
import { createApiKey } from '../../coordinator/auth/api-key.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { runOpenLoop } from './open-loop.ts';
import { isRateHeaderRight } from './rate-answers.ts';
import { getBytes, postBytes } from './raw-caller.ts';

export interface FloodOrder {
  url: string;
  path: string;
  /** Of a POST; without one the requests are GETs. */
  body?: string;
  /** The key of all requests; without one each request shows another key, that nobody has. */
  key?: string;
  perSecond: number;
  durationMs: number;
  connections: number;
}

export interface FloodReport {
  sent: number;
  seconds: number;
  latestMs: number;
  /** How often each status was the answer. */
  statuses: Record<number, number>;
  /** Answers whose `RateLimit` or `Retry-After` is absent or not as promised. */
  badHeaders: number;
}

const SEED = 20_261_128;

process.on('message', async (order: FloodOrder) => {
  process.send?.(await flood(order));
});
// The parent is gone, or has no more orders.
process.on('disconnect', () => process.exit());

async function flood(order: FloodOrder): Promise<FloodReport> {
  const report = { statuses: {} as Record<number, number>, badHeaders: 0 };
  const result = await runOpenLoop({
    ...order,
    request: requestsOf(order),
    answered({ status, head }) {
      report.statuses[status] = (report.statuses[status] ?? 0) + 1;
      if (!isRateHeaderRight(status, head)) report.badHeaders += 1;
    },
  });
  return { ...result, ...report };
}

function requestsOf({ url, path, body, key }: FloodOrder): () => Buffer {
  const bytesOf = (shown: string) => {
    const headers = { 'api-key': shown };
    return body === undefined ? getBytes(url, path, headers) : postBytes(url, path, headers, body);
  };
  if (key !== undefined) {
    const request = bytesOf(key);
    return () => request;
  }
  const random = new SeededRandom(SEED);
  const draw = (count: number) => Uint8Array.from({ length: count }, () => random.below(256));
  return () => bytesOf(createApiKey('live', draw));
}
