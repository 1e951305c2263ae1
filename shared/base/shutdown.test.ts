import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './clock.ts';
import { Shutdown } from './shutdown.ts';

function closer(closed: string[], name: string, action?: () => Promise<void> | void) {
  return {
    close: () => {
      closed.push(name);
      return action?.();
    },
  };
}

test('parts close in reverse order, each after the one before it', async () => {
  const shutdown = new Shutdown(new ManualClock());
  const closed: string[] = [];
  shutdown.add('store', closer(closed, 'store'));
  const { promise, resolve } = Promise.withResolvers<void>();
  shutdown.add(
    'server',
    closer(closed, 'server', () => promise),
  );
  const closing = shutdown.close(1000);
  await Promise.resolve();
  assert.deepEqual(closed, ['server']);
  resolve();
  assert.deepEqual(await closing, []);
  assert.deepEqual(closed, ['server', 'store']);
});

test('closing twice closes once', async () => {
  const shutdown = new Shutdown(new ManualClock());
  const closed: string[] = [];
  const part = closer(closed, 'part');
  assert.equal(shutdown.add('part', part), part);
  const results = await Promise.all([shutdown.close(1000), shutdown.close(1)]);
  assert.equal(results[0], results[1]);
  assert.deepEqual(closed, ['part']);
});

test('a part that fails, now or later, does not keep the next from closing', async () => {
  const shutdown = new Shutdown(new ManualClock());
  const closed: string[] = [];
  shutdown.add('first', closer(closed, 'first'));
  shutdown.add(
    'rejects',
    closer(closed, 'rejects', () => Promise.reject(new Error('later'))),
  );
  shutdown.add(
    'throws',
    closer(closed, 'throws', () => {
      throw new Error('now');
    }),
  );
  const failures = await shutdown.close(1000);
  assert.deepEqual(closed, ['throws', 'rejects', 'first']);
  assert.deepEqual(
    failures.map((failure) => [failure.message, (failure.cause as Error).message]),
    [
      ['closing throws', 'now'],
      ['closing rejects', 'later'],
    ],
  );
});

test('a part that is late is given up at the deadline; the rest still close', async () => {
  const clock = new ManualClock();
  const shutdown = new Shutdown(clock);
  const closed: string[] = [];
  let leftMs = -1;
  shutdown.add('store', {
    close(deadline) {
      leftMs = deadline.remainingMs();
    },
  });
  shutdown.add(
    'stuck',
    closer(closed, 'stuck', () => new Promise(() => undefined)),
  );
  const closing = shutdown.close(50);
  clock.advance(50);
  const failures = await closing;
  assert.equal(failures.length, 1);
  assert.match(String(failures[0]?.cause), /stuck did not close in time/);
  assert.equal(leftMs, 0);
});
