/**
 * The fast hash says nothing about identity. Here it is cut to 8 bits, so that hundreds of keys
 * meet in 256 slots and nearly every look-up finds another key's entry in its place.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientId } from '../../shared/base/ids.ts';
import type { SeededRandom } from '../../shared/base/random.ts';
import { type HeldKey, KeyRing } from '../../test/harness/key-ring.ts';
import { byProfile } from '../../test/harness/profile.ts';
import { takeSeed } from '../../test/harness/seed.ts';

const SLOT_BITS = 8;
const LOOK_UPS = byProfile(200_000, 1_000_000);
const CLIENTS = 12;
const KEYS = 300;
const STRANGERS = 300;
/** Look-ups between two changes; each change is a transaction on disk. */
const CHANGE_EVERY = 2_000;
/** Of all look-ups, in per cent: keys that hold, keys that nobody has. The rest are revoked ones. */
const SHARE_HELD = 60;
const SHARE_UNKNOWN = 25;

/** All keys there are by what should become of them. */
interface Population {
  held: HeldKey[];
  unknown: string[];
  revoked: string[];
}

test('look-ups in 256 slots take no key for another', async (t) => {
  const seed = takeSeed(t, 20_261_127);
  const ring = await KeyRing.open(t, { seed, slotBits: SLOT_BITS });
  const clients = Array.from({ length: CLIENTS }, () => ring.addClient());
  const population: Population = {
    held: Array.from({ length: KEYS }, (_, i) => ring.addKey(clients[i % CLIENTS] as ClientId)),
    unknown: Array.from({ length: STRANGERS }, () => ring.newKey()),
    revoked: [],
  };
  const confusions = { foreign: 0, shutOut: 0, letIn: 0 };
  const asked = { held: 0, unknown: 0, revoked: 0 };
  ring.reads = 0;
  for (let i = 0; i < LOOK_UPS; i += 1) {
    if (i % CHANGE_EVERY === 0) {
      revokeOne(ring, population);
      addOne(ring, population, ring.random.pick(clients));
    }
    const kind = drawKind(ring.random);
    asked[kind] += 1;
    if (kind === 'held') {
      const { key, principal } = ring.random.pick(population.held);
      const found = ring.ask(key);
      if (found === undefined) confusions.shutOut += 1;
      else if (!isSame(found, principal)) confusions.foreign += 1;
    } else if (ring.ask(ring.random.pick(population[kind])) !== undefined) {
      confusions.letIn += 1;
    }
  }
  t.diagnostic(`asked ${JSON.stringify(asked)}, of them ${ring.reads} read the database`);
  assert.deepEqual(confusions, { foreign: 0, shutOut: 0, letIn: 0 }, `seed ${seed}`);
  assert.ok(ring.reads > LOOK_UPS / 4, 'the keys did push each other out of their slots');
});

function drawKind(random: SeededRandom): keyof Population {
  const drawn = random.below(100);
  if (drawn < SHARE_HELD) return 'held';
  return drawn < SHARE_HELD + SHARE_UNKNOWN ? 'unknown' : 'revoked';
}

function isSame(found: HeldKey['principal'], wanted: HeldKey['principal']): boolean {
  const { clientId, mode, keyId, role } = found;
  return (
    keyId === wanted.keyId &&
    clientId === wanted.clientId &&
    mode === wanted.mode &&
    role === wanted.role
  );
}

/** One that was just asked for, so that its entry is in the cache. */
function revokeOne(ring: KeyRing, { held, revoked }: Population): void {
  const [gone] = held.splice(ring.random.below(held.length), 1) as [HeldKey];
  ring.ask(gone.key);
  ring.revoke(gone);
  revoked.push(gone.key);
}

/** Every other one was asked for, and noted as unknown, before it came to be. */
function addOne(ring: KeyRing, { held, unknown }: Population, clientId: ClientId): void {
  if (ring.random.below(2) === 0) {
    held.push(ring.addKey(clientId));
    return;
  }
  const [wanted] = unknown.splice(ring.random.below(unknown.length), 1) as [string];
  ring.ask(wanted);
  held.push(ring.addKey(clientId, wanted));
  unknown.push(ring.newKey());
}
