/** Plans over the admin API. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PLAN_LIMITS, PLAN_PRICES } from '../../shared/domain/plan.ts';
import { AdminRig, type Reply } from './admin-rig.ts';

const LIMITS = Object.fromEntries(
  Object.entries(PLAN_LIMITS).map(([name, { max }]) => [name, max]),
);
const PRICES = Object.fromEntries(Object.keys(PLAN_PRICES).map((name) => [name, 1]));

test('three plans are there from the start, with all limits and prices', async (t) => {
  const rig = await AdminRig.start(t);
  const plans = (await rig.send('GET', '/plans')).reply.plans as Reply[];
  assert.deepEqual(
    plans.map(({ plan }) => plan),
    ['dedicated', 'free', 'standard'],
  );
  for (const { limits, prices } of plans) {
    assert.deepEqual(Object.keys(limits as Reply).toSorted(), Object.keys(LIMITS).toSorted());
    assert.deepEqual(Object.keys(prices as Reply).toSorted(), Object.keys(PRICES).toSorted());
    for (const [name, value] of Object.entries(limits as Record<string, number>)) {
      const { min, max } = PLAN_LIMITS[name as keyof typeof PLAN_LIMITS];
      assert.ok(value >= min && value <= max, name);
    }
  }
  const standard = plans[2]?.limits as Reply;
  assert.equal(standard.requests_per_second, 60);
});

test('a plan is made, changed, and removed when nobody is on it', async (t) => {
  const rig = await AdminRig.start(t);
  const made = await rig.send('PUT', '/plans/gold', { limits: LIMITS, prices: PRICES });
  assert.deepEqual([made.status, made.reply.version], [200, 1]);
  const limits = { ...LIMITS, burst: 5 };
  const stale = { 'if-match': '"9"' };
  const refused = await rig.send('PUT', '/plans/gold', { limits, prices: PRICES }, stale);
  assert.equal(refused.status, 412);
  const current = { 'if-match': '"1"' };
  const changed = await rig.send('PUT', '/plans/gold', { limits, prices: PRICES }, current);
  assert.deepEqual([changed.reply.version, changed.reply.limits], [2, limits]);
  const path = await rig.client({ plan: 'gold' });
  const taken = await rig.send('DELETE', '/plans/gold');
  assert.deepEqual([taken.status, taken.reply.code], [409, 'conflict']);
  await rig.send('PATCH', path, { plan: 'standard' });
  assert.equal((await rig.send('DELETE', '/plans/gold')).status, 200);
  assert.equal((await rig.send('GET', '/plans/gold')).status, 404);
  assert.equal((await rig.send('DELETE', '/plans/gold')).status, 404);
  const actions = (await rig.audit()).map(({ action }) => action);
  const expected = ['plan.put', 'plan.put', 'client.create', 'client.update', 'plan.remove'];
  assert.deepEqual(actions, expected);
});

test('bad terms are refused with the field named', async (t) => {
  const rig = await AdminRig.start(t);
  const { burst: _, ...short } = LIMITS;
  const bad = [
    ['/plans/gold', { limits: short, prices: PRICES }, /limits\.burst.*missing/],
    ['/plans/gold', { limits: { ...LIMITS, burst: 0 }, prices: PRICES }, /limits\.burst/],
    ['/plans/gold', { limits: LIMITS, prices: {} }, /prices\.month.*missing/],
    ['/plans/gold', { limits: LIMITS, prices: { ...PRICES, month: -1 } }, /prices\.month/],
    ['/plans/gold', { limits: LIMITS, prices: { ...PRICES, year: 1 } }, /prices.*year/],
    ['/plans/gold', { limits: LIMITS }, /prices/],
    ['/plans/Gold', { limits: LIMITS, prices: PRICES }, /plan/],
    ['/plans/-', { limits: LIMITS, prices: PRICES }, /plan/],
  ] as const;
  for (const [path, body, detail] of bad) {
    const { status, reply } = await rig.send('PUT', path, body);
    assert.equal(status, 400, JSON.stringify(reply));
    assert.match(String(reply.detail), detail);
  }
  assert.deepEqual(await rig.audit(), []);
});

test('a plan is made only where none is, or changed only where one is, if so wanted', async (t) => {
  const rig = await AdminRig.start(t);
  const terms = { limits: LIMITS, prices: PRICES };
  const put = (plan: string, headers: Record<string, string>) => {
    return rig.send('PUT', `/plans/${plan}`, terms, headers);
  };
  assert.equal((await put('gold', { 'if-match': '*' })).status, 412);
  assert.equal((await put('free', { 'if-none-match': '*' })).status, 412);
  assert.equal((await put('gold', { 'if-none-match': '*' })).status, 200);
  assert.equal((await put('gold', { 'if-match': '*' })).status, 200);
  const removed = await rig.send('DELETE', '/plans/standard');
  assert.deepEqual([removed.status, removed.reply.code], [409, 'conflict']);
  assert.equal(
    (await rig.send('DELETE', '/plans/gold', undefined, { 'if-match': '"9"' })).status,
    412,
  );
});

test('a plan that changes changes what holds for its clients', async (t) => {
  const rig = await AdminRig.start(t);
  const before = rig.limitsChanged;
  await rig.send('PUT', '/plans/free', { limits: LIMITS, prices: PRICES });
  assert.equal(rig.limitsChanged, before + 1);
});
