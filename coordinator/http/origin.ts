import type { FastifyRequest } from 'fastify';
import type { Origin } from '../store/admin-audit.ts';

/** There is one admin token, so there is one name for whoever shows it. */
const ACTOR = 'operator';

/** What the audit log says of where a change came from. */
export function originOf(request: FastifyRequest): Origin {
  return { actor: ACTOR, requestId: request.id };
}
