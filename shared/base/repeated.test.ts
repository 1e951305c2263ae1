import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './clock.ts';
import { Repeated } from './repeated.ts';

const turn = () => new Promise(setImmediate);

test('work is done again after its end and a pause, and not once it is closed', async () => {
  const clock = new ManualClock();
  let begun = 0;
  let done = Promise.withResolvers<void>();
  const repeated = new Repeated(clock, 10, () => {
    begun += 1;
    return done.promise;
  });
  repeated.start(3);
  clock.advance(3);
  assert.equal(begun, 1);
  clock.advance(100);
  await turn();
  assert.equal(begun, 1, 'it has not ended');
  done.resolve();
  await turn();
  clock.advance(9);
  assert.equal(begun, 1);
  done = Promise.withResolvers();
  clock.advance(1);
  assert.equal(begun, 2);
  let isClosed = false;
  const closing = repeated.close().then(() => {
    isClosed = true;
  });
  await turn();
  assert.equal(isClosed, false, 'what is under way ends');
  done.resolve();
  await closing;
  clock.advance(1_000);
  assert.equal(begun, 2);
});
