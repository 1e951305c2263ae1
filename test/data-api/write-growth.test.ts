/** What the coordinator takes for the most that a payload change adds, against what it adds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { growthMax, type Write } from '../../coordinator/data-plane/write.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { stringifyJson } from '../../shared/domain/json.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { parsePayloadPath } from '../../shared/domain/payload-path.ts';
import type { JsonObject, JsonValue } from '../../shared/domain/point.ts';
import type { PayloadChange } from '../../shared/protocol/messages/payload-update.ts';
import { compilePayloadChange } from '../../worker/points/payload-change.ts';
import { takeSeed } from '../harness/seed.ts';

const CONFIG = { dimension: 4, distance: 'Dot' } as const;
const KEYS = ['a', 'b', 'a "quoted" one', 'ключ', '\u2028'];
const ROUNDS = 20_000;

function randomValue(random: SeededRandom, depth: number): JsonValue {
  switch (random.below(depth > 0 ? 8 : 5)) {
    case 0:
      return null;
    case 1:
      return random.below(2) === 0;
    case 2:
      return random.below(3) === 0
        ? 12345678901234567890n
        : random.normal() * 10 ** random.below(25);
    case 3:
    case 4:
      return 'é"\n\ud800x'.repeat(random.below(4));
    case 5:
      return Array.from({ length: random.below(4) }, () => randomValue(random, depth - 1));
    default:
      return randomObject(random, depth - 1);
  }
}

function randomObject(random: SeededRandom, depth: number): JsonObject {
  const object: JsonObject = {};
  for (let keys = random.below(4); keys > 0; keys -= 1) {
    object[KEYS[random.below(KEYS.length)] ?? 'a'] = randomValue(random, depth);
  }
  return object;
}

function randomPath(random: SeededRandom): string {
  const steps = Array.from({ length: 1 + random.below(3) }, () => {
    const key = ['a', 'b', '"a [quoted] one"', 'ключ'][random.below(4)] ?? 'a';
    return `${key}${random.below(4) === 0 ? `[${random.below(3)}]` : ''}`;
  });
  return steps.join('.');
}

/** What the API would have stored. */
const bytesOf = (object: JsonObject) => Buffer.from(stringifyJson(object));

function randomChange(random: SeededRandom): PayloadChange {
  const payload = bytesOf(randomObject(random, 2));
  const kinds = ['overwrite', 'set', 'set-at', 'set-at', 'delete-keys', 'clear'] as const;
  const kind = kinds[random.below(kinds.length)] ?? 'clear';
  const path = parsePayloadPath(randomPath(random), 'key');
  switch (kind) {
    case 'overwrite':
    case 'set':
      return { kind, payload };
    case 'set-at':
      return { kind: 'set', payload, at: path };
    case 'delete-keys':
      return { kind, paths: [path] };
    case 'clear':
      return { kind };
  }
}

function growthOf(change: PayloadChange, points = 1): number {
  const ids = Array.from({ length: points }, (_, id) => id);
  const write: Write = { name: 'payload-update', body: { points: { kind: 'ids', ids }, change } };
  return growthMax(write, CONFIG, 0).bytes;
}

test('a payload change adds no more than it is taken to add at most', (t) => {
  const random = new SeededRandom(takeSeed(t, 20261126));
  let tight = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = random.below(5) === 0 ? null : bytesOf(randomObject(random, 3));
    const change = randomChange(random);
    const after = compilePayloadChange(change)(before);
    const added = (after?.length ?? 0) - (before?.length ?? 0);
    const most = growthOf(change);
    assert.ok(added <= most, `${JSON.stringify(change)} on ${before}: ${added} of ${most}`);
    if (added > 0 && added >= 0.7 * most) tight += 1;
  }
  assert.ok(tight > ROUNDS / 20, `near the bound ${tight} times`);
});

test('a change of every element may add as much as a payload can hold', () => {
  const at = parsePayloadPath('a[].b', 'key');
  const change = { kind: 'set', payload: Buffer.from('{"c":1}'), at } as const;
  assert.equal(growthOf(change, 3), 3 * LIMITS.payloadBytesMax);
});

test('an upsert may add all that it brings', () => {
  const payloads = [Buffer.from('{"a":1}'), null];
  const write: Write = { name: 'points-upsert', body: { ids: [1, 2], names: [''], payloads } };
  assert.deepEqual(growthMax(write, CONFIG, 0), { points: 2, bytes: 2 * 16 + 7 });
});
