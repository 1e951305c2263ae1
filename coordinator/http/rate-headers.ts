/**
 * What a client is told of its rate limit, in each answer (draft-ietf-httpapi-ratelimit-headers-10):
 *
 *   RateLimit-Policy: "client";q=120;w=2       120 requests in 2 seconds
 *   RateLimit: "client";r=119;t=1              119 are left, all of them again in 1 second
 *
 * A key with a rate of its own has a second item in each, `"key"`; a request that was refused for
 * what it costs says so in another, `"work"`.
 */
import type { FastifyReply } from 'fastify';
import type { RateState } from '../limits/rate-limited.ts';

const MS_PER_SECOND = 1_000;

export function tellRates(reply: FastifyReply, states: readonly RateState[]): void {
  reply.header('ratelimit-policy', states.map(policyOf).join(', '));
  reply.header('ratelimit', states.map(stateOf).join(', '));
}

/** Adds one to those that were told. */
export function tellRefused(reply: FastifyReply, state: RateState): void {
  const items = [
    ['ratelimit-policy', policyOf(state)],
    ['ratelimit', stateOf(state)],
  ] as const;
  for (const [name, item] of items) {
    const told = reply.getHeader(name);
    if (told === undefined) reply.header(name, item);
    else if (!String(told).includes(item)) reply.header(name, `${told}, ${item}`);
  }
}

/** A quota and a window that allow what the rate does over time, and its burst if that is more. */
function policyOf({ of, rate: { perSecond, burst } }: RateState): string {
  const windowSeconds = Math.max(1, Math.ceil(burst / perSecond));
  const quota = Math.max(burst, perSecond * windowSeconds);
  return `"${of}";q=${quota};w=${windowSeconds}`;
}

function stateOf({ of, remaining, resetMs }: RateState): string {
  return `"${of}";r=${remaining};t=${Math.ceil(resetMs / MS_PER_SECOND)}`;
}

/** Whole seconds, 1 at least: sooner would be refused again. */
export function retryAfterSeconds(ms: number | undefined): string {
  return `${Math.max(1, Math.ceil((ms ?? 0) / MS_PER_SECOND))}`;
}
