/** Keys of writes, each bound to one request for a day. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { ONCE_KEPT_MS } from '../../shared/protocol/once.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { ControlStore } from '../store/control-store.ts';
import { type KeyedWrite, WriteOnce, type Writer } from './write-once.ts';

const WRITER: Writer = {
  clientId: 'cl_aaaaaaaaaaaaaaaa' as ClientId,
  mode: 'live',
  namespace: 'default',
};
const WRITE: KeyedWrite = {
  idempotencyKey: 'k-1',
  method: 'PUT',
  url: '/collections/c/points?wait=true',
  bodyDigest: createHash('sha256').update('body').digest(),
};

function open(t: TestContext, secret = 'secret') {
  const path = join(temporaryFolder(t), 'control.db');
  const clock = new ManualClock();
  let store = ControlStore.open(path, { clock });
  t.after(() => store.close());
  let transactions = 0;
  const counted = {
    get writeKeys() {
      return store.writeKeys;
    },
    transaction: <T>(work: () => T) => {
      transactions += 1;
      return store.transaction(work);
    },
  };
  const keys = new WriteOnce({ store: counted, secret, clock });
  return {
    clock,
    claim: (write: Partial<KeyedWrite> = {}, writer: Partial<Writer> = {}) => {
      return keys.claim({ ...WRITER, ...writer }, { ...WRITE, ...write });
    },
    restart: () => {
      store.close();
      store = ControlStore.open(path, { clock });
    },
    transactions: () => transactions,
  };
}

test('a key is bound to its first request, across restarts, and keeps the time of it', async (t) => {
  const { clock, claim, restart, transactions } = open(t);
  const first = await claim();
  clock.advance(1_000);
  restart();
  const again = await claim();
  assert.deepEqual([Buffer.from(again.key), again.at], [Buffer.from(first.key), first.at]);
  assert.equal(transactions(), 1);
  for (const other of [
    { method: 'POST' },
    { url: '/collections/c/points' },
    { bodyDigest: createHash('sha256').update('other').digest() },
  ]) {
    await assert.rejects(claim(other), { code: 'conflict', field: 'Idempotency-Key' });
  }
  await assert.rejects(claim({}, { namespace: 'eu' }), { code: 'conflict' });
});

test('clients and modes have keys of their own', async (t) => {
  const { claim } = open(t);
  const others = [{}, { mode: 'test' as const }, { clientId: 'cl_bbbbbbbbbbbbbbbb' as ClientId }];
  const keys = new Set<string>();
  for (const [i, writer] of others.entries()) {
    const { key } = await claim({ method: `M${i}` }, writer);
    keys.add(Buffer.from(key).toString('hex'));
  }
  assert.equal(keys.size, others.length);
});

test('a key is free a day after its first use', async (t) => {
  const { clock, claim } = open(t);
  const first = await claim();
  clock.advance(ONCE_KEPT_MS - 1);
  await assert.rejects(claim({ method: 'POST' }), { code: 'conflict' });
  clock.advance(1);
  const second = await claim({ method: 'POST' });
  assert.equal(second.at, first.at + ONCE_KEPT_MS);
  await assert.rejects(claim(), { code: 'conflict' });
});

test('keys of one turn share a transaction, also when two are the same', async (t) => {
  const { claim, transactions } = open(t);
  const claims = Array.from({ length: 20 }, (_, n) => claim({ idempotencyKey: `k-${n % 10}` }));
  const refused = claim({ idempotencyKey: 'k-3', method: 'POST' });
  await assert.rejects(refused, { code: 'conflict' });
  const keys = (await Promise.all(claims)).map(({ key }) => Buffer.from(key).toString('hex'));
  assert.equal(new Set(keys).size, 10);
  assert.equal(transactions(), 1);
});
