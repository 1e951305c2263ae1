/** Final invoices, also for who writes SQL. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { ControlStore } from './control-store.ts';
import type { InvoiceRecord } from './invoices.ts';

const CLIENT = 'cl_aaaaaaaaaaaaaaaa' as ClientId;

function open(t: TestContext) {
  const file = path.join(temporaryFolder(t), 'control.db');
  const store = ControlStore.open(file, { clock: new ManualClock() });
  cleanUp(t, () => store.close());
  return { file, store };
}

function invoice(month: number, more: Partial<InvoiceRecord> = {}) {
  const whose = { clientId: CLIENT, clientName: 'acme', month, currency: 'EUR' };
  const none = { lines: [], credits: null, reason: null };
  return { kind: 'invoice' as const, ...whose, totalMicros: 10n ** 24n, ...none, ...more };
}

test('an invoice is read as it was written, amounts of any size included', (t) => {
  const { store } = open(t);
  const amounts = { quantity: `${10n ** 24n}`, unitPriceMicros: 1, per: '1', amountMicros: '5' };
  const lines = [{ item: 'queries', planId: null, from: 1, until: 2, ...amounts }];
  const made = store.invoices.add(invoice(700, { lines }));
  assert.deepEqual(store.invoices.get('2023-000001'), made);
  assert.deepEqual([made.totalMicros, made.lines], [10n ** 24n, lines]);
  assert.deepEqual(store.invoices.ofMonth(CLIENT, 700), made);
  for (const number of ['2023-1', '2023-000002', '2023-0000001', 'x', '']) {
    assert.equal(store.invoices.get(number), undefined, number);
  }
});

test('a number that was undone is given to the next', (t) => {
  const { store } = open(t);
  const undone = new Error('undone');
  const undo = () => {
    store.transaction(() => {
      store.invoices.add(invoice(700));
      throw undone;
    });
  };
  store.invoices.add(invoice(699));
  assert.throws(undo, undone);
  assert.equal(store.invoices.add(invoice(701)).number, '2023-000002');
  assert.throws(() => store.invoices.add(invoice(701)), /one invoice/);
  assert.equal(store.invoices.add(invoice(702)).number, '2023-000003');
});

test('what is final can neither be changed, removed, nor numbered otherwise', (t) => {
  const { file, store } = open(t);
  store.invoices.add(invoice(700));
  store.close();
  const raw = new Database(file);
  cleanUp(t, () => void raw.close());
  const insert = (year: number, sequence: number) => {
    const row = `'invoice', 'cl_b', 'n', 1, 'EUR', '[]', '1', NULL, NULL, NULL, 1`;
    return `INSERT OR REPLACE INTO invoices VALUES (${year}, ${sequence}, ${row})`;
  };
  for (const [sql, problem] of [
    [`UPDATE invoices SET total = '1'`, /does not change/],
    ['DELETE FROM invoices', /is not removed/],
    [insert(2023, 1), /have no gaps/],
    [insert(2023, 3), /have no gaps/],
    [insert(2024, 2), /have no gaps/],
  ] as const) {
    assert.throws(() => raw.exec(sql), problem, sql);
  }
  raw.exec(insert(2023, 2));
  // Of the same client and month: what it takes the place of would be gone without a trigger.
  assert.throws(() => raw.exec(insert(2023, 3)), /one invoice/);
});
