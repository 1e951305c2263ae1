import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientId } from '../../shared/base/ids.ts';
import { InFlight } from './in-flight.ts';

const A = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const B = 'cl_bbbbbbbbbbbbbbbb' as ClientId;
const OPTIONS = { requestsPerClientMax: 2, bodyBytesPerClientMax: 100, bodyBytesMax: 150 };

test("a client's bounds are its own", () => {
  const inFlight = new InFlight(OPTIONS);
  const leave = inFlight.enter(A, 0);
  inFlight.enter(A, 0);
  assert.throws(() => inFlight.enter(A, 0), { code: 'too_many_requests' });
  inFlight.enter(B, 0);
  assert.deepEqual([inFlight.count(A), inFlight.count(B)], [2, 1]);
  leave();
  inFlight.enter(A, 0);
});

test('bodies are bounded per client and over all', () => {
  const inFlight = new InFlight(OPTIONS);
  assert.throws(() => inFlight.enter(A, 101), { code: 'too_many_requests' });
  const leave = inFlight.enter(A, 100);
  assert.throws(() => inFlight.enter(A, 1), { code: 'too_many_requests' });
  assert.throws(() => inFlight.enter(B, 51), { code: 'overloaded' });
  inFlight.enter(B, 50);
  leave();
  inFlight.enter(A, 100);
});

test('a refused request takes nothing, and a place is given back once', () => {
  const inFlight = new InFlight(OPTIONS);
  assert.throws(() => inFlight.enter(A, 1_000));
  const leave = inFlight.enter(A, 1);
  leave();
  assert.throws(leave, { name: 'AssertionError' });
  assert.equal(inFlight.count(A), 0);
});
