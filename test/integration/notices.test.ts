/** Mail and webhooks of the real service, set and looked at by the command line. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanUp } from '../harness/cleanup.ts';
import { headerOf, startMailServer } from '../harness/mail-server.ts';
import { runJson } from '../harness/run-command.ts';
import { startService } from '../harness/service.ts';

test('operators get mail and webhooks, and see what became of them', async (t) => {
  const mail = await startMailServer(t, 'plain');
  const posts: string[] = [];
  const receiver = createServer((request, response) => {
    void readText(request).then((body) => {
      posts.push(body);
      response.writeHead(204).end();
    });
  });
  cleanUp(t, () => receiver.closeAllConnections());
  cleanUp(t, () => void receiver.close());
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const { port } = receiver.address() as AddressInfo;
  const env = {
    BULKHEAD_MAIL_HOST: '127.0.0.1',
    BULKHEAD_MAIL_PORT: String(mail.port),
    BULKHEAD_MAIL_TLS: 'none',
    BULKHEAD_MAIL_FROM: 'bulkhead@example.com',
    BULKHEAD_MAIL_OPERATORS: 'ops@example.com',
    BULKHEAD_WEBHOOK_PORTS: `443,${port}`,
    BULKHEAD_WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
  };
  const service = await startService(t, { workers: 1, env });
  const run = (...args: string[]) => runJson(service, args);
  const [made] = await run('webhook', 'create', `http://127.0.0.1:${port}/`);
  assert.match(String(made?.secret), /^whsec_/);
  const webhookId = String(made?.webhook_id);
  const ask = async (path: string, method = 'GET') => {
    const authorization = `Bearer ${service.adminToken()}`;
    const url = `${service.adminUrl}/admin/v1${path}`;
    return (await fetch(url, { method, headers: { authorization } })).json();
  };
  assert.deepEqual(await ask(`/webhooks/${webhookId}/test`, 'POST'), { told: true });
  assert.deepEqual(await ask('/notices/test', 'POST'), { told: true });
  for (let waited = 0; waited < 10_000; waited += 20) {
    if (posts.length === 1 && mail.taken.length === 1) break;
    await sleep(20);
  }
  assert.equal(JSON.parse(posts[0] ?? '{}').type, 'notify.test');
  const [letter] = mail.taken;
  assert.ok(letter !== undefined, 'the mail has come');
  assert.deepEqual(
    [letter.to, headerOf(letter, 'subject')],
    ['ops@example.com', '[Bulkhead] A test message'],
  );
  const url = 'https://127.0.0.1:443/';
  const body = JSON.stringify({ url });
  const headers = { 'api-key': service.key, 'content-type': 'application/json' };
  const refused = await fetch(`${service.url}/v1/webhooks`, { method: 'POST', headers, body });
  assert.equal(refused.status, 400, 'what operators may reach, clients may not');
  const found = await run('notices', '--type', 'notify.test');
  assert.equal(found.length, 2);
  const fates = found.flatMap(({ deliveries }) => deliveries as { state: string }[]);
  assert.deepEqual(
    fates.map(({ state }) => state),
    ['delivered', 'delivered'],
  );
});
