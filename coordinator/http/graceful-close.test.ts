import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import fastify from 'fastify';
import { systemClock } from '../../shared/base/clock.ts';
import { GracefulClose } from './graceful-close.ts';

test('close waits for requests, not for connections that are kept open or were never used', async (t) => {
  const server = fastify();
  const closing = new GracefulClose(server, systemClock);
  const release = Promise.withResolvers<void>();
  server.get('/', async () => 'now');
  server.get('/slow', async () => {
    await release.promise;
    return 'later';
  });
  await server.listen({ port: 0, host: '127.0.0.1' });
  const { port } = server.server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const get = async (path: string): Promise<string> => {
    const sent = request({ port, host: '127.0.0.1', path, agent }).end();
    const [response] = await once(sent, 'response');
    return (await response.toArray()).join('');
  };
  const unused = connect(port, '127.0.0.1').on('error', () => undefined);
  await once(unused, 'connect');
  assert.equal(await get('/'), 'now');
  const slow = get('/slow');
  while (server.server.listenerCount('connection') > 0) {
    const connections = await new Promise((done) =>
      server.server.getConnections((_, n) => done(n)),
    );
    if (connections === 2) break;
  }
  await new Promise((resume) => setTimeout(resume, 50));
  const startMs = systemClock.monotonicMs();
  const closed = closing.close();
  await new Promise((resume) => setTimeout(resume, 100));
  release.resolve();
  assert.equal(await slow, 'later', 'a request under way is answered');
  await closed;
  assert.ok(systemClock.monotonicMs() - startMs < 2_000);
});
