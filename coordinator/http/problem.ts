/**
 * Errors of the admin API as RFC 9457 problem details:
 *
 *   {"type":"about:blank","title":"Not Found","status":404,"detail":"there is no such client",
 *    "code":"not_found"}
 *
 * `code` is from the closed table in `shared/errors/codes.ts`; programs go by it. `field` says
 * what in the request is wrong, where it is one thing.
 */
import { STATUS_CODES } from 'node:http';
import type { FastifyReply } from 'fastify';
import type { AppError } from '../../shared/errors/app-error.ts';

export function sendProblem(reply: FastifyReply, error: AppError): FastifyReply {
  if (error.status === 401) reply.header('www-authenticate', 'Bearer realm="bulkhead admin"');
  if (error.status === 503 || error.status === 429) reply.header('retry-after', '1');
  const problem = {
    type: 'about:blank',
    title: STATUS_CODES[error.status],
    status: error.status,
    detail: error.message,
    code: error.code,
    ...(error.field && { field: error.field }),
  };
  return reply
    .code(error.status)
    .header('content-type', 'application/problem+json; charset=utf-8')
    .send(JSON.stringify(problem));
}
