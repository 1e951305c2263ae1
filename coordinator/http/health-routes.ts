/**
 * What needs no key: the version that clients check and the health of the process. `/healthz` and
 * `/livez` say that it answers; `/readyz` that it can serve.
 */
import type { FastifyInstance } from 'fastify';

/** The version of the dialect that this API is pinned to; clients compare it with their own. */
const DIALECT_VERSION = '1.19.0';

/** `notReady`: why requests can not be served yet, or undefined. */
export function addHealthRoutes(server: FastifyInstance, notReady: () => string | undefined): void {
  const config = { public: true };
  server.get('/', { config }, (_request, reply) => {
    reply.send({ title: 'Bulkhead - vector search engine', version: DIALECT_VERSION });
  });
  server.get('/healthz', { config }, (_request, reply) => {
    reply.type('text/plain').send('healthz check passed');
  });
  server.get('/livez', { config }, (_request, reply) => {
    reply.type('text/plain').send('livez check passed');
  });
  server.get('/readyz', { config }, (_request, reply) => {
    const why = notReady();
    if (why === undefined) reply.type('text/plain').send('all shards are ready');
    else reply.code(503).header('retry-after', '1').type('text/plain').send(why);
  });
}
