/** What is kept of a request of the data API when it has ended: for the bill, the audit log and the log. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AuditLog } from '../audit/audit-log.ts';
import type { RequestMeter } from '../billing/request-meter.ts';
import { unitsOf } from '../limits/tally.ts';
import { type RouteClass, routeClassOf } from './route-class.ts';

export interface RequestNotesDeps {
  requestMeter: Pick<RequestMeter, 'note' | 'isBehind'>;
  auditLog: Pick<AuditLog, 'request' | 'refusedKey' | 'isBehind'>;
}

/** In the log only: the client was gone before the answer. */
const STATUS_HUNG_UP = 499;
/** Of a path that is none of ours. */
const NO_ENDPOINT = 'none';

export function statusOf(reply: FastifyReply): number {
  return reply.raw.writableFinished ? reply.statusCode : STATUS_HUNG_UP;
}

/** What was refused costs nothing, but is noted. Without a known key there is nobody to note it for. */
export function noteRequest(
  request: FastifyRequest,
  reply: FastifyReply,
  { requestMeter, auditLog }: RequestNotesDeps,
): void {
  const { principal, route, tally, bytesIn, querySample } = request.dataState;
  if (principal === undefined) return;
  const { clientId, mode, namespace, keyId } = principal;
  const status = statusOf(reply);
  const isDone = status < 300;
  const units = isDone ? unitsOf(tally) : Math.round(tally.units);
  const routeClass = routeClassOf(route.config.needs);
  const whose = { clientId, mode, namespace, keyId, status, units };
  requestMeter.note({
    ...whose,
    route: routeClass,
    queries: isDone ? tally.queries : 0,
    bytesIn,
    bytesOut: Number(reply.getHeader('content-length') ?? 0),
  });
  const sample = isDone && isSampled(routeClass) ? querySample : 1;
  const { collection = '' } = (request.params ?? {}) as { collection?: string };
  const endpoint = route.url === undefined ? NO_ENDPOINT : `${request.method} ${route.url}`;
  const { deleted } = tally;
  auditLog.request({ ...whose, endpoint, collection, deleted, sample, requestId: request.id });
}

/** Whatever changes nothing and shows nothing but points. */
function isSampled(routeClass: RouteClass): boolean {
  return routeClass === 'query' || routeClass === 'read';
}
