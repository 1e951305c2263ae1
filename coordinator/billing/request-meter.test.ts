import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { LedgerEntry, RequestSum } from '../ledger/entries.ts';
import { RequestMeter, type RequestNote } from './request-meter.ts';

const MS_PER_HOUR = 3_600_000;
const START = 1_000 * MS_PER_HOUR;

/** A ledger whose entries end when the test says so. */
class SlowLedger {
  readonly entries: RequestSum[][] = [];
  readonly #ends: { resolve: () => void; reject: (error: Error) => void }[] = [];
  isFull = false;

  append(entry: LedgerEntry): Promise<void> {
    assert.ok(entry.kind === 'requests');
    this.entries.push([...entry.sums]);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#ends.push({ resolve, reject });
    return promise;
  }

  async end(error?: Error): Promise<void> {
    const next = this.#ends.shift();
    assert.ok(next !== undefined, 'an entry is under way');
    if (error === undefined) next.resolve();
    else next.reject(error);
    for (let i = 0; i < 5; i += 1) await Promise.resolve();
  }
}

function start() {
  const clock = new ManualClock(START);
  const ledger = new SlowLedger();
  return { clock, ledger, meter: new RequestMeter({ ledger, clock }) };
}

function note(more: Partial<RequestNote> = {}): RequestNote {
  return {
    clientId: 'cl_a' as ClientId,
    mode: 'live',
    namespace: 'default',
    keyId: 'key_a' as KeyId,
    route: 'query',
    status: 200,
    queries: 1,
    units: 2,
    bytesIn: 10,
    bytesOut: 100,
    ...more,
  };
}

const shown = ({ hour, route, status, requests, queries, units }: RequestSum) => {
  return [hour - 1_000, route, status, requests, queries, units];
};

test('requests are added up by key, hour, route and status, and handed over together', async () => {
  const { clock, ledger, meter } = start();
  meter.note(note());
  meter.note(note({ queries: 5, units: 7 }));
  meter.note(note({ status: 429, queries: 0, units: 0 }));
  meter.note(note({ route: 'write' }));
  meter.note(note({ namespace: 'b' }));
  clock.advance(499);
  assert.equal(ledger.entries.length, 0);
  clock.advance(1);
  assert.deepEqual(ledger.entries[0]?.map(shown), [
    [0, 'query', 200, 2, 6, 9],
    [0, 'query', 429, 1, 0, 0],
    [0, 'write', 200, 1, 1, 2],
    [0, 'query', 200, 1, 1, 2],
  ]);
  assert.deepEqual(ledger.entries[0]?.[0]?.bytesOut, 200);
  await ledger.end();
  clock.advance(10_000);
  assert.equal(ledger.entries.length, 1, 'what was handed over is not handed over again');
});

test('an hour is that of the end of a request, wherever the clock is set', async () => {
  const { clock, ledger, meter } = start();
  for (const wall of [START + MS_PER_HOUR - 1, START + MS_PER_HOUR, START, START + MS_PER_HOUR]) {
    clock.now = () => wall;
    meter.note(note());
    clock.advance(500);
    await ledger.end();
  }
  const all = ledger.entries.flat();
  assert.equal(
    all.reduce((sum, { requests }) => sum + requests, 0),
    4,
  );
  assert.deepEqual(
    all.map(({ hour }) => hour - 1_000),
    [0, 1, 0, 1],
  );
});

test('one entry is under way at a time; what the ledger did not take comes with the next', async () => {
  const { clock, ledger, meter } = start();
  meter.note(note());
  clock.advance(500);
  meter.note(note());
  clock.advance(1_000);
  assert.equal(ledger.entries.length, 1);
  await ledger.end(new AppError('overloaded'));
  clock.advance(500);
  assert.deepEqual(ledger.entries[1]?.map(shown), [[0, 'query', 200, 2, 2, 4]]);
});

test('it is behind when an entry takes too long, and when the ledger takes no more', async () => {
  const { clock, ledger, meter } = start();
  assert.ok(!meter.isBehind);
  meter.note(note());
  clock.advance(500);
  clock.advance(5_000);
  assert.ok(!meter.isBehind);
  clock.advance(1);
  assert.ok(meter.isBehind);
  await ledger.end();
  assert.ok(!meter.isBehind);
  ledger.isFull = true;
  assert.ok(meter.isBehind);
});

test('the end hands over all that was noted, and takes nothing more', async () => {
  const { clock, ledger, meter } = start();
  meter.note(note());
  clock.advance(500);
  meter.note(note({ status: 404 }));
  const closed = meter.close();
  meter.note(note({ status: 500 }));
  await ledger.end();
  await ledger.end();
  await closed;
  assert.deepEqual(
    ledger.entries.flat().map(({ status }) => status),
    [200, 404],
  );
});
