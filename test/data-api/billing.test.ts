/** What a client's own keys see of its bills. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientId } from '../../shared/base/ids.ts';
import { CLIENT_A, CLIENT_B, type DataRig, startRig } from './data-rig.ts';

/** A final invoice of January 2020. */
function invoiceOf(rig: DataRig, clientId: ClientId): string {
  const whose = { clientId, clientName: 'acme', month: 600, currency: 'EUR' };
  const rest = { lines: [], totalMicros: 5n, credits: null, reason: null };
  return rig.store.invoices.add({ kind: 'invoice', ...whose, ...rest }).number;
}

test('a client sees its own statement and invoices, and no others', async (t) => {
  const rig = await startRig(t);
  const own = invoiceOf(rig, CLIENT_A);
  const other = invoiceOf(rig, CLIENT_B);
  const { json } = await rig.call('GET', '/v1/invoices');
  assert.deepEqual(
    json.result.invoices.map((row: { invoice: string }) => row.invoice),
    [own],
  );
  assert.equal((await rig.call('GET', `/v1/invoices/${own}`)).json.result.total_micros, '5');
  assert.equal((await rig.call('GET', `/v1/invoices/${other}`)).status, 404);
  assert.equal((await rig.call('GET', '/v1/invoices/2020-01')).json.result.invoice, own);
  const month = new Date().toISOString().slice(0, 7);
  const draft = (await rig.call('GET', `/v1/invoices/${month}`)).json.result;
  assert.deepEqual([draft.state, draft.client_id], ['draft', CLIENT_A]);
  const statement = (await rig.call('GET', '/v1/statement')).json.result;
  assert.deepEqual([statement.client_id, statement.lines[0].item], [CLIENT_A, 'plan']);
  const table = await rig.call('GET', '/v1/statement', undefined, { accept: 'text/csv' });
  assert.equal(table.headers.get('content-type'), 'text/csv; charset=utf-8');
  assert.match(table.text, /^item,plan,.*\r\nplan,standard,.*,EUR\r\n/);
  const list = await rig.call('GET', '/v1/invoices?format=csv');
  assert.equal(list.text.split('\r\n').length, 3);
});

test('a client sets its own budget, with a key that is bound to no namespaces', async (t) => {
  const rig = await startRig(t);
  const ask = async (method: string, key: string, body?: object) => {
    const { status, json } = await rig.call(method, '/v1/budget', body, { 'api-key': key });
    return [status, status === 200 ? json.result.levels : json.code];
  };
  const budget = { amount_micros: '5', levels: [90], at_limit: 'pause_all' };
  assert.deepEqual(await ask('PUT', 'a-live', budget), [403, 'forbidden']);
  assert.deepEqual(await ask('PUT', 'a-test', budget), [403, 'forbidden']);
  assert.deepEqual(await ask('PUT', 'a-live-everywhere', budget), [200, [90]]);
  assert.deepEqual(await ask('GET', 'a-live'), [200, [90]]);
  assert.deepEqual(await ask('GET', 'b-live'), [404, 'not_found']);
  const [row] = rig.store.adminAudit.page(0, 10);
  assert.deepEqual([row?.action, row?.target], ['budget.put', CLIENT_A]);
  assert.match(String(row?.actor), /^key_/);
  assert.deepEqual(await ask('DELETE', 'a-live'), [403, 'forbidden']);
  assert.deepEqual(await ask('DELETE', 'a-live-everywhere'), [200, [90]]);
  assert.deepEqual(await ask('GET', 'a-live'), [404, 'not_found']);
});

test('a bill is for live keys, its division for keys of all namespaces', async (t) => {
  const rig = await startRig(t);
  const ask = async (path: string, key: string) => {
    const { status, json } = await rig.call('GET', path, undefined, { 'api-key': key });
    return [status, json.code];
  };
  for (const path of ['/v1/statement', '/v1/invoices', '/v1/invoices/2020-01']) {
    assert.deepEqual(await ask(path, 'a-test'), [403, 'forbidden'], path);
  }
  for (const by of ['namespace', 'key', 'collection']) {
    assert.deepEqual(await ask(`/v1/statement?by=${by}`, 'a-live'), [403, 'forbidden'], by);
    assert.deepEqual(await ask(`/v1/statement?by=${by}`, 'a-live-everywhere'), [200, undefined]);
  }
  assert.deepEqual(await ask('/v1/statement?by=day', 'a-live'), [200, undefined]);
});
