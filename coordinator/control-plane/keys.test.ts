import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, it } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { quietLog } from '../../shared/log/log.ts';
import { isApiKey } from '../auth/api-key.ts';
import { KeyDigester } from '../auth/key-digest.ts';
import { ControlStore } from '../store/control-store.ts';
import { ClientAdmin } from './clients.ts';
import { KeyAdmin } from './keys.ts';

const digester = new KeyDigester('pepper'.repeat(8));

let folder: string;
let store: ControlStore;
const ORIGIN = { actor: 'operator', requestId: 'req_aaaaaaaaaaaaaaaa' };

let keys: KeyAdmin;
let clientId: string;
/** What the caches were told, in order. */
let told: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-keys-'));
  const clock = new ManualClock();
  store = ControlStore.open(join(folder, 'control.db'), { clock });
  told = [];
  const caches = {
    keyCreated: () => told.push('created'),
    epochRaised: (_client: string, epoch: number) => told.push(`epoch ${epoch}`),
  };
  const base = { store, random: secureRandom, log: quietLog, clock };
  const digest = (key: string) => digester.digest(key);
  keys = new KeyAdmin({ ...base, caches, digest, keysMax: () => 3 });
  const erasure = { plan: () => undefined };
  const clients = new ClientAdmin({
    ...base,
    caches,
    limitsChanged: () => undefined,
    erasure,
    tell: () => undefined,
  });
  clientId = clients.create(ORIGIN, { name: 'acme' }).clientId;
});

afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

it('tells the caches of each creation and of each raised epoch', () => {
  const first = keys.create(ORIGIN, { clientId, mode: 'live', name: 'a' });
  const second = keys.create(ORIGIN, { clientId, mode: 'live', name: 'b' });
  keys.revoke(ORIGIN, { clientId, keyId: first.record.keyId });
  keys.revoke(ORIGIN, { clientId, keyId: second.record.keyId });
  assert.deepEqual(
    told.filter((what) => what !== 'created'),
    ['epoch 2', 'epoch 3'],
  );
  assert.deepEqual(told.slice(0, 2), ['created', 'created']);
});

it('stores the digest of the secret it returns, and its prefix', () => {
  const { record, secret } = keys.create(ORIGIN, { clientId, mode: 'test', name: 'a' });
  assert.ok(isApiKey(secret));
  const { prefix = '' } = record.secrets[0] ?? {};
  assert.ok(secret.startsWith(`bh_test_${prefix}`));
  const [credential] = store.apiKeys.byPrefix(prefix);
  assert.deepEqual(credential?.digest, digester.digest(secret));
});

it('bounds the keys of a client, and makes room by revoking', () => {
  const { record } = keys.create(ORIGIN, { clientId, mode: 'live', name: 'a' });
  for (const name of ['b', 'c']) keys.create(ORIGIN, { clientId, mode: 'live', name });
  const oneMore = () => keys.create(ORIGIN, { clientId, mode: 'live', name: 'd' });
  assert.throws(oneMore, { code: 'quota_exceeded' });
  keys.revoke(ORIGIN, { clientId, keyId: record.keyId });
  oneMore();
  assert.throws(oneMore, /at most 3 live keys: revoke one first/);
});

it('pages by id, with revoked keys', () => {
  const ids = ['a', 'b', 'c'].map(
    (name) => keys.create(ORIGIN, { clientId, mode: 'live', name }).record.keyId,
  );
  keys.revoke(ORIGIN, { clientId, keyId: ids[0] ?? '' });
  const sorted = ids.toSorted();
  const first = keys.list({ clientId, limit: 2 });
  assert.deepEqual(
    first.items.map((key) => key.keyId),
    sorted.slice(0, 2),
  );
  assert.equal(first.next, sorted[1]);
  const rest = keys.list({ clientId, limit: 2, after: first.next ?? '' });
  assert.deepEqual(
    rest.items.map((key) => key.keyId),
    sorted.slice(2),
  );
  assert.equal(rest.next, null);
});
