/** Budgets: what is told and paused, when, and how often. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BudgetChecks } from '../../coordinator/control-plane/billing/budget-checks.ts';
import { quietLog } from '../../shared/log/log.ts';
import { AdminRig, type Answer, type Reply } from './admin-rig.ts';
import { clientIdOf, use } from './ledger-use.ts';

/** On a plan that costs 1 a million queries and nothing else. */
async function start(t: Parameters<typeof AdminRig.start>[0]) {
  const rig = await AdminRig.start(t);
  const plan = (await rig.send('GET', '/plans/free')).reply;
  const prices = { ...(plan.prices as Reply), million_queries: 1_000_000 };
  await rig.send('PUT', '/plans/queries', { limits: plan.limits, prices });
  const client = await rig.client({ plan: 'queries' });
  const put = (amount: string, more: Reply = {}): Promise<Answer> => {
    return rig.send('PUT', `${client}/budget`, { amount_micros: amount, ...more });
  };
  return { rig, client, put, clientId: clientIdOf(client) };
}

const levelsOf = (rig: AdminRig) => rig.toldOf.notices.map(({ data }) => data.percent);

/** As a coordinator that was started again. */
function restarted(rig: AdminRig): BudgetChecks {
  const { store, clock, billing, toldOf } = rig;
  const tell = (notice: (typeof toldOf.notices)[number]) => void toldOf.notices.push(notice);
  const pauses = toldOf.budgetPauses;
  const { statements } = billing;
  return new BudgetChecks({ store, statements, tell, pauses, clock, log: quietLog });
}

test('each level is told once a month, and at all of it what was chosen is paused', async (t) => {
  const { rig, client, put, clientId } = await start(t);
  await put('4000000', { at_limit: 'pause_writes' });
  const { checks } = rig.billing;
  await use(rig, client);
  await checks.look();
  assert.deepEqual(levelsOf(rig), []);
  await use(rig, client);
  await checks.look();
  await restarted(rig).look();
  assert.deepEqual(rig.toldOf.notices, [
    {
      type: 'budget.level',
      clientId,
      key: `${clientId} 2023-11 50`,
      data: {
        month: '2023-11',
        percent: 50,
        spent_micros: '2000000',
        budget_micros: '4000000',
      },
    },
  ]);
  await use(rig, client, { queries: 1_999_999 });
  await checks.look();
  assert.deepEqual([levelsOf(rig), rig.toldOf.pauses], [[50, 80], []]);
  await use(rig, client, { queries: 1 });
  await restarted(rig).look();
  await checks.look();
  await restarted(rig).look();
  assert.deepEqual(levelsOf(rig), [50, 80, 100]);
  assert.deepEqual(rig.toldOf.pauses, [`writes of ${clientId}`]);
  const { reply } = await rig.send('GET', `${client}/budget`);
  assert.deepEqual(reply, {
    client_id: clientId,
    amount_micros: '4000000',
    levels: [50, 80, 100],
    at_limit: 'pause_writes',
    paused: 'writes',
    this_month: { month: '2023-11', spent_micros: '4000000' },
    version: 1,
  });
});

test('a pause is lifted by more budget, another choice, a new month, or no budget', async (t) => {
  const { rig, client, put, clientId } = await start(t);
  await use(rig, client);
  const all = { at_limit: 'pause_all' };
  const none = `nothing of ${clientId}`;
  const done = () => rig.toldOf.pauses.splice(0);
  assert.equal((await put('1000000', all)).reply.paused, 'all');
  assert.deepEqual(done(), [`all of ${clientId}`]);
  assert.equal((await put('1000001', all)).reply.paused, null);
  assert.deepEqual(done(), [none]);
  assert.equal((await put('1', { at_limit: 'pause_writes' })).reply.paused, 'writes');
  assert.equal((await put('1', all)).reply.paused, 'all');
  assert.deepEqual(done(), [`writes of ${clientId}`, `all of ${clientId}`]);
  assert.equal((await put('1', { at_limit: 'nothing' })).reply.paused, null);
  assert.deepEqual(done(), [none]);
  await put('1', all);
  rig.clock.advance(Date.parse('2023-12-01T00:00:00Z') - rig.clock.now());
  await rig.billing.checks.look();
  assert.deepEqual(done(), [`all of ${clientId}`, none]);
  await use(rig, client);
  await rig.billing.checks.look();
  assert.deepEqual(levelsOf(rig).slice(-3), [50, 80, 100]);
  assert.equal((await rig.send('DELETE', `${client}/budget`)).status, 200);
  assert.deepEqual(done(), [`all of ${clientId}`, none]);
  assert.equal((await rig.send('GET', `${client}/budget`)).status, 404);
  await rig.billing.checks.look();
  assert.deepEqual(done(), []);
});

test('who is paused by an operator is paused for its budget once that has ended', async (t) => {
  const { rig, client, put, clientId } = await start(t);
  rig.toldOf.isHeld = true;
  await use(rig, client);
  assert.equal((await put('1000000', { at_limit: 'pause_writes' })).reply.paused, null);
  await rig.billing.checks.look();
  assert.deepEqual(rig.toldOf.pauses, []);
  rig.toldOf.isHeld = false;
  await rig.billing.checks.look();
  await rig.billing.checks.look();
  assert.deepEqual(rig.toldOf.pauses, [`writes of ${clientId}`]);
});

test('budgets are looked at once a minute', async (t) => {
  const { rig, client, put } = await start(t);
  await put('1000000', { levels: [100] });
  const { checks } = rig.billing;
  checks.start();
  await use(rig, client);
  rig.clock.advance(59_999);
  await checks.close();
  assert.deepEqual(levelsOf(rig), []);
  const next = restarted(rig);
  next.start();
  rig.clock.advance(60_000);
  await next.close();
  assert.deepEqual(levelsOf(rig), [100]);
});

test('a budget is changed by who has seen it, audited, and gone with its client', async (t) => {
  const { rig, client, put } = await start(t);
  const { headers } = await put('5');
  assert.equal(headers.get('etag'), '"1"');
  const change = (ifMatch: string) => {
    return rig.send('PUT', `${client}/budget`, { amount_micros: '6' }, { 'if-match': ifMatch });
  };
  assert.equal((await change('"1"')).reply.version, 2);
  assert.equal((await change('"1"')).status, 412);
  const actions = (await rig.audit()).map(({ action }) => action);
  assert.deepEqual(actions.slice(-2), ['budget.put', 'budget.put']);
  await rig.send('DELETE', `${client}?grace_seconds=0`);
  rig.clock.advance(1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await rig.send('GET', client)).status, 404);
  assert.deepEqual(rig.store.budgets.page('', 10), []);
});

test('what is no budget is refused, and the field named', async (t) => {
  const { rig, client, put } = await start(t);
  for (const [amount, more, field] of [
    ['0', {}, 'amount_micros'],
    ['-1', {}, 'amount_micros'],
    ['1', { levels: [0] }, 'levels[0]'],
    ['1', { levels: [50, 1_001] }, 'levels[1]'],
    ['1', { levels: [1.5] }, 'levels[0]'],
    ['1', { levels: Array(11).fill(1) }, 'levels'],
    ['1', { at_limit: 'explode' }, 'at_limit'],
  ] as const) {
    const { status, reply } = await put(amount, more);
    assert.deepEqual([status, reply.field], [400, field], `${amount} ${JSON.stringify(more)}`);
  }
  assert.deepEqual((await put('1', { levels: [80, 50, 80] })).reply.levels, [50, 80]);
  const missing = '/clients/cl_aaaaaaaaaaaaaaaa/budget';
  assert.equal((await rig.send('PUT', missing, { amount_micros: '1' })).status, 404);
  assert.equal((await rig.send('DELETE', `${client}/budget`)).status, 200);
  assert.equal((await rig.send('DELETE', `${client}/budget`)).status, 404);
});
