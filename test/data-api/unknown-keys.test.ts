/** Keys that do not hold, at every endpoint: one answer whatever the reason, and no worker hears. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDataServer } from '../../coordinator/http/data-server.ts';
import { GracefulClose } from '../../coordinator/http/graceful-close.ts';
import { DATA_ENDPOINTS } from '../../coordinator/http/routes/data/endpoints.ts';
import { BadKeys } from '../../coordinator/limits/bad-keys.ts';
import { RateLimiter } from '../../coordinator/limits/rate-limiter.ts';
import { RequestRates } from '../../coordinator/limits/request-rates.ts';
import { must } from '../../shared/base/assert.ts';
import { ManualClock, systemClock } from '../../shared/base/clock.ts';
import { type Cleanup, cleanUp } from '../harness/cleanup.ts';
import { type DataRequest, requestOf, SMALL_COLLECTION } from '../harness/data-requests.ts';
import { KeyRing } from '../harness/key-ring.ts';
import { takeSeed } from '../harness/seed.ts';
import { CLIENT_A, startRig } from './data-rig.ts';

const COLLECTION = 'own';
const REFUSED = 'a valid API key is needed';
/** Endpoints that the catalog alone answers: list, show and so on. */
const ASKING_WORKERS_MIN = 18;

/** The rig's parts behind the real authenticator. */
async function startKeyed(t: Cleanup, seed: number) {
  const rig = await startRig(t);
  const ring = await KeyRing.open(t, { seed });
  const limits = must(rig.store.plans.get('dedicated'), 'it is there from the start').limits;
  const clock = systemClock;
  const patience = new ManualClock();
  const server = createDataServer(
    {
      authenticator: ring.authenticator,
      work: rig.work,
      badKeys: new BadKeys(new RateLimiter({ clock: patience })),
      plane: rig.plane,
      writeOnce: rig.writeOnce,
      clientLimits: { of: () => limits },
      rates: new RequestRates({
        clients: new RateLimiter({ clock }),
        keys: new RateLimiter({ clock }),
      }),
      inFlight: rig.inFlight,
      ...rig.noting,
      notReady: () => undefined,
      log: { event: (event, fields) => void rig.events.push({ event, fields }) },
      clock,
    },
    { requestTimeoutMs: 5_000, queryTimeoutMs: 2_000 },
  );
  const ending = new GracefulClose(server, clock);
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  cleanUp(t, () => ending.close());
  return { ...rig, ring, url, patience };
}

/** Keys that do not hold, by why. */
function badKeys(ring: KeyRing): Record<string, string> {
  const client = ring.addClient(CLIENT_A);
  const [revoked, used] = [ring.addKey(client), ring.addKey(client)];
  ring.revoke(revoked);
  ring.ask(used.key);
  ring.revoke(used);
  const { key } = ring.addKey(client);
  return {
    unknown: ring.newKey('live'),
    'unknown, of the other mode': ring.newKey('test'),
    revoked: revoked.key,
    'revoked after it was used': used.key,
    'with a wrong last character': key.slice(0, -1) + (key.endsWith('0') ? '1' : '0'),
    'cut off': key.slice(0, -1),
    'of no form at all': 'swordfish',
    'very long': key.repeat(50),
  };
}

async function ask(url: string, request: DataRequest, headers: Record<string, string>) {
  const { method, path, body } = request;
  const json: Record<string, string> =
    body === undefined ? {} : { 'content-type': 'application/json' };
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...json, ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  return {
    status: response.status,
    challenge: response.headers.get('www-authenticate'),
    rate: response.headers.get('ratelimit'),
    text: text.replace(/"time":[0-9.e-]+/, '"time":0'),
  };
}

test('keys that do not hold get one answer at every endpoint, and cost no worker anything', async (t) => {
  const { ring, worker, url, patience } = await startKeyed(t, takeSeed(t, 20_261_132));
  const bad = badKeys(ring);
  const { key } = ring.addKey(CLIENT_A, ring.newKey('live'), 'admin');
  const admin = { 'api-key': key };
  const creation = { method: 'PUT', path: `/collections/${COLLECTION}` } as const;
  const made = await ask(url, { ...creation, body: SMALL_COLLECTION }, admin);
  assert.equal(made.status, 200, made.text);
  const body = `{"status":{"error":"${REFUSED}"},"time":0,"result":null,"code":"unauthenticated"}`;
  const refusal = { status: 401, challenge: 'Bearer', rate: null, text: body };
  const sentBefore = worker.sent.length;
  for (const endpoint of DATA_ENDPOINTS) {
    const request = requestOf(endpoint, COLLECTION);
    for (const [why, bearer] of Object.entries(bad)) {
      // Nobody presents so many at once that the address is slowed down.
      patience.advance(2_000);
      const context = `${endpoint.method} ${endpoint.url}, ${why}`;
      assert.deepEqual(await ask(url, request, { 'api-key': bearer }), refusal, context);
      const authorization = `Bearer ${bearer}`;
      assert.deepEqual(await ask(url, request, { authorization }), refusal, context);
    }
  }
  assert.equal(worker.sent.length, sentBefore, 'no worker heard of them');
});

test('and a good key does reach the worker with the same requests', async (t) => {
  const { ring, worker, url } = await startKeyed(t, takeSeed(t, 20_261_133));
  const { key } = ring.addKey(ring.addClient(CLIENT_A), ring.newKey('live'), 'admin');
  const admin = { 'api-key': key };
  let reached = 0;
  for (const [i, endpoint] of DATA_ENDPOINTS.entries()) {
    const name = `${COLLECTION}-${i}`;
    const creation = { method: 'PUT', path: `/collections/${name}` } as const;
    await ask(url, { ...creation, body: SMALL_COLLECTION }, admin);
    const before = worker.sent.length;
    const { status, text } = await ask(url, requestOf(endpoint, name), admin);
    assert.notEqual(status, 401, text);
    if (worker.sent.length > before) reached += 1;
  }
  assert.ok(reached >= ASKING_WORKERS_MIN, `only ${reached} of ${DATA_ENDPOINTS.length}`);
});
