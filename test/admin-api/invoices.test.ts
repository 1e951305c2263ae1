/** Invoices from draft to final, credit notes, and what happens by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Invoicing } from '../../coordinator/control-plane/billing/invoicing.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { recordingLog } from '../harness/recording-log.ts';
import { AdminRig, type Reply } from './admin-rig.ts';
import { clientIdOf, use } from './ledger-use.ts';

const HOUR_MS = 3_600_000;

/** To the first hour of a month, UTC. */
function goTo(rig: AdminRig, time: string): void {
  rig.clock.advance(Date.parse(time) - rig.clock.now());
}

async function startAt(t: Parameters<typeof AdminRig.start>[0], time: string): Promise<AdminRig> {
  const rig = await AdminRig.start(t);
  goTo(rig, time);
  return rig;
}

const amountsOf = (reply: Reply) => {
  const lines = reply.lines as Reply[];
  return lines.map((line) => [line.item, line.quantity, line.amount_micros]);
};

test('an invoice is a draft until its month is over, and then never changes', async (t) => {
  const rig = await startAt(t, '2028-02-01T00:00:00Z');
  const client = await rig.client();
  const month = `${client}/invoices/2028-02`;
  await use(rig, client);
  const first = (await rig.send('GET', month)).reply;
  assert.deepEqual([first.state, first.invoice, first.issued_at], ['draft', null, null]);
  assert.deepEqual(amountsOf(first), [
    ['plan', '1', '35920'],
    ['queries', '1000000', '2000000'],
  ]);
  assert.equal((await rig.send('POST', `${month}/finalise`)).status, 409);
  goTo(rig, '2028-02-29T23:00:00Z');
  await use(rig, client);
  assert.equal((await rig.send('POST', `${month}/finalise`)).status, 409);
  goTo(rig, '2028-03-01T00:00:00Z');
  const { status, reply } = await rig.send('POST', `${month}/finalise`);
  assert.equal(status, 200);
  assert.deepEqual(amountsOf(reply), [
    ['plan', '696', '25000000'],
    ['queries', '2000000', '4000000'],
  ]);
  const { invoice, state, kind, total_micros, issued_at, client_name } = reply;
  assert.deepEqual(
    [invoice, state, kind, total_micros, issued_at, client_name],
    ['2028-000001', 'final', 'invoice', '29000000', '2028-03-01T00:00:00.000Z', 'acme'],
  );
  await use(rig, client, { hour: Math.floor(rig.clock.now() / HOUR_MS) - 5 });
  await rig.send('PATCH', client, { name: 'other', plan: 'free' });
  for (const path of [month, '/invoices/2028-000001']) {
    assert.deepEqual((await rig.send('GET', path)).reply, reply);
  }
  assert.deepEqual((await rig.send('POST', `${month}/finalise`)).reply, reply);
  const issued = (await rig.audit()).filter(({ action }) => action === 'invoice.issue');
  assert.deepEqual(
    issued.map(({ target }) => target),
    ['2028-000001'],
  );
  assert.deepEqual(rig.toldOf.notices, [
    {
      type: 'invoice.issued',
      clientId: clientIdOf(client),
      key: '2028-000001',
      data: { invoice: '2028-000001', month: '2028-02', total_micros: '29000000' },
    },
  ]);
});

test('two requests at once make one invoice, and numbers have no gaps', async (t) => {
  const rig = await startAt(t, '2028-02-01T00:00:00Z');
  const clients = await Promise.all([rig.client(), rig.client(), rig.client()]);
  goTo(rig, '2028-12-31T23:00:00Z');
  const finalise = (client: string, month: string) => {
    return rig.send('POST', `${client}/invoices/${month}/finalise`);
  };
  const answers = await Promise.all(
    [...clients, ...clients].map((client) => finalise(client, '2028-02')),
  );
  const numbers = answers.map(({ reply }) => reply.invoice);
  assert.deepEqual(numbers.slice(0, 3), numbers.slice(3));
  assert.deepEqual(numbers.slice(0, 3).toSorted(), ['2028-000001', '2028-000002', '2028-000003']);
  goTo(rig, '2029-01-01T00:00:00Z');
  assert.equal((await finalise(clients[0] ?? '', '2028-12')).reply.invoice, '2029-000001');
});

test('what reaches the ledger late is on the next invoice, once', async (t) => {
  const rig = await startAt(t, '2028-02-01T00:00:00Z');
  const client = await rig.client({ plan: 'free' });
  const plan = (await rig.send('GET', '/plans/free')).reply;
  const prices = { ...(plan.prices as Reply), million_queries: 3 };
  await rig.send('PUT', '/plans/free', { limits: plan.limits, prices });
  goTo(rig, '2028-02-10T00:00:00Z');
  const early = Math.floor(rig.clock.now() / HOUR_MS);
  await use(rig, client, { queries: 100_000 });
  goTo(rig, '2028-03-02T00:00:00Z');
  const finalise = async (month: string) => {
    return amountsOf((await rig.send('POST', `${client}/invoices/${month}/finalise`)).reply);
  };
  const queriesOf = (lines: unknown[][]) => lines.filter(([item]) => item === 'queries');
  // 0.3 millionths are none; with what comes late it is 0.6, which are one.
  assert.deepEqual(queriesOf(await finalise('2028-02')), [['queries', '100000', '0']]);
  await use(rig, client, { queries: 100_000, hour: early });
  goTo(rig, '2028-04-02T00:00:00Z');
  assert.deepEqual(queriesOf(await finalise('2028-03')), [['queries', '100000', '1']]);
  goTo(rig, '2028-05-02T00:00:00Z');
  assert.deepEqual(queriesOf(await finalise('2028-04')), []);
});

test('credit notes have numbers of the same series and take back what is left at most', async (t) => {
  const rig = await startAt(t, '2028-02-01T00:00:00Z');
  const client = await rig.client();
  goTo(rig, '2028-03-01T00:00:00Z');
  await rig.send('POST', `${client}/invoices/2028-02/finalise`);
  const path = '/invoices/2028-000001/credit';
  const credit = (amount_micros: unknown, reason = 'outage', headers = {}) => {
    return rig.send('POST', path, { amount_micros, reason }, headers);
  };
  for (const [amount, reason, field] of [
    ['0', 'outage', 'amount_micros'],
    ['25000001', 'outage', 'amount_micros'],
    ['-1', 'outage', 'amount_micros'],
    [1, 'outage', 'amount_micros'],
    ['1', '', 'reason'],
    ['1', ' ', 'reason'],
  ] as const) {
    const { status, reply } = await credit(amount, reason);
    assert.deepEqual([status, reply.field], [400, field], `${amount} ${reason}`);
  }
  const once = { 'idempotency-key': 'one' };
  const first = await credit('20000000', 'outage', once);
  assert.equal(first.status, 201);
  assert.deepEqual((await credit('20000000', 'outage', once)).reply, first.reply);
  const { invoice, kind, credits, reason, total_micros, month } = first.reply;
  assert.deepEqual(
    [invoice, kind, credits, reason, total_micros, month],
    ['2028-000002', 'credit_note', '2028-000001', 'outage', '20000000', '2028-02'],
  );
  const tooMuch = await credit('5000001');
  assert.match(String(tooMuch.reply.detail), /from 1 to 5000000, what is left/);
  assert.equal((await credit('5000000')).status, 201);
  assert.equal((await credit('1')).status, 400);
  const { reply } = await rig.send('GET', '/invoices/2028-000001');
  assert.deepEqual([reply.total_micros, reply.credited_micros], ['25000000', '25000000']);
  const ofNote = { amount_micros: '1', reason: 'r' };
  assert.equal((await rig.send('POST', '/invoices/2028-000002/credit', ofNote)).status, 409);
  assert.equal((await rig.send('POST', '/invoices/2028-000009/credit', ofNote)).status, 404);
});

test('invoices are listed by page and client, also as tables', async (t) => {
  const rig = await startAt(t, '2028-02-01T00:00:00Z');
  const client = await rig.client({ name: '=1+1' });
  const other = await rig.client();
  goTo(rig, '2028-05-01T00:00:00Z');
  for (const month of ['2028-02', '2028-03', '2028-04']) {
    for (const one of [client, other]) {
      await rig.send('POST', `${one}/invoices/${month}/finalise`);
    }
  }
  const numbers = async (query: string) => {
    const { reply } = await rig.send('GET', `/invoices?${query}`);
    return [(reply.invoices as Reply[]).map(({ invoice }) => invoice), reply.next];
  };
  const own = `client=${clientIdOf(client)}`;
  assert.deepEqual(await numbers(own), [['2028-000001', '2028-000003', '2028-000005'], null]);
  assert.deepEqual(await numbers(`${own}&limit=2`), [
    ['2028-000001', '2028-000003'],
    '2028-000003',
  ]);
  assert.deepEqual(await numbers(`${own}&after=2028-000003`), [['2028-000005'], null]);
  assert.deepEqual(await numbers('limit=1&after=2028-000005'), [['2028-000006'], null]);
  const [head, first] = (await rig.table(`/invoices?${own}&format=csv`)).split('\r\n');
  assert.match(head ?? '', /^invoice,kind,state,month,/);
  assert.match(first ?? '', /^2028-000001,invoice,final,2028-02,cl_[a-z2-7]+,'=1\+1,/);
  const table = await rig.table('/invoices/2028-000001', { accept: 'text/csv' });
  assert.match(
    table.split('\r\n')[1] ?? '',
    /^2028-000001,plan,standard,2028-02-01T00:00:00.000Z,/,
  );
});

test('what can not be asked of invoices is said', async (t) => {
  const rig = await startAt(t, '2028-02-01T00:00:00Z');
  const client = await rig.client();
  for (const [path, status, field] of [
    [`${client}/invoices/2028-13`, 400, 'month'],
    [`${client}/invoices/2028-03`, 400, 'month'],
    [`${client}/invoices/feb`, 400, 'month'],
    ['/invoices?after=1', 400, 'after'],
    ['/invoices?client=acme', 400, 'client'],
    ['/invoices/2028-1', 404, undefined],
    ['/clients/cl_aaaaaaaaaaaaaaaa/invoices/2028-02', 404, undefined],
  ] as const) {
    const { reply, ...answer } = await rig.send('GET', path);
    assert.deepEqual([answer.status, reply.field], [status, field], path);
  }
});

test('a month that the clock was set into is billed by nobody', async (t) => {
  const rig = await AdminRig.start(t);
  await rig.client();
  rig.clock.advance(180 * 24 * 3_600_000);
  await invoicingOf(rig, false).invoicing.look();
  assert.deepEqual((await rig.send('GET', '/invoices')).reply.invoices, []);
});

function invoicingOf(rig: AdminRig, isSteady = true) {
  const { log, lines } = recordingLog();
  const { store, clock, billing } = rig;
  const steady = { isSteady: () => isSteady };
  const deps = { store, clock, log, steady, random: secureRandom, invoices: billing.invoices };
  return { invoicing: new Invoicing(deps), lines };
}

const allOf = async (rig: AdminRig) => {
  const { reply } = await rig.send('GET', '/invoices');
  return (reply.invoices as Reply[]).map(({ invoice, month, client_name, total_micros }) => {
    return [invoice, month, client_name, total_micros];
  });
};

test('invoices become final by themselves a day after the month, one each, after any restart', async (t) => {
  const rig = await startAt(t, '2028-01-31T00:00:00Z');
  const free = await rig.client({ name: 'free', plan: 'free' });
  await use(rig, free);
  const gone = await rig.client({ name: 'gone' });
  await use(rig, gone);
  goTo(rig, '2028-02-01T23:59:59Z');
  await invoicingOf(rig).invoicing.look();
  assert.deepEqual(await allOf(rig), []);
  goTo(rig, '2028-02-02T00:00:00Z');
  const [one, two] = [invoicingOf(rig), invoicingOf(rig)];
  await Promise.all([one.invoicing.look(), two.invoicing.look()]);
  await invoicingOf(rig).invoicing.look();
  const january = ['2028-000001', '2028-01', 'gone', '2806452'];
  assert.deepEqual(await allOf(rig), [january]);
  // Its last month is billed after it is erased; a coordinator that was away makes up for the months.
  await rig.send('DELETE', `${gone}?grace_seconds=0`);
  rig.clock.advance(1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await rig.send('GET', gone)).status, 404);
  goTo(rig, '2028-06-15T00:00:00Z');
  await invoicingOf(rig).invoicing.look();
  const [, ...others] = await allOf(rig);
  assert.deepEqual(others, [['2028-000002', '2028-02', 'gone', '897989']]);
  assert.deepEqual([...one.lines, ...two.lines], []);
});

test('what comes late of a month that came to nothing is billed with the next one, once', async (t) => {
  const rig = await startAt(t, '2028-02-01T00:00:00Z');
  const client = await rig.client({ plan: 'free' });
  const plan = (await rig.send('GET', '/plans/free')).reply;
  const prices = { ...(plan.prices as Reply), million_queries: 3_000_000 };
  await rig.send('PUT', '/plans/free', { limits: plan.limits, prices });
  const early = Math.floor(Date.parse('2028-02-10T00:00:00Z') / HOUR_MS);
  // Months before the client are nobody's but operators'.
  await use(rig, client, { hour: early - 24 * 30 });
  goTo(rig, '2028-03-02T00:00:00Z');
  await invoicingOf(rig).invoicing.look();
  assert.deepEqual(await allOf(rig), []);
  await use(rig, client, { queries: 5_000_000, hour: early });
  goTo(rig, '2028-05-02T00:00:00Z');
  await invoicingOf(rig).invoicing.look();
  assert.deepEqual(await allOf(rig), [['2028-000001', '2028-03', 'acme', '15000000']]);
  const queriesOf = (reply: Reply) => amountsOf(reply).filter(([item]) => item === 'queries');
  const { reply } = await rig.send('GET', '/invoices/2028-000001');
  assert.deepEqual(queriesOf(reply), [['queries', '5000000', '15000000']]);
  // Nor does an operator bill it again who makes the month itself final.
  const february = await rig.send('POST', `${client}/invoices/2028-02/finalise`);
  assert.deepEqual([february.reply.total_micros, queriesOf(february.reply)], ['0', []]);
});

test('a clock that is set back into a month with an invoice has it billed no other way', async (t) => {
  const rig = await startAt(t, '2028-02-01T00:00:00Z');
  const client = await rig.client();
  await use(rig, client);
  goTo(rig, '2028-03-01T00:30:00Z');
  await rig.send('POST', `${client}/invoices/2028-02/finalise`);
  goTo(rig, '2028-02-29T21:30:00Z');
  const { limits, prices } = (await rig.send('GET', '/plans/standard')).reply;
  const dearer = { ...(prices as Reply), month: 50_000_000 };
  await rig.send('PUT', '/plans/standard', { limits, prices: dearer });
  goTo(rig, '2028-02-29T22:30:00Z');
  await rig.send('PATCH', client, { plan: 'free' });
  goTo(rig, '2028-04-02T00:30:00Z');
  const { reply } = await rig.send('POST', `${client}/invoices/2028-03/finalise`);
  assert.deepEqual(amountsOf(reply), [['plan', '744', '0']]);
});

test('after a start invoices wait for what workers bring', async (t) => {
  const rig = await startAt(t, '2028-02-01T00:00:00Z');
  await rig.client();
  goTo(rig, '2028-03-05T00:00:00Z');
  const { invoicing } = invoicingOf(rig);
  invoicing.start();
  rig.clock.advance(599_999);
  await invoicing.close();
  assert.deepEqual(await allOf(rig), []);
  const next = invoicingOf(rig).invoicing;
  next.start();
  rig.clock.advance(600_000);
  await next.close();
  assert.deepEqual(await allOf(rig), [['2028-000001', '2028-02', 'acme', '25000000']]);
});
