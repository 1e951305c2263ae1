/**
 * The admin API, `/admin/v1`, on a listener of its own: JSON over HTTP for operators and for the
 * `bulkhead` command. Every request, also one for a path that does not exist, shows the admin token
 * as `Authorization: Bearer` before its body is read. Errors are problem details (`problem.ts`).
 */
import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { type RequestId, randomId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { AuditAdmin } from '../control-plane/audit.ts';
import type { ClientAdmin } from '../control-plane/clients.ts';
import type { KeyAdmin } from '../control-plane/keys.ts';
import type { PlanAdmin } from '../control-plane/plans.ts';
import type { WorkerAdmin } from '../control-plane/workers.ts';
import { AdminTokens } from './admin-tokens.ts';
import { toAppError } from './errors.ts';
import { addJsonBodyParser } from './json-body.ts';
import { sendProblem } from './problem.ts';
import { createClient } from './routes/admin/create-client.ts';
import { createKey } from './routes/admin/create-key.ts';
import { getStatus } from './routes/admin/get-status.ts';
import { listAudit } from './routes/admin/list-audit.ts';
import { listClients } from './routes/admin/list-clients.ts';
import { listKeys } from './routes/admin/list-keys.ts';
import { listPlans } from './routes/admin/list-plans.ts';
import { listWorkers } from './routes/admin/list-workers.ts';
import { putPlan } from './routes/admin/put-plan.ts';
import { removePlan } from './routes/admin/remove-plan.ts';
import { resumeClient } from './routes/admin/resume-client.ts';
import { revokeKey } from './routes/admin/revoke-key.ts';
import { showClient } from './routes/admin/show-client.ts';
import { showPlan } from './routes/admin/show-plan.ts';
import { suspendClient } from './routes/admin/suspend-client.ts';
import { updateClient } from './routes/admin/update-client.ts';
import { createValidatorCompiler } from './validation.ts';

/** A request that is not complete by then is cut off. */
const REQUEST_TIMEOUT_MS = 30_000;

export interface AdminServerDeps {
  clients: ClientAdmin;
  keys: KeyAdmin;
  plans: PlanAdmin;
  audit: AuditAdmin;
  random: SecureRandom;
  workers: WorkerAdmin;
  log: Log;
}

/** A server that does not listen yet. `close()` lets requests under way finish. */
export function createAdminServer(
  deps: AdminServerDeps,
  options: { tokens: readonly string[] },
): FastifyInstance {
  const server = fastify({
    logger: false,
    bodyLimit: LIMITS.adminBodyBytesMax,
    requestTimeout: REQUEST_TIMEOUT_MS,
    return503OnClosing: false,
    genReqId: () => randomId<RequestId>('req_', deps.random.bytes),
    frameworkErrors: (error, _request, reply) => {
      sendProblem(reply, toAppError(error));
    },
  });
  server.setValidatorCompiler(createValidatorCompiler());
  addJsonBodyParser(server);
  server.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  requireToken(server, new AdminTokens(options.tokens));
  answerErrors(server, deps.log);
  createClient(server, deps.clients);
  listClients(server, deps.clients);
  showClient(server, deps.clients);
  updateClient(server, deps.clients);
  suspendClient(server, deps.clients);
  resumeClient(server, deps.clients);
  listPlans(server, deps.plans);
  showPlan(server, deps.plans);
  putPlan(server, deps.plans);
  removePlan(server, deps.plans);
  listAudit(server, deps.audit);
  createKey(server, deps.keys);
  listKeys(server, deps.keys);
  revokeKey(server, deps.keys);
  listWorkers(server, deps.workers);
  getStatus(server, deps.workers);
  return server;
}

function requireToken(server: FastifyInstance, tokens: AdminTokens): void {
  server.addHook('onRequest', async (request) => {
    if (tokens.isIn(request.headers.authorization)) return;
    throw new AppError('unauthenticated', 'the admin token is needed: Authorization: Bearer TOKEN');
  });
}

function answerErrors(server: FastifyInstance, log: Log): void {
  server.setNotFoundHandler((request, reply) => {
    sendProblem(reply, new AppError('not_found', `there is no ${request.method} on this path`));
  });
  server.setErrorHandler((error: FastifyError, request, reply) => {
    const known = toAppError(error);
    if (known.code === 'internal') {
      const route = request.routeOptions.url ?? 'unknown';
      log.event('request_failed', { route, status: known.status, code: known.code, error });
    }
    sendProblem(reply, known);
  });
}
