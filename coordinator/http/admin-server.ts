/**
 * The admin API, `/admin/v1`, on a listener of its own: JSON over HTTP for operators and for the
 * `bulkhead` command. Every request, also one for a path that does not exist, shows the admin token
 * as `Authorization: Bearer` before its body is read. Errors are problem details (`problem.ts`).
 */
import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import packageJson from '../../package.json' with { type: 'json' };
import { type RequestId, randomId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Idempotency } from '../control-plane/idempotency.ts';
import type { AdminCall, AdminEndpoint, ControlPlane, FileReply } from './admin-endpoint.ts';
import { AdminTokens } from './admin-tokens.ts';
import { AllowedMethods } from './allowed-methods.ts';
import { CSV_TYPE, wantsCsv } from './csv.ts';
import { toAppError } from './errors.ts';
import { etagOf, ifAbsent, ifVersion } from './etag.ts';
import { idempotencyKeyOf } from './idempotency-key.ts';
import { addJsonBodyParser } from './json-body.ts';
import { openApiDocument } from './openapi.ts';
import { originOf } from './origin.ts';
import { sendProblem } from './problem.ts';
import { checkHeader } from './request-header.ts';
import { ADMIN_ENDPOINTS } from './routes/admin/endpoints.ts';
import { createValidatorCompiler } from './validation.ts';

/** A request that is not complete by then is cut off. */
const REQUEST_TIMEOUT_MS = 30_000;

export interface AdminServerDeps extends ControlPlane {
  idempotency: Idempotency;
  random: SecureRandom;
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
  const allowed = new AllowedMethods();
  server.addHook('onRoute', ({ method, url }) => {
    for (const name of [method].flat()) allowed.add(name, url);
  });
  server.setValidatorCompiler(createValidatorCompiler());
  addJsonBodyParser(server);
  server.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    // Some answers hold a secret, and none is worth keeping: no proxy and no browser may.
    reply.header('cache-control', 'no-store');
  });
  requireToken(server, new AdminTokens(options.tokens));
  answerErrors(server, deps.log, allowed);
  for (const endpoint of ADMIN_ENDPOINTS) addEndpoint(server, endpoint, deps);
  const document = openApiDocument(ADMIN_ENDPOINTS, packageJson.version);
  server.get('/admin/v1/openapi.json', async () => document);
  return server;
}

function addEndpoint(
  server: FastifyInstance,
  endpoint: AdminEndpoint,
  { idempotency, ...plane }: AdminServerDeps,
): void {
  const { method, url, schema, status, fileType } = endpoint;
  const handler = async (request: FastifyRequest, reply: FastifyReply) => {
    const { params, query, body } = request;
    if (schema.body === undefined && body !== undefined && body !== null) {
      throw new InvalidInput('the body', 'must be empty here');
    }
    const call: AdminCall = {
      params,
      query,
      body,
      origin: originOf(request),
      ifVersion: ifVersion(request),
      ifAbsent: request.method === 'PUT' && ifAbsent(request),
    };
    await endpoint.check?.(plane, call);
    const run = () => endpoint.run(plane, call);
    const idempotencyKey = endpoint.creates ? idempotencyKeyOf(request) : undefined;
    const view =
      idempotencyKey === undefined
        ? await run()
        : idempotency.once({ idempotencyKey, method, url: request.url, body }, run);
    if (endpoint.csv !== undefined && wantsCsv(request)) {
      return reply
        .code(status)
        .type(CSV_TYPE)
        .send(endpoint.csv(view as never));
    }
    if (fileType !== undefined) return sendFile(reply, fileType, view as FileReply);
    if ('version' in view) reply.header('etag', etagOf(view.version));
    return reply.code(status).send(view);
  };
  server.route({ method, url, schema, handler });
}

function sendFile(reply: FastifyReply, type: string, { file, bytes, stream }: FileReply) {
  reply.header('content-type', type).header('content-length', bytes);
  // Names are ours: days and numbers.
  return reply.header('content-disposition', `attachment; filename="${file}"`).send(stream);
}

function requireToken(server: FastifyInstance, tokens: AdminTokens): void {
  server.addHook('onRequest', async (request) => {
    if (tokens.isIn(request.headers.authorization)) return checkHeader(request.raw);
    throw new AppError('unauthenticated', 'the admin token is needed: Authorization: Bearer TOKEN');
  });
}

function answerErrors(server: FastifyInstance, log: Log, allowed: AllowedMethods): void {
  server.setNotFoundHandler((request, reply) => {
    const methods = allowed.of(request.url.split('?', 1)[0] ?? '');
    if (methods.length === 0) {
      return sendProblem(reply, new AppError('not_found', 'there is nothing at this path'));
    }
    reply.header('allow', methods.join(', '));
    const text = `this path does not take ${request.method}, only ${methods.join(', ')}`;
    return sendProblem(reply, new AppError('method_not_allowed', text));
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
