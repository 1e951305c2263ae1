/**
 * What a client is told of its rate limit, in each answer (draft-ietf-httpapi-ratelimit-headers-10):
 *
 *   RateLimit-Policy: "client";q=120;w=2       120 requests in 2 seconds
 *   RateLimit: "client";r=119;t=1              119 are left, all of them again in 1 second
 */
import type { FastifyReply } from 'fastify';
import type { Rate, RateDecision } from '../limits/rate-limiter.ts';

const MS_PER_SECOND = 1_000;

export function tellRate(reply: FastifyReply, { perSecond, burst }: Rate, now: RateDecision): void {
  const windowSeconds = Math.ceil(burst / perSecond);
  const resetSeconds = Math.ceil(now.resetMs / MS_PER_SECOND);
  reply.header('ratelimit-policy', `"client";q=${burst};w=${windowSeconds}`);
  reply.header('ratelimit', `"client";r=${now.remaining};t=${resetSeconds}`);
}

/** Whole seconds, 1 at least: sooner would be refused again. */
export function retryAfterSeconds(ms: number | undefined): string {
  return `${Math.max(1, Math.ceil((ms ?? 0) / MS_PER_SECOND))}`;
}
