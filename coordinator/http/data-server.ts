/**
 * The data API: every endpoint of `routes/data/` and `routes/account/` behind the same steps.
 *
 *   header -> key -> rate, role -> place among the client's requests -> body (bounded, scanned, parsed)
 *          -> schema -> endpoint -> result spliced into the envelope
 */
import { Readable } from 'node:stream';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Clock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { RequestId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Permission } from '../../shared/domain/permissions.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ErrorCode } from '../../shared/errors/codes.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { type Principal, requirePermission } from '../auth/principal.ts';
import type { WriteOnce } from '../control-plane/write-once.ts';
import { BODY_BYTES_PER_UNIT } from '../data-plane/cost.ts';
import type { BadKeys } from '../limits/bad-keys.ts';
import type { ClientLimits } from '../limits/client-limits.ts';
import type { ClientPauses } from '../limits/client-pauses.ts';
import type { InFlight } from '../limits/in-flight.ts';
import { RateLimited } from '../limits/rate-limited.ts';
import type { RequestRates } from '../limits/request-rates.ts';
import { type Payer, Tally } from '../limits/tally.ts';
import type { WorkBudget } from '../limits/work-budget.ts';
import { AllowedMethods, hintOf } from './allowed-methods.ts';
import { brokenRequestHandler } from './broken-request.ts';
import { wantsCsv } from './csv.ts';
import { type Endpoint, type Lines, type Plane, requestedTimeoutMs } from './endpoint.ts';
import { closeResult, errorText, openResult } from './envelope.ts';
import { toAppError } from './errors.ts';
import { addHealthRoutes } from './health-routes.ts';
import { claimOf, idempotencyKeyOf, isKeyedWrite } from './idempotency-key.ts';
import { CountedBody, watchPace } from './incoming-body.ts';
import { addJsonBodyParser } from './json-body.ts';
import { notSupported } from './not-supported.ts';
import { retryAfterSeconds, tellRates, tellRefused } from './rate-headers.ts';
import { checkHeader, inNamespace, presentedKey } from './request-header.ts';
import { edgeRequestIds } from './request-ids.ts';
import { noteRequest, type RequestNotesDeps, statusOf } from './request-notes.ts';
import {
  announcedBytes,
  enterRequest,
  hasBody,
  isCounted,
  type RequestPlace,
} from './request-places.ts';
import { DATA_ENDPOINTS } from './routes/data/endpoints.ts';
import { createValidatorCompiler } from './validation.ts';

export interface DataServerDeps extends RequestNotesDeps {
  authenticator: Pick<Authenticator, 'authenticate' | 'mayHold' | 'epochOf'>;
  badKeys: BadKeys;
  work: Pick<WorkBudget, 'admitBody'>;
  plane: Plane;
  writeOnce: Pick<WriteOnce, 'claim'>;
  clientLimits: Pick<ClientLimits, 'of'>;
  pauses: Pick<ClientPauses, 'check'>;
  rates: RequestRates;
  inFlight: InFlight;
  random: Pick<SecureRandom, 'bytes'>;
  /** Why requests can not be served yet; undefined when they can. */
  notReady: () => string | undefined;
  log: Log;
  clock: Clock;
}

export interface DataServerOptions {
  /** For a write that does not name a timeout; no request may name a longer one. */
  requestTimeoutMs: number;
  /** For a read that does not name a timeout. */
  queryTimeoutMs: number;
  /** Addresses and networks of proxies whose `X-Forwarded-For` and `X-Request-Id` are believed. */
  trustedProxies?: string[];
  bodyBytesMax?: number;
}

/** Time to receive one whole request: a body of 32 MiB over a line of 1 Mbit/s. */
const RECEIVE_TIMEOUT_MS = 300_000;
/** The longest part of a path is a payload key with each of its bytes escaped as %XX. */
const PATH_PART_CHARS_MAX = 3 * LIMITS.payloadPathBytesMax;
/** Of a body of unknown length, so much is paid for at once. */
const PAID_BYTES = 256 * 1024;
/** Bytes of a body past its bound that are still taken in, so that its sender hears of it. */
const DISCARDED_BYTES_MAX = 4 * LIMITS.bodyBytesMax;

const LEDGER_BEHIND = 'what requests use can not be recorded at the moment; try again soon';

interface RequestState {
  /** Made anew at each look at the request. */
  route: FastifyRequest['routeOptions'];
  startMs: number;
  principal: (Principal & Payer) | undefined;
  tally: Tally;
  /** Of so many searches and reads one is in the audit log. */
  querySample: number;
  /** Of the body: what was announced, or has come. */
  bytesIn: number;
  /** Of the client when its key was looked at. */
  epoch: number;
  place: RequestPlace | undefined;
  /** SHA-256 of the body of a write of points that has an `Idempotency-Key`. */
  bodyDigest: Uint8Array | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    dataState: RequestState;
  }
  interface FastifyContextConfig {
    /** Answered without a key. */
    public?: boolean;
    /** See `Endpoint`; a path that does not exist needs nothing. */
    needs?: Permission;
    /** See `Endpoint`. */
    floatsField?: string;
    frees?: boolean;
  }
}

/** A server that does not listen yet; `GracefulClose` ends it. */
export function createDataServer(
  deps: DataServerDeps,
  options: DataServerOptions,
): FastifyInstance {
  const server = fastify({
    logger: false,
    genReqId: edgeRequestIds(deps.random, options.trustedProxies ?? []),
    bodyLimit: options.bodyBytesMax ?? LIMITS.bodyBytesMax,
    requestTimeout: RECEIVE_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    // A request without Host gets its answer from `checkHeader`, in the form of all answers.
    http: { requireHostHeader: false },
    return503OnClosing: false,
    trustProxy: options.trustedProxies?.length ? options.trustedProxies : false,
    routerOptions: { maxParamLength: PATH_PART_CHARS_MAX },
    frameworkErrors: (error, _request, reply) => sendError(reply, toAppError(error), 0),
    clientErrorHandler: brokenRequestHandler(deps.clock),
  });
  // Else Node itself answers an Expect that it does not know, without a body.
  server.server.on('checkExpectation', (request, response) => server.routing(request, response));
  const allowed = new AllowedMethods();
  server.addHook('onRoute', ({ method, url }) => {
    for (const name of [method].flat()) allowed.add(name, url);
  });
  server.setValidatorCompiler(createValidatorCompiler());
  addJsonBodyParser(server, {
    clock: deps.clock,
    enter: ({ dataState: { place } }) => {
      place?.startWork();
      return () => place?.endWork();
    },
    floatsField: ({ dataState: { route } }) => route.config.floatsField,
    digestTaker: (request) => {
      const { dataState } = request;
      if (!isKeyedWrite(request, dataState.route.config)) return undefined;
      return (digest) => {
        dataState.bodyDigest = digest;
      };
    },
  });
  admitRequests(server, deps);
  countBodies(server, deps);
  answerErrors(server, deps, allowed);
  addHealthRoutes(server, deps.notReady);
  for (const endpoint of DATA_ENDPOINTS) addEndpoint(server, endpoint, deps, options);
  return server;
}

/** Before the body is read: key, and a place among the client's requests. */
function admitRequests(server: FastifyInstance, deps: DataServerDeps): void {
  const { clock, clientLimits, rates, inFlight, log } = deps;
  let closing = false;
  server.addHook('preClose', (done) => {
    closing = true;
    done();
  });
  // Set for each request below; the declaration gives all requests one shape.
  server.decorateRequest('dataState');
  server.addHook('onRequest', (request, reply, done) => {
    const route = request.routeOptions;
    const state: RequestState = {
      route,
      startMs: clock.monotonicMs(),
      principal: undefined,
      tally: new Tally(),
      querySample: 1,
      bytesIn: announcedBytes(request.headers),
      epoch: 0,
      place: undefined,
      bodyDigest: undefined,
    };
    request.dataState = state;
    reply.header('x-request-id', request.id);
    try {
      checkHeader(request.raw);
      if (route.config.public === true) return done();
      if (closing) throw new AppError('shutting_down');
      if (deps.requestMeter.isBehind || deps.auditLog.isBehind)
        throw new AppError('overloaded', LEDGER_BEHIND);
      const principal = principalOf(request, deps);
      const { tally } = state;
      const inRequest = { tally, requestId: request.id as RequestId };
      state.principal = { ...principal, ...inRequest };
      const { clientId } = principal;
      const limits = clientLimits.of(clientId);
      state.querySample = limits.audit_query_sample;
      takeOne(rates, principal, limits, reply);
      state.principal = { ...inNamespace(request.raw, principal), ...inRequest };
      state.epoch = deps.authenticator.epochOf(clientId);
      const { needs, frees = false } = route.config;
      if (needs !== undefined) {
        requirePermission(state.principal, needs);
        deps.pauses.check(clientId, { needs, frees });
      }
      deps.work.admitBody(state.principal, Math.floor(state.bytesIn / BODY_BYTES_PER_UNIT));
      state.place = enterRequest(inFlight, clientId, limits, request.headers);
    } catch (error) {
      if (state.principal !== undefined) {
        reply.raw.once('close', () => noteRequest(request, reply, deps));
      }
      return done(error as Error);
    }
    const stopWatch = hasBody(request.headers) ? cutOffSlow(request, reply, clock) : undefined;
    reply.raw.once('close', () => {
      stopWatch?.();
      state.place?.closed();
      noteRequest(request, reply, deps);
      log.event('request_done', {
        requestId: request.id,
        route: route.url,
        clientId: state.principal?.clientId,
        keyId: state.principal?.keyId,
        status: statusOf(reply),
        ms: clock.monotonicMs() - state.startMs,
      });
    });
    done();
  });
}

/**
 * Who shows the key. An address that presents bad ones repeatedly waits, and no digest is computed
 * for it; keys that may hold go on, because others may share the address. Throws
 * `unauthenticated` or `rate_limited`.
 */
function principalOf(request: FastifyRequest, deps: DataServerDeps): Principal {
  const { authenticator, badKeys, auditLog } = deps;
  const presented = presentedKey(request.raw);
  if (badKeys.any) {
    const retryAfterMs = badKeys.waitMs(request.ip);
    if (retryAfterMs > 0 && !authenticator.mayHold(presented)) {
      const text =
        'too many keys from this address that are none; wait as long as Retry-After says';
      throw new AppError('rate_limited', text, { retryAfterMs });
    }
  }
  try {
    return authenticator.authenticate(presented);
  } catch (error) {
    if (error instanceof AppError && error.code === 'unauthenticated') {
      badKeys.note(request.ip);
      auditLog.refusedKey(request.ip);
    }
    throw error;
  }
}

/** Throws `rate_limited`. The answer says what is left, whatever it is. */
function takeOne(
  rates: RequestRates,
  principal: Principal,
  limits: PlanLimits,
  reply: FastifyReply,
): void {
  const states = rates.take(principal, limits);
  tellRates(reply, states);
  const refused = states.find(({ allowed }) => !allowed);
  if (refused === undefined) return;
  const { of, rate } = refused;
  const text = `more than ${rate.perSecond} requests a second of this ${of}; wait as long as Retry-After says`;
  throw new RateLimited(text, refused);
}

function cutOffSlow(request: FastifyRequest, reply: FastifyReply, clock: Clock): () => void {
  return watchPace(request.raw, clock, () => {
    if (!reply.sent) reply.send(new AppError('request_timeout'));
  });
}

/** Large bodies, and those that do not tell their length, count as they arrive. */
function countBodies(server: FastifyInstance, { work }: DataServerDeps): void {
  server.addHook('preParsing', (request, reply, body, done) => {
    const state = request.dataState;
    const { place, principal } = state;
    if (place === undefined || !isCounted(request.headers)) return done(null, body);
    // What was announced is paid for; what was not, as it comes.
    const isAnnounced = announcedBytes(request.headers) > 0;
    let unpaid = 0;
    const counted = new CountedBody(request.raw, (bytes) => {
      place.receive(bytes);
      state.bytesIn += isAnnounced ? 0 : bytes;
      unpaid += isAnnounced ? 0 : bytes;
      if (unpaid < PAID_BYTES || principal === undefined) return;
      work.admitBody(principal, unpaid / BODY_BYTES_PER_UNIT);
      unpaid = 0;
    });
    reply.raw.once('close', () => counted.destroy());
    done(null, counted);
  });
}

function addEndpoint(
  server: FastifyInstance,
  endpoint: Endpoint,
  deps: DataServerDeps,
  options: DataServerOptions,
): void {
  const { clock, plane } = deps;
  const timeoutMs = endpoint.kind === 'read' ? options.queryTimeoutMs : options.requestTimeoutMs;
  const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const state = request.dataState;
    const principal = principalNow(request, endpoint, deps);
    const { collection = '', id = '', field_name = '' } = request.params as Record<string, string>;
    const wantedMs = requestedTimeoutMs(request.query) ?? timeoutMs;
    const deadline = Deadline.after(
      clock,
      Math.min(wantedMs, options.requestTimeoutMs),
      request.id,
    );
    const out = openResult();
    const { body } = request;
    const query = request.query as Record<string, string>;
    const path = { collection, id, fieldName: field_name };
    const isSecret = endpoint.showsSecret === true;
    const idempotencyKey = isSecret ? idempotencyKeyOf(request) : undefined;
    const { bodyDigest } = state;
    const once = bodyDigest && claimOf(request, principal, bodyDigest, deps.writeOnce);
    state.place?.startWork();
    let sent: { lines: Lines; type: string } | undefined;
    try {
      const sendLines = (lines: Lines, type = LINES_TYPE) => {
        sent = { lines, type };
      };
      const call = { owner: principal, ...path, query, body, deadline, out, sendLines };
      await endpoint.run(plane, { ...call, idempotencyKey, once, wantsCsv: wantsCsv(request) });
    } finally {
      state.place?.endWork();
    }
    if (sent !== undefined) return replyLines(reply, sent.lines, sent.type);
    // No proxy and no browser may keep a secret.
    if (isSecret) reply.header('cache-control', 'no-store');
    return sendResult(reply, closeResult(out, clock.monotonicMs() - state.startMs, state.tally));
  };
  const { method, url, needs, frees = false, schema, floatsField, bodyBytesMax } = endpoint;
  const config = floatsField === undefined ? { needs, frees } : { needs, frees, floatsField };
  const limit = bodyBytesMax === undefined ? {} : { bodyLimit: bodyBytesMax };
  server.route({ method, url, schema, config, handler, ...limit });
}

/**
 * A body may come long after its header. If a right of the client was taken away meanwhile, or the
 * secret has come to its end, its key is looked at again, so that nobody keeps one by holding
 * requests half sent.
 */
function principalNow(
  request: FastifyRequest,
  { needs, frees = false }: Endpoint,
  { authenticator, pauses, clock }: DataServerDeps,
): Principal & Payer {
  const { principal, epoch, tally } = request.dataState;
  if (principal === undefined) throw new AppError('unauthenticated');
  const hasEnded = principal.endsAt !== null && clock.now() >= principal.endsAt;
  if (!hasEnded && authenticator.epochOf(principal.clientId) === epoch) return principal;
  const known = authenticator.authenticate(presentedKey(request.raw));
  requirePermission(known, needs);
  pauses.check(known.clientId, { needs, frees });
  return { ...inNamespace(request.raw, known), tally, requestId: request.id as RequestId };
}

/** A large reply is written as fast as its reader takes it, one part after the other. */
function sendResult(reply: FastifyReply, parts: Buffer[]): FastifyReply {
  reply.header('content-type', 'application/json');
  const [only, ...others] = parts;
  if (others.length === 0) return reply.send(only);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return reply.header('content-length', length).send(Readable.from(parts));
}

const LINES_TYPE = 'application/x-ndjson';

/** One that breaks off ends the connection: its reader sees that it is not whole. */
function replyLines(reply: FastifyReply, lines: Lines, type: string): FastifyReply {
  reply.header('cache-control', 'no-store').header('content-type', type);
  return reply.send(Readable.from(lines));
}

function answerErrors(
  server: FastifyInstance,
  deps: DataServerDeps,
  allowed: AllowedMethods,
): void {
  const { clock, log } = deps;
  server.setNotFoundHandler((request, reply) => {
    const [path = ''] = request.url.split('?', 1);
    const missing = notSupported(request.method, path);
    if (missing !== undefined) throw missing;
    const methods = allowed.of(path);
    if (methods.length === 0) throw new AppError('not_found', 'there is nothing at this path');
    reply.header('allow', methods.join(', '));
    const text = `this path does not take ${request.method}, only ${methods.join(', ')}${hintOf(path)}`;
    throw new AppError('method_not_allowed', text);
  });
  server.setErrorHandler((error, request, reply) => {
    const known = toAppError(error);
    const state = request.dataState;
    if (known.code === 'internal') {
      log.event('request_failed', {
        requestId: request.id,
        route: request.routeOptions.url,
        clientId: state.principal?.clientId,
        status: known.status,
        code: known.code,
        error,
      });
    }
    sendError(reply, known, clock.monotonicMs() - state.startMs);
  });
}

/** These end the connection. */
const CLOSING = new Set<ErrorCode>(['shutting_down', 'request_timeout']);
/** These may come in the middle of a body. */
const CUTTING = new Set<ErrorCode>([
  'body_too_large',
  'too_many_requests',
  'rate_limited',
  'overloaded',
]);

function sendError(reply: FastifyReply, error: AppError, ms: number): void {
  const { status } = error;
  if (status === 429 || status === 503) {
    reply.header('retry-after', retryAfterSeconds(error.retryAfterMs));
  }
  if (error instanceof RateLimited) tellRefused(reply, error.state);
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  if (CLOSING.has(error.code)) reply.header('connection', 'close');
  if (CUTTING.has(error.code)) readOut(reply);
  reply.code(status).header('content-type', 'application/json').send(errorText(error, ms));
}

/**
 * A client that is still sending meets a closed connection as a write error and never reads the
 * answer. So a body that is not much too large is read to its end, and thrown away as it comes.
 */
function readOut(reply: FastifyReply): void {
  const bytes = Number(reply.request.headers['content-length']);
  if (bytes <= DISCARDED_BYTES_MAX) reply.removeHeader('connection');
}
