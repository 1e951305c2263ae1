/** What held for a client from which hour on, after changes at any time. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { ControlStore } from './control-store.ts';
import { migrate } from './migrations.ts';

const CLIENT = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const HOUR_MS = 3_600_000;
/** Of the manual clock, which stands 13 minutes after its beginning. */
const NOW = 472_222;

function open(t: TestContext, clock: ManualClock): ControlStore {
  const store = ControlStore.open(path.join(temporaryFolder(t), 'control.db'), { clock });
  cleanUp(t, () => store.close());
  return store;
}

/** From which hour on which plan, and what its month costs. */
function toldBy(store: ControlStore): unknown[] {
  return store.priceHistory.termsOf(CLIENT).map(({ from, planId, prices }) => {
    return [from - NOW, planId, prices?.month];
  });
}

function setMonth(store: ControlStore, planId: string, month: number): void {
  const { limits, prices } = must(store.plans.get('standard'), 'it is there from the start');
  store.plans.put({ planId, limits, prices: { ...prices, month } });
}

test('a plan holds from the hour of the client, a later change from the hour after it', (t) => {
  const clock = new ManualClock();
  const store = open(t, clock);
  store.clients.create({ clientId: CLIENT, name: 'acme' });
  store.clients.change(CLIENT, { name: 'Acme' });
  clock.advance(10 * HOUR_MS);
  store.clients.change(CLIENT, { planId: 'free' });
  store.clients.change(CLIENT, { planId: 'dedicated' });
  clock.advance(10 * HOUR_MS);
  setMonth(store, 'standard', 1);
  setMonth(store, 'dedicated', 2);
  setMonth(store, 'dedicated', 3);
  clock.advance(10 * HOUR_MS);
  store.clients.change(CLIENT, { state: 'suspended' });
  store.clients.change(CLIENT, { state: 'deleting', eraseAt: clock.now() });
  clock.advance(HOUR_MS);
  store.clients.change(CLIENT, { state: 'active', eraseAt: null });
  clock.advance(HOUR_MS);
  store.clients.remove(CLIENT);
  assert.deepEqual(toldBy(store), [
    [0, 'standard', 25_000_000],
    [11, 'dedicated', 500_000_000],
    [21, 'dedicated', 3],
    [31, null, undefined],
    [32, 'dedicated', 3],
    [33, null, undefined],
  ]);
  assert.equal(store.priceHistory.account(CLIENT)?.name, 'Acme', 'it outlives the client');
});

test('a clock that is set back writes no history anew', (t) => {
  const clock = new ManualClock();
  const store = open(t, clock);
  store.clients.create({ clientId: CLIENT, name: 'acme' });
  clock.advance(5 * HOUR_MS);
  store.clients.change(CLIENT, { planId: 'free' });
  clock.advance(-3 * HOUR_MS);
  store.clients.change(CLIENT, { planId: 'standard' });
  setMonth(store, 'standard', 7);
  clock.advance(10 * HOUR_MS);
  store.clients.change(CLIENT, { planId: 'free' });
  assert.deepEqual(toldBy(store), [
    [0, 'standard', 25_000_000],
    [3, 'standard', 7],
    [6, 'standard', 7],
    [13, 'free', 0],
  ]);
});

test('a plan that is made anew has its new prices at once', (t) => {
  const clock = new ManualClock();
  const store = open(t, clock);
  setMonth(store, 'own', 5);
  store.plans.remove('own');
  clock.advance(HOUR_MS);
  setMonth(store, 'own', 6);
  store.clients.create({ clientId: CLIENT, name: 'acme', planId: 'own' });
  assert.deepEqual(toldBy(store), [[1, 'own', 6]]);
});

test('a plan that is made anew within an hour in which it was used has its new prices from the next', (t) => {
  const clock = new ManualClock();
  const store = open(t, clock);
  setMonth(store, 'own', 5);
  store.clients.create({ clientId: CLIENT, name: 'acme', planId: 'own' });
  store.clients.change(CLIENT, { planId: 'free' });
  store.plans.remove('own');
  setMonth(store, 'own', 6);
  assert.deepEqual(toldBy(store), [
    [0, 'own', 5],
    [1, 'free', 0],
  ]);
});

test('what is undone is not in the history', (t) => {
  const store = open(t, new ManualClock());
  const undone = new Error('undone');
  assert.throws(
    () =>
      store.transaction(() => {
        store.clients.create({ clientId: CLIENT, name: 'acme' });
        setMonth(store, 'standard', 1);
        throw undone;
      }),
    undone,
  );
  assert.deepEqual(toldBy(store), []);
  store.clients.create({ clientId: CLIENT, name: 'acme' });
  assert.deepEqual(toldBy(store), [[0, 'standard', 25_000_000]]);
});

test('clients of an older database have the plan that they are on, from their first hour', (t) => {
  const file = path.join(temporaryFolder(t), 'control.db');
  const old = new Database(file);
  migrate(old, versionBefore('client_plans'));
  const client = old.prepare(
    `INSERT INTO clients (client_id, name, state, plan_id, overrides, epoch, version, created_at)
       VALUES (?, ?, ?, 'standard', '{}', 1, 1, ?)`,
  );
  client.run(CLIENT, 'acme', 'active', NOW * HOUR_MS + 1);
  old.close();
  const store = ControlStore.open(file, { clock: new ManualClock() });
  cleanUp(t, () => store.close());
  assert.deepEqual(toldBy(store), [[0, 'standard', 25_000_000]]);
  const { settled } = must(store.priceHistory.account(CLIENT), 'it has an account');
  assert.ok(settled > 600, `${settled}: months before the upgrade are nobody's to invoice`);
});

/** The last version of the schema that does not have the table. */
function versionBefore(table: string): number {
  for (let version = 1; ; version += 1) {
    const database = new Database(':memory:');
    migrate(database, version);
    const found = database.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get(table);
    database.close();
    if (found !== undefined) return version - 1;
  }
}
