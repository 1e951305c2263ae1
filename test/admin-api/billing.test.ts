/** What clients owe, over the admin API. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AdminRig, type Reply } from './admin-rig.ts';
import { use } from './ledger-use.ts';

const HOUR_MS = 3_600_000;

test('a statement is line by line what was used and what it costs', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await rig.client();
  await use(rig, client);
  await use(rig, client, { namespace: '=cmd', queries: 500_001 });
  await use(rig, client, { mode: 'test' });
  await use(rig, await rig.client());
  rig.clock.advance(2 * HOUR_MS);
  const { status, reply } = await rig.send('GET', `${client}/statement?by=namespace`);
  assert.equal(status, 200);
  const nobody = { key_id: null, collection: null };
  const span = { from: '2023-11-01T00:00:00.000Z', until: '2023-11-15T01:00:00.000Z' };
  // The client was made within the month.
  const own = { plan: 'standard', from: '2023-11-14T22:00:00.000Z', until: span.until };
  assert.deepEqual(reply, {
    client_id: client.split('/').at(-1),
    currency: 'EUR',
    ...span,
    by: 'namespace',
    lines: [
      {
        item: 'plan',
        ...own,
        namespace: null,
        ...nobody,
        quantity: '3',
        unit: 'hour',
        unit_price_micros: 25_000_000,
        per: '720',
        amount_micros: '104167',
      },
      ...(
        [
          ['=cmd', '500001', '1000002'],
          ['default', '1000000', '2000000'],
        ] as const
      ).map(([namespace, quantity, amount_micros]) => ({
        item: 'queries',
        ...own,
        namespace,
        ...nobody,
        quantity,
        unit: 'query',
        unit_price_micros: 2_000_000,
        per: '1000000',
        amount_micros,
      })),
    ],
    total_micros: '3104169',
  });
});

test('a statement is a table for who wants one, without formulas', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await rig.client();
  await use(rig, client, { namespace: '=HYPERLINK("x")' });
  const byHeader = await rig.table(`${client}/statement?by=namespace`, { accept: 'text/csv' });
  assert.equal(await rig.table(`${client}/statement?by=namespace&format=csv`), byHeader);
  const [head, plan, queries, end] = byHeader.split('\r\n');
  assert.match(head ?? '', /^item,plan,from,until,namespace,.*,amount_micros,currency$/);
  assert.match(plan ?? '', /^plan,standard,2023-11-14T22:00:00.000Z,.*,34722,EUR$/);
  assert.match(queries ?? '', /^queries,standard,[^,]*,[^,]*,"'=HYPERLINK\(""x""\)",,,1000000,/);
  assert.equal(end, '');
});

test('prices and plans that change hold from the next hour', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await rig.client();
  await use(rig, client);
  const plan = (await rig.send('GET', '/plans/standard')).reply;
  const prices = { ...(plan.prices as Reply), million_queries: 7_000_000 };
  await rig.send('PUT', '/plans/standard', { limits: plan.limits, prices });
  await use(rig, client);
  rig.clock.advance(HOUR_MS);
  await use(rig, client);
  await rig.send('PATCH', client, { plan: 'free' });
  rig.clock.advance(HOUR_MS);
  await use(rig, client);
  const { reply } = await rig.send('GET', `${client}/statement`);
  const queries = (reply.lines as Reply[]).filter(({ item }) => item === 'queries');
  assert.deepEqual(
    queries.map((line) => [line.plan, line.quantity, line.amount_micros]),
    [
      ['standard', '2000000', '4000000'],
      ['standard', '1000000', '7000000'],
      ['free', '1000000', '0'],
    ],
  );
});

test('what can not be asked of a statement is said', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await rig.client();
  for (const [query, field] of [
    ['from=yesterday', 'from'],
    ['from=2023-11-15', 'until'],
    ['from=2023-11-15&until=2023-11-16', 'from'],
    ['from=2023-11-02&until=2023-11-01', 'until'],
    ['by=week', 'by'],
    ['format=xml', 'format'],
  ] as const) {
    const { status, reply } = await rig.send('GET', `${client}/statement?${query}`);
    assert.deepEqual([status, reply.field], [400, field], query);
  }
  assert.equal((await rig.send('GET', '/clients/cl_aaaaaaaaaaaaaaaa/statement')).status, 404);
});
