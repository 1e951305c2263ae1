import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, it } from 'node:test';
import { must } from '../../shared/base/assert.ts';
import { ManualClock } from '../../shared/base/clock.ts';
import { type ClientId, type KeyId, randomId } from '../../shared/base/ids.ts';
import { secureRandom } from '../../shared/base/random.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import type { KeyCredential } from '../store/api-keys.ts';
import { ControlStore } from '../store/control-store.ts';
import { createApiKey, prefixOf } from './api-key.ts';
import { Authenticator, type AuthenticatorDeps } from './authenticator.ts';
import { Epochs } from './epochs.ts';
import { KeyDigester } from './key-digest.ts';
import { createKeyHash, type KeyHash } from './key-hash.ts';

const REFUSED = { code: 'unauthenticated', message: 'a valid API key is needed' };
const digester = new KeyDigester('pepper'.repeat(8));
const fullHash = await createKeyHash(secureRandom.bytes);

let folder: string;
let store: ControlStore;
let clock: ManualClock;
/** Rows read since the test began. */
let reads: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-auth-'));
  clock = new ManualClock();
  store = ControlStore.open(join(folder, 'control.db'), { clock });
  reads = 0;
});

afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

function newAuthenticator(
  changes: Partial<AuthenticatorDeps> = {},
  options: { knownMax?: number; unknownMax?: number } = {},
): Authenticator {
  const keys = {
    byPrefix(prefix: string): KeyCredential[] {
      reads += 1;
      return store.apiKeys.byPrefix(prefix);
    },
  };
  const deps = { keys, epochs: new Epochs(), digester, hash: fullHash, clock, ...changes };
  return new Authenticator(deps, options);
}

function newClient(): ClientId {
  const clientId = randomId<ClientId>('cl_', secureRandom.bytes);
  store.clients.create({ clientId, name: 'c' });
  return clientId;
}

function storeKey(
  clientId: ClientId,
  options: { key?: string; mode?: Mode; prefix?: string; expiresAt?: number } = {},
) {
  const mode = options.mode ?? 'live';
  const key = options.key ?? createApiKey(mode, secureRandom.bytes);
  const keyId = randomId<KeyId>('key_', secureRandom.bytes);
  store.apiKeys.create({
    keyId,
    clientId,
    mode,
    secret: { prefix: options.prefix ?? prefixOf(key), digest: digester.digest(key) },
    name: 'k',
    role: 'admin',
    namespaces: null,
    requestsPerSecond: null,
    expiresAt: options.expiresAt ?? null,
  });
  return { key, keyId, clientId, mode };
}

it('names the client, mode and key, and reads the database once', () => {
  const { key, keyId, clientId, mode } = storeKey(newClient(), { mode: 'test' });
  const authenticator = newAuthenticator();
  for (let i = 0; i < 5; i += 1) {
    assert.deepEqual(authenticator.authenticate(key), {
      ...{ clientId, mode, keyId, role: 'admin' },
      ...{ namespaces: null, namespace: 'default', requestsPerSecond: null, endsAt: null },
    });
  }
  assert.equal(reads, 1);
});

it('refuses a malformed key before any hash or read', () => {
  let hashes = 0;
  const hash: KeyHash = (key) => {
    hashes += 1;
    return fullHash(key);
  };
  const { key } = storeKey(newClient());
  const authenticator = newAuthenticator({ hash });
  for (const text of ['', 'x', `${key} `, key.slice(0, -1), key.replace('live', 'test')]) {
    assert.throws(() => authenticator.authenticate(text), REFUSED);
  }
  assert.equal(hashes, 0);
  assert.equal(reads, 0);
});

it('remembers an unknown key for a few seconds only', () => {
  const authenticator = newAuthenticator();
  const key = createApiKey('live', secureRandom.bytes);
  for (let i = 0; i < 3; i += 1) assert.throws(() => authenticator.authenticate(key), REFUSED);
  assert.equal(reads, 1);
  clock.advance(10_000);
  assert.throws(() => authenticator.authenticate(key), REFUSED);
  assert.equal(reads, 2);
});

it('accepts a created key at once although it was tried before', () => {
  const authenticator = newAuthenticator();
  const key = createApiKey('live', secureRandom.bytes);
  assert.throws(() => authenticator.authenticate(key), REFUSED);
  const { keyId } = storeKey(newClient(), { key });
  authenticator.keyCreated();
  assert.equal(authenticator.authenticate(key).keyId, keyId);
});

it('refuses a revoked key at once; other keys of the client cost one read and go on', () => {
  const clientId = newClient();
  const [revoked, kept] = [storeKey(clientId), storeKey(clientId)];
  const stranger = storeKey(newClient());
  const authenticator = newAuthenticator();
  for (const { key } of [revoked, kept, stranger]) authenticator.authenticate(key);
  const record = must(store.apiKeys.get(clientId, revoked.keyId), 'it is there');
  const { epoch } = store.apiKeys.revoke(record);
  authenticator.epochRaised(clientId, epoch);
  reads = 0;
  assert.throws(() => authenticator.authenticate(revoked.key), REFUSED);
  assert.equal(authenticator.authenticate(kept.key).keyId, kept.keyId);
  assert.equal(authenticator.authenticate(stranger.key).keyId, stranger.keyId);
  assert.equal(reads, 2);
  for (let i = 0; i < 3; i += 1) authenticator.authenticate(kept.key);
  assert.equal(reads, 2);
});

it('ignores an epoch that is told late', () => {
  const { key, clientId } = storeKey(newClient());
  const epochs = new Epochs();
  const authenticator = newAuthenticator({ epochs });
  authenticator.epochRaised(clientId, 1);
  authenticator.authenticate(key);
  authenticator.epochRaised(clientId, 0);
  authenticator.authenticate(key);
  assert.equal(reads, 1);
  assert.equal(epochs.current(clientId), 1);
});

it('refuses a key from its expiry on, cached or not', () => {
  const { key, keyId } = storeKey(newClient(), { expiresAt: clock.now() + 1_000 });
  const authenticator = newAuthenticator();
  assert.equal(authenticator.authenticate(key).keyId, keyId);
  clock.advance(999);
  assert.equal(authenticator.authenticate(key).keyId, keyId);
  clock.advance(1);
  assert.throws(() => authenticator.authenticate(key), REFUSED);
  assert.throws(() => newAuthenticator().authenticate(key), REFUSED);
});

it('tells keys of one prefix apart', () => {
  const clientId = newClient();
  const keys = Array.from({ length: 8 }, () => createApiKey('live', secureRandom.bytes));
  const shared = prefixOf(keys[0] ?? '');
  // Real keys of one prefix can not be made in reasonable time, so the look-up is bent instead.
  const made = keys.map((key) => storeKey(clientId, { key, prefix: shared }));
  const byPrefix = () => store.apiKeys.byPrefix(shared);
  const authenticator = newAuthenticator({ keys: { byPrefix } });
  for (const { key, keyId } of made) {
    assert.equal(authenticator.authenticate(key).keyId, keyId);
  }
  const stranger = createApiKey('live', secureRandom.bytes);
  assert.throws(() => authenticator.authenticate(stranger), REFUSED);
});

it('never takes one key for another when the hash is cut to 8 bits', () => {
  const made = Array.from({ length: 600 }, () => storeKey(newClient()));
  const unknown = Array.from({ length: 300 }, () => createApiKey('live', secureRandom.bytes));
  const authenticator = newAuthenticator({ hash: (key) => fullHash(key) & 0xffn });
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < made.length; i += 1) {
      const { key, keyId, clientId } = made[(i * 7) % made.length] as (typeof made)[number];
      const principal = authenticator.authenticate(key);
      assert.equal(principal.keyId, keyId);
      assert.equal(principal.clientId, clientId);
      const stranger = unknown[i % unknown.length] ?? '';
      assert.throws(() => authenticator.authenticate(stranger), REFUSED);
    }
  }
});

it('keeps known keys through a flood of unknown ones', () => {
  const { key } = storeKey(newClient());
  const authenticator = newAuthenticator({}, { knownMax: 4, unknownMax: 4 });
  authenticator.authenticate(key);
  for (let i = 0; i < 50; i += 1) {
    const stranger = createApiKey('live', secureRandom.bytes);
    assert.throws(() => authenticator.authenticate(stranger), REFUSED);
  }
  reads = 0;
  authenticator.authenticate(key);
  assert.equal(reads, 0);
});

it('says without a digest which keys may hold', () => {
  const { key } = storeKey(newClient());
  const used = storeKey(newClient()).key;
  const authenticator = newAuthenticator();
  authenticator.authenticate(used);
  Object.assign(digester, { digest: (): Buffer => assert.fail('a digest was computed') });
  try {
    assert.deepEqual([authenticator.mayHold(key), authenticator.mayHold(used)], [true, true]);
    assert.equal(authenticator.mayHold(createApiKey('live', secureRandom.bytes)), false);
    assert.equal(authenticator.mayHold('x'), false);
  } finally {
    Reflect.deleteProperty(digester, 'digest');
  }
});
