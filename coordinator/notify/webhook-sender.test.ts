/** Webhooks against real receivers on this machine; the clock is the test's, so days pass at once. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { must } from '../../shared/base/assert.ts';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { notifyParts } from '../../test/harness/notify-parts.ts';
import { recordingLog } from '../../test/harness/recording-log.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { TEST_CERTIFICATE, TEST_CERTIFICATE_KEY } from '../../test/harness/test-certificate.ts';
import { ControlStore } from '../store/control-store.ts';
import type { Resolve } from './target-guard.ts';
import { WEBHOOK_TIMEOUT_MS } from './webhook-call.ts';
import { WebhookSender } from './webhook-sender.ts';

const ORIGIN = { actor: 'operator', requestId: 'r' };
const HOUR_MS = 3_600_000;
const HERE = '127.0.0.1';

interface Post {
  headers: IncomingMessage['headers'];
  body: string;
}

type Answer = (response: ServerResponse, post: Post) => void;

/** A receiver that keeps what it got. */
class Receiver {
  readonly posts: Post[] = [];
  answer: Answer;
  port = 0;
  /** Calls that are open now. */
  open = 0;

  constructor(answer: Answer) {
    this.answer = answer;
  }

  static async start(t: TestContext, answer: Answer = taken): Promise<Receiver> {
    const receiver = new Receiver(answer);
    await receiver.#listen(t, createServer(receiver.#handle));
    return receiver;
  }

  static async startTls(t: TestContext): Promise<Receiver> {
    const receiver = new Receiver(taken);
    const options = { cert: TEST_CERTIFICATE, key: TEST_CERTIFICATE_KEY };
    await receiver.#listen(t, createTlsServer(options, receiver.#handle));
    return receiver;
  }

  get url(): string {
    return `http://${HERE}:${this.port}/hook`;
  }

  async #listen(t: TestContext, server: Server & { closeAllConnections(): void }): Promise<void> {
    cleanUp(t, () => server.closeAllConnections());
    cleanUp(t, () => void server.close());
    await new Promise<void>((resolve) => server.listen(0, HERE, resolve));
    this.port = (server.address() as AddressInfo).port;
  }

  readonly #handle = (request: IncomingMessage, response: ServerResponse): void => {
    this.open += 1;
    response.once('close', () => {
      this.open -= 1;
    });
    const { servername } = request.socket as TLSSocket;
    const headers = { ...request.headers, ...(servername && { servername: String(servername) }) };
    void readText(request).then((body) => {
      const post = { headers, body };
      this.posts.push(post);
      this.answer(response, post);
    });
  };
}

function taken(response: ServerResponse): void {
  response.writeHead(204).end();
}

function status(code: number, headers: Record<string, string> = {}): Answer {
  return (response) => response.writeHead(code, headers).end('body');
}

function startRig(
  t: TestContext,
  receivers: readonly Receiver[],
  resolve: Resolve = async () => [HERE],
) {
  const clock = new ManualClock();
  const folder = temporaryFolder(t);
  const store = ControlStore.open(join(folder, 'control.db'), { clock });
  cleanUp(t, () => store.close());
  const { log, saw, lines } = recordingLog();
  const ports = receivers.map(({ port }) => port);
  const allowedNetworks = ['127.0.0.0/8'];
  const parts = notifyParts({
    store,
    clock,
    log,
    ports,
    allowedNetworks,
    resolve,
    operators: null,
  });
  // Receivers of the tests are on this machine, clients' ones, too.
  const guard = { check: (url: string) => parts.guard.check(url, { isOperators: true }) };
  const deps = { ...parts, clock, guard, random: new SeededRandom(7), ca: TEST_CERTIFICATE };
  const startSender = () => {
    const sender = new WebhookSender(deps);
    cleanUp(t, () => sender.close());
    sender.soon();
    return sender;
  };
  const sender = startSender();
  parts.notifier.onTold(() => sender.soon());
  const newClient = (letter: string) => {
    const clientId = `cl_${letter.repeat(16)}` as ClientId;
    return store.clients.create({ clientId, name: letter }).clientId;
  };
  const tell = (key: string) => {
    const data = { worker_id: `wk_${key}`, shards: 1 };
    parts.notifier.tell({ type: 'worker.down', clientId: null, key, data });
  };
  const pause = (clientId: ClientId, key: string) => {
    const data = { reason: 'budget', scope: 'all' };
    parts.notifier.tell({ type: 'client.paused', clientId, key, data });
  };
  const statesOf = (webhookId: string) => {
    return store.noticeDeliveries.page(webhookId, undefined, 100).map(({ state }) => state);
  };
  const acts = { startSender, newClient, tell, pause, statesOf };
  return { ...parts, clock, folder, saw, lines, sender, ...acts };
}

type Rig = ReturnType<typeof startRig>;

async function until(holds: () => boolean, what: string): Promise<void> {
  for (let waited = 0; waited < 5_000; waited += 5) {
    if (holds()) return;
    await sleep(5);
  }
  assert.fail(`not in time: ${what}`);
}

/** Lets the next try of what waits for a webhook come and end; false when nothing waits. */
async function nextTry({ store, clock, saw }: Rig, webhookId: string): Promise<boolean> {
  const waiting = store.noticeDeliveries.waiting('webhook', 10);
  const next = waiting.find(({ target }) => target === webhookId);
  if (next === undefined) return false;
  const calls = saw('webhook_called').length;
  clock.advance(Math.max(0, next.nextAt - clock.now()));
  await until(() => saw('webhook_called').length > calls, 'the next call');
  return true;
}

function signatureOf(secret: string, { headers, body }: Post): string {
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
}

test('a webhook gets a signed CloudEvent, and after a rotation one with two signatures', async (t) => {
  const receiver = await Receiver.start(t);
  const rig = startRig(t, [receiver]);
  const made = rig.webhooks.create(ORIGIN, null, { url: receiver.url });
  rig.tell('1');
  await until(() => receiver.posts.length === 1, 'a post');
  const post = must(receiver.posts[0], 'it came');
  const { headers } = post;
  assert.deepEqual(JSON.parse(post.body), {
    specversion: '1.0',
    id: headers['webhook-id'],
    source: 'urn:bulkhead',
    type: 'worker.down',
    time: new Date(rig.clock.now()).toISOString(),
    datacontenttype: 'application/json',
    data: { worker_id: 'wk_1', shards: 1 },
  });
  assert.equal(headers['content-type'], 'application/cloudevents+json; charset=utf-8');
  assert.equal(headers['webhook-timestamp'], String(Math.floor(rig.clock.now() / 1_000)));
  assert.equal(headers['webhook-signature'], signatureOf(made.secret, post));
  assert.equal(headers.host, `${HERE}:${receiver.port}`);
  const { webhookId } = made.record;
  const second = rig.webhooks.rotate(ORIGIN, null, webhookId, { graceSeconds: 60 });
  rig.tell('2');
  await until(() => receiver.posts.length === 2, 'a second post');
  const both = must(receiver.posts[1], 'it came');
  const signatures = [second.secret, made.secret].map((secret) => signatureOf(secret, both));
  assert.equal(both.headers['webhook-signature'], signatures.join(' '));
  await until(() => rig.saw('webhook_called').length === 2, 'the end of the second call');
  rig.clock.advance(60_001);
  rig.tell('3');
  await until(() => receiver.posts.length === 3, 'a third post');
  const last = must(receiver.posts[2], 'it came');
  assert.equal(last.headers['webhook-signature'], signatureOf(second.secret, last));
  await until(() => rig.statesOf(webhookId).every((state) => state === 'delivered'), 'all');
  for (const { secret } of [made, second]) {
    const encoded = secret.replace('whsec_', '');
    assert.ok(!JSON.stringify(rig.lines).includes(encoded), 'secrets are in no log');
    for (const name of readdirSync(rig.folder)) {
      const file = readFileSync(join(rig.folder, name));
      const isThere = file.includes(encoded) || file.includes(Buffer.from(encoded, 'base64'));
      assert.ok(!isThere, `${name} has a secret in clear`);
    }
  }
});

test('a receiver that fails is tried for 3 days under one id, then disabled, and replayed', async (t) => {
  const receiver = await Receiver.start(t, status(500));
  const other = await Receiver.start(t);
  const rig = startRig(t, [receiver, other]);
  const { webhookId } = rig.webhooks.create(ORIGIN, null, { url: receiver.url }).record;
  rig.webhooks.create(ORIGIN, null, { url: other.url });
  const start = rig.clock.now();
  rig.tell('1');
  await until(() => rig.saw('webhook_called').length === 2, 'the first calls');
  const waits: number[] = [];
  for (let before = rig.clock.now(); await nextTry(rig, webhookId); before = rig.clock.now()) {
    waits.push(rig.clock.now() - before);
    assert.ok(waits.length < 1_000, 'it comes to an end');
  }
  const hours = (rig.clock.now() - start) / HOUR_MS;
  assert.ok(hours > 60 && hours <= 72, `${hours} hours`);
  assert.ok(waits.length > 15 && waits.length < 60, `${waits.length} tries`);
  assert.ok(Math.max(...waits) <= 6 * HOUR_MS + 1_000, 'pauses are bounded');
  assert.ok(
    waits.slice(0, 4).every((ms) => ms <= 41_000),
    'and short at first',
  );
  assert.equal(new Set(receiver.posts.map(({ headers }) => headers['webhook-id'])).size, 1);
  assert.equal(new Set(receiver.posts.map(({ body }) => body)).size, 1);
  assert.deepEqual(rig.statesOf(webhookId), ['dead']);
  assert.equal(rig.webhooks.show(null, webhookId).disabled, 'failing');
  await until(() => other.posts.length === 2, 'the notice of it');
  const told = JSON.parse(must(other.posts[1], 'it came').body);
  assert.deepEqual([told.type, told.data.reason], ['webhook.disabled', 'failing']);
  assert.throws(() => rig.webhooks.replay(ORIGIN, null, webhookId, null), /enable it first/);
  receiver.answer = taken;
  rig.webhooks.update(ORIGIN, null, webhookId, { enabled: true });
  const id = must(receiver.posts[0], 'it came').headers['webhook-id'];
  assert.equal(rig.webhooks.replay(ORIGIN, null, webhookId, null), 1);
  rig.sender.soon();
  await until(() => rig.statesOf(webhookId).join() === 'delivered', 'the replay');
  assert.equal(receiver.posts.at(-1)?.headers['webhook-id'], id);
  assert.equal(rig.webhooks.show(null, webhookId).failingSince, null);
});

test('one that is gone says so, and one that is down or redirects inward is tried again', async (t) => {
  const gone = await Receiver.start(t, status(410));
  const inner = await Receiver.start(t);
  const redirecting = await Receiver.start(t, status(307, { location: inner.url }));
  const rig = startRig(t, [gone, redirecting, { port: 1 } as Receiver]);
  const hooks = [gone.url, redirecting.url, `http://${HERE}:1/`].map((url) => {
    return rig.webhooks.create(ORIGIN, null, { url }).record.webhookId;
  });
  rig.tell('1');
  const firstOf = (id: string) => rig.webhooks.deliveries(null, id, {}).items.at(-1);
  await until(() => hooks.every((id) => (firstOf(id)?.attempts ?? 0) > 0), 'the first calls');
  assert.deepEqual(
    hooks.map((id) => rig.statesOf(id).at(-1)),
    ['dead', 'waiting', 'waiting'],
  );
  assert.equal(rig.webhooks.show(null, hooks[0] ?? '').disabled, 'gone');
  for (let i = 0; i < 3; i += 1) await nextTry(rig, hooks[1] ?? '');
  assert.deepEqual(inner.posts, [], 'a redirect leads nowhere');
  const [redirected] = rig.webhooks.deliveries(null, hooks[1] ?? '', { limit: 1 }).items;
  const down = rig.webhooks.deliveries(null, hooks[2] ?? '', {}).items.at(-1);
  assert.ok([redirected?.code, down?.problem].join() === '307,econnrefused', `${down?.problem}`);
});

test('one that is moved during a call to where it was is not gone', async (t) => {
  const here = await Receiver.start(t);
  const before = await Receiver.start(t, status(410));
  const rig = startRig(t, [here, before]);
  const { webhookId } = rig.webhooks.create(ORIGIN, null, { url: before.url }).record;
  before.answer = (response, post) => {
    rig.webhooks.update(ORIGIN, null, webhookId, { url: here.url });
    status(410)(response, post);
  };
  rig.tell('1');
  await until(() => before.posts.length === 1 && rig.saw('webhook_called').length === 1, 'a call');
  assert.equal(rig.webhooks.show(null, webhookId).disabled, null);
  await nextTry(rig, webhookId);
  assert.deepEqual(rig.statesOf(webhookId), ['delivered']);
  assert.equal(here.posts.length, 1);
});

test('receivers that hang, never end or send too much do not hold up others', async (t) => {
  const bad: Answer[] = [
    () => undefined,
    (response) => void response.writeContinue(),
    (response) => {
      const drip = setInterval(() => response.write('x'.repeat(65_536)), 1);
      response.once('close', () => clearInterval(drip));
    },
    (response) => response.writeHead(200, { 'x-large': 'x'.repeat(32 * 1024) }).end(),
    (response) => {
      response.socket?.write('HTTP/1.1 200 OK\r\n');
      const drip = setInterval(() => response.socket?.write('x-more: y\r\n'), 1);
      response.once('close', () => clearInterval(drip));
    },
  ];
  const receivers = await Promise.all(bad.map((answer) => Receiver.start(t, answer)));
  const good = await Receiver.start(t);
  const rig = startRig(t, [...receivers, good]);
  const [ada, bob] = [rig.newClient('a'), rig.newClient('b')];
  const ids = receivers.map(
    ({ url }) => rig.webhooks.create(ORIGIN, ada, { url }).record.webhookId,
  );
  const fine = rig.webhooks.create(ORIGIN, bob, { url: good.url }).record.webhookId;
  for (let i = 0; i < 20; i += 1) rig.pause(ada, String(i));
  for (let i = 0; i < 20; i += 1) rig.pause(bob, String(i));
  await until(() => good.posts.length === 20, 'all of another client');
  await until(() => rig.statesOf(fine).every((state) => state === 'delivered'), 'and noted');
  const open = receivers.reduce((sum, receiver) => sum + receiver.open, 0);
  assert.ok(open <= LIMITS.webhookCallsPerOwnerMax, `${open} calls of one client at once`);
  const problems = () => rig.saw('webhook_called').map(({ fields }) => fields.problem);
  const isAllThere = () => {
    // A status that was said counts, whatever follows.
    const isTaken = rig.statesOf(ids[2] ?? '').includes('delivered');
    const wanted = ['timeout', 'und_err_headers_overflow'];
    return isTaken && wanted.every((problem) => problems().includes(problem));
  };
  for (let i = 0; i < 500 && !isAllThere(); i += 1) {
    rig.clock.advance(WEBHOOK_TIMEOUT_MS);
    await sleep(10);
  }
  assert.ok(isAllThere(), `${problems()}`);
});

test('a name that leads elsewhere after it was checked is not followed there', async (t) => {
  const inner = await Receiver.start(t);
  let answers = ['93.184.215.14'];
  const rig = startRig(t, [inner], async () => answers);
  const client = rig.newClient('a');
  const url = `https://rebinding.example:${inner.port}/`;
  await rig.webhooks.checkUrl(client, url);
  const strict = { ...rig, ca: TEST_CERTIFICATE, random: new SeededRandom(1) };
  await rig.sender.close();
  rig.webhooks.create(ORIGIN, client, { url });
  answers = [HERE];
  const sender = new WebhookSender(strict);
  cleanUp(t, () => sender.close());
  rig.pause(client, '1');
  sender.soon();
  await until(() => rig.saw('webhook_called').length === 1, 'the call');
  assert.equal(rig.saw('webhook_called')[0]?.fields.problem, 'address');
  assert.deepEqual(inner.posts, []);
  await assert.rejects(rig.webhooks.checkUrl(client, url), /not public/);
});

test('the connection goes to the address that was checked, under the name of the URL', async (t) => {
  const receiver = await Receiver.startTls(t);
  let asked = 0;
  const resolve = async () => {
    asked += 1;
    return asked === 1 ? [HERE] : ['93.184.215.14'];
  };
  const rig = startRig(t, [receiver], resolve);
  rig.webhooks.create(ORIGIN, null, { url: `https://receiver.example:${receiver.port}/hook` });
  rig.tell('1');
  await until(() => receiver.posts.length === 1, 'the post');
  const { headers } = must(receiver.posts[0], 'it came');
  assert.deepEqual(
    [headers.host, headers.servername],
    [`receiver.example:${receiver.port}`, 'receiver.example'],
  );
  assert.equal(asked, 1, 'the name was asked for once');
});

test('a receiver whose certificate is of another name gets nothing', async (t) => {
  const receiver = await Receiver.startTls(t);
  const rig = startRig(t, [receiver], async () => [HERE]);
  rig.webhooks.create(ORIGIN, null, { url: `https://other.example:${receiver.port}/hook` });
  rig.tell('1');
  await until(() => rig.saw('webhook_called').length === 1, 'the call');
  assert.equal(rig.saw('webhook_called')[0]?.fields.status, undefined);
  assert.deepEqual(receiver.posts, []);
});

test('what is under way when the process ends is posted again, under the same id', async (t) => {
  const receiver = await Receiver.start(t, () => undefined);
  const rig = startRig(t, [receiver]);
  const { webhookId } = rig.webhooks.create(ORIGIN, null, { url: receiver.url }).record;
  rig.tell('1');
  await until(() => receiver.posts.length === 1, 'the first post');
  await rig.sender.close();
  assert.deepEqual(rig.statesOf(webhookId), ['waiting']);
  receiver.answer = taken;
  rig.startSender();
  await until(() => rig.statesOf(webhookId).join() === 'delivered', 'the second');
  assert.equal(new Set(receiver.posts.map(({ headers }) => headers['webhook-id'])).size, 1);
});

test('a name server that takes long does not keep the process from ending', async (t) => {
  const receiver = await Receiver.start(t);
  const asked = Promise.withResolvers<void>();
  const rig = startRig(t, [receiver], () => {
    asked.resolve();
    return new Promise(() => undefined);
  });
  const url = `http://slow.example:${receiver.port}/`;
  const { webhookId } = rig.webhooks.create(ORIGIN, null, { url }).record;
  rig.tell('1');
  await asked.promise;
  await rig.sender.close();
  assert.deepEqual(rig.statesOf(webhookId), ['waiting']);
});

test('a webhook that is removed or disabled while something waits gets nothing more', async (t) => {
  const receiver = await Receiver.start(t, status(503));
  const rig = startRig(t, [receiver]);
  const [one, two] = [1, 2].map(() => {
    return rig.webhooks.create(ORIGIN, null, { url: receiver.url }).record.webhookId;
  });
  rig.tell('1');
  await until(() => rig.saw('webhook_called').length === 2, 'the first calls');
  rig.webhooks.remove(ORIGIN, null, one ?? '');
  rig.webhooks.update(ORIGIN, null, two ?? '', { enabled: false });
  rig.clock.advance(HOUR_MS);
  await sleep(30);
  assert.equal(receiver.posts.length, 2);
  assert.deepEqual([rig.statesOf(one ?? ''), rig.statesOf(two ?? '')], [['dropped'], ['dead']]);
});
