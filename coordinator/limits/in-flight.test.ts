import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientId } from '../../shared/base/ids.ts';
import { InFlight } from './in-flight.ts';

const A = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const B = 'cl_bbbbbbbbbbbbbbbb' as ClientId;
const OPTIONS = {
  bodyBytesPerClientMax: 100,
  bodyBytesMax: 150,
  smallBodyBytesMax: 10,
};

test("a client's bounds are its own", () => {
  const inFlight = new InFlight(OPTIONS);
  const first = inFlight.enter(A, 2, 0);
  inFlight.enter(A, 2, 0);
  assert.throws(() => inFlight.enter(A, 2, 0), { code: 'too_many_requests' });
  inFlight.enter(B, 2, 0);
  assert.deepEqual([inFlight.count(A), inFlight.count(B)], [2, 1]);
  first.leave();
  inFlight.enter(A, 2, 0);
});

test('what a client announces is kept for it, out of its own bound', () => {
  const inFlight = new InFlight(OPTIONS);
  assert.throws(() => inFlight.enter(A, 2, 101), { code: 'too_many_requests' });
  const place = inFlight.enter(A, 2, 100);
  assert.throws(() => inFlight.enter(A, 2, 1), { code: 'too_many_requests' });
  place.receive(60);
  place.receive(40);
  assert.throws(() => place.receive(1), { code: 'too_many_requests' });
  place.leave();
  inFlight.enter(A, 2, 100);
});

test('a body without a length counts as it comes', () => {
  const inFlight = new InFlight(OPTIONS);
  const first = inFlight.enter(A, 2, 0);
  const second = inFlight.enter(A, 2, 0);
  first.receive(60);
  second.receive(40);
  assert.throws(() => second.receive(1), { code: 'too_many_requests' });
  first.leave();
  second.receive(60);
  assert.throws(() => second.receive(1), { code: 'too_many_requests' });
});

test('a promise keeps nobody else out; what has come does', () => {
  const inFlight = new InFlight({ ...OPTIONS, bodyBytesMax: 100 });
  const promised = inFlight.enter(A, 2, 100);
  const other = inFlight.enter(B, 2, 100);
  other.receive(100);
  promised.receive(20);
  assert.throws(() => promised.receive(1), { code: 'overloaded' });
  other.leave();
  promised.receive(80);
  assert.throws(() => inFlight.enter(B, 2, 21), { code: 'overloaded' }, 'it would not fit now');
});

test('small bodies go on when the process is full', () => {
  const inFlight = new InFlight({ ...OPTIONS, bodyBytesMax: 100, smallBodyBytesMax: 1 });
  const [large, rest] = [inFlight.enter(A, 2, 100), inFlight.enter(B, 2, 2)];
  large.receive(100);
  rest.receive(2);
  const small = inFlight.enter(B, 2, 1);
  small.receive(1);
  assert.throws(() => small.receive(1), { code: 'overloaded' });
});

test('a refused request takes nothing, and a place is given back once', () => {
  const inFlight = new InFlight(OPTIONS);
  assert.throws(() => inFlight.enter(A, 2, 1_000));
  const place = inFlight.enter(A, 2, 1);
  place.leave();
  assert.throws(() => place.leave(), { name: 'AssertionError' });
  assert.throws(() => place.receive(1), { name: 'AssertionError' });
  assert.equal(inFlight.count(A), 0);
});
