/** Random keys that nobody has: they cost good keys nothing, and memory stays what it is. */
import assert from 'node:assert/strict';
import { Session } from 'node:inspector/promises';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import { SeededRandom, secureRandom } from '../../shared/base/random.ts';
import { type HeldKey, KeyRing, principalOf } from '../../test/harness/key-ring.ts';
import { takeSeed } from '../../test/harness/seed.ts';
import type { KeyCredential } from '../store/api-keys.ts';
import { createApiKey, prefixOf } from './api-key.ts';
import { Authenticator } from './authenticator.ts';
import { Epochs } from './epochs.ts';
import { KeyDigester } from './key-digest.ts';
import { createKeyHash } from './key-hash.ts';

const GOOD_KEYS = 200;
const FLOOD_KEYS = 300_000;
/** 10,000 a second. */
const FLOOD_KEYS_A_MS = 10;
/** Good keys are asked for as often as every third of the others. */
const GOOD_EVERY = 3;
const GROWTH_BYTES_MAX = 3 * 2 ** 20;
/** As `authenticator.ts` has them. */
const KNOWN_MAX = 10_000;
const UNKNOWN_MAX = 1_000;
/** Enough for what they leave in the pool of buffers to be a page of it for each key. */
const REQUESTS_BETWEEN = 300;
const KNOWN_BYTES_MAX = 2_048;

const wholeHash = await createKeyHash(secureRandom.bytes);

test('300,000 random keys cost no good key a read, and no memory', async (t) => {
  const seed = takeSeed(t, 20_261_128);
  const ring = await KeyRing.open(t, { seed });
  const client = ring.addClient();
  const good = Array.from({ length: GOOD_KEYS }, () => ring.addKey(client));
  for (const held of good) assertHolds(ring, held);
  assert.equal(ring.reads, GOOD_KEYS);
  flood(ring, good, FLOOD_KEYS / 3);
  const before = await bytesInUse(t);
  flood(ring, good, (2 * FLOOD_KEYS) / 3);
  const grown = (await bytesInUse(t)) - before;
  assert.equal(ring.reads, GOOD_KEYS + FLOOD_KEYS, 'one read for each key that nobody has');
  t.diagnostic(`grown by ${Math.round(grown / 1024)} KiB in the last two thirds`);
  assert.ok(grown < GROWTH_BYTES_MAX, `grown by ${grown} bytes, seed ${seed}`);
});

test(`of unknown keys the last ${UNKNOWN_MAX} are remembered, and no more`, async (t) => {
  const seed = takeSeed(t, 20_261_129);
  const ring = await KeyRing.open(t, { seed });
  const keys = Array.from({ length: 3 * UNKNOWN_MAX }, () => ring.newKey());
  for (const key of keys) assert.equal(ring.ask(key), undefined);
  assert.equal(rememberedOf(ring, keys), UNKNOWN_MAX, `seed ${seed}`);
});

test(`of good keys the last ${KNOWN_MAX} are remembered, and no more`, (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_130));
  const inMemory = new KeysInMemory();
  const keys = Array.from({ length: KNOWN_MAX + 500 }, () => inMemory.add(random));
  const { authenticator } = inMemory;
  for (const key of keys) assert.ok(principalOf(authenticator, key));
  assert.equal(rememberedOf(inMemory, keys), KNOWN_MAX);
});

test('a remembered key holds no memory of the requests around it', async (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_131));
  const inMemory = new KeysInMemory();
  const { authenticator } = inMemory;
  const [busy = '', ...keys] = Array.from({ length: 1_000 }, () => inMemory.add(random));
  const ask = (key: string) => {
    assert.ok(principalOf(authenticator, key));
    for (let i = 0; i < REQUESTS_BETWEEN; i += 1) authenticator.authenticate(busy);
  };
  ask(busy);
  const before = await bytesInUse(t);
  for (const key of keys) ask(key);
  const each = ((await bytesInUse(t)) - before) / keys.length;
  t.diagnostic(`${Math.round(each)} bytes a key`);
  assert.ok(each < KNOWN_BYTES_MAX, `${each} bytes a key`);
});

function assertHolds(ring: KeyRing, { key, principal }: HeldKey): void {
  assert.equal(ring.ask(key)?.keyId, principal.keyId);
}

/** Unknown keys, each tried once and forgotten here, with good ones in between. */
function flood(ring: KeyRing, good: readonly HeldKey[], count: number): void {
  for (let i = 0; i < count; i += 1) {
    assert.equal(ring.ask(ring.newKey('live')), undefined);
    if (i % GOOD_EVERY === 0) assertHolds(ring, ring.random.pick(good));
    if (i % FLOOD_KEYS_A_MS === 0) ring.clock.advance(1);
  }
}

/** How many are answered without a read. From the newest back: what is read takes an older's place. */
function rememberedOf(source: Readable, keys: readonly string[]): number {
  let count = 0;
  for (const key of keys.toReversed()) {
    const before = source.reads;
    principalOf(source.authenticator, key);
    if (source.reads === before) count += 1;
  }
  return count;
}

/** Of the heap and of buffers outside it, after a full collection. */
async function bytesInUse(t: TestContext): Promise<number> {
  const session = new Session();
  session.connect();
  t.after(() => session.disconnect());
  await session.post('HeapProfiler.collectGarbage');
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

type Readable = Pick<KeyRing, 'authenticator' | 'reads'>;

/** Good keys without a database: thousands of transactions would only take time. */
class KeysInMemory {
  reads = 0;
  readonly authenticator: Authenticator;
  readonly #rows = new Map<string, KeyCredential>();
  readonly #digester = new KeyDigester('pepper'.repeat(8));

  constructor() {
    const byPrefix = (prefix: string): KeyCredential[] => {
      this.reads += 1;
      const row = this.#rows.get(prefix);
      return row === undefined ? [] : [row];
    };
    this.authenticator = new Authenticator({
      keys: { byPrefix },
      epochs: new Epochs(),
      digester: this.#digester,
      hash: wholeHash,
      clock: new ManualClock(),
    });
  }

  add(random: SeededRandom): string {
    const key = createApiKey('live', (count) =>
      Uint8Array.from({ length: count }, () => random.below(256)),
    );
    this.#rows.set(prefixOf(key), {
      keyId: `key_${this.#rows.size}` as KeyId,
      clientId: 'cl_aaaaaaaaaaaaaaaa' as ClientId,
      mode: 'live',
      role: 'reader',
      namespaces: null,
      requestsPerSecond: null,
      digest: this.#digester.digest(key),
      expiresAt: null,
      epoch: 1,
    });
    return key;
  }
}
