/** Hours far outside of a client's history: found once each, told once a row, whatever is started again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnomalyChecks } from '../../coordinator/control-plane/billing/anomaly-checks.ts';
import type { KeyId } from '../../shared/base/ids.ts';
import { quietLog } from '../../shared/log/log.ts';
import { hourOf } from '../../shared/protocol/meter.ts';
import { AdminRig, type Reply } from './admin-rig.ts';
import { clientIdOf } from './ledger-use.ts';

const HOUR_MS = 3_600_000;
const WEEKS_4 = 28 * 24;

async function queries(rig: AdminRig, client: string, hours: Map<number, number>): Promise<void> {
  const whose = { clientId: clientIdOf(client), mode: 'live', namespace: 'default' } as const;
  const more = { keyId: 'key_a' as KeyId, route: 'query', status: 200 };
  const sums = [...hours].map(([hour, count]) => {
    const amounts = { requests: count, queries: count, units: 0, bytesIn: 0, bytesOut: 0 };
    return { ...whose, ...more, hour, ...amounts };
  });
  await rig.ledger.append({ kind: 'requests', sums });
}

/** A client that asked a thousand queries in each hour of four weeks before the one that it is. */
async function calmClient(rig: AdminRig): Promise<string> {
  const client = await rig.client();
  const now = hourOf(rig.clock.now());
  const hours = Array.from({ length: WEEKS_4 }, (_, back) => [now - 1 - back, 1_000] as const);
  await queries(rig, client, new Map(hours));
  return client;
}

/** As of a coordinator that was started again. */
function restarted(rig: AdminRig): AnomalyChecks {
  const { store, ledger, clock, toldOf } = rig;
  const tell = (notice: (typeof toldOf.notices)[number]) => void toldOf.notices.push(notice);
  return new AnomalyChecks({ store, ledger, tell, clock, log: quietLog });
}

async function found(rig: AdminRig, query = ''): Promise<unknown[]> {
  const { reply } = await rig.send('GET', `/anomalies${query}`);
  return (reply.anomalies as Reply[]).map((row) => [row.client_id, row.value]);
}

test('an hour is looked at ten minutes after its end, once, and listed', async (t) => {
  const rig = await AdminRig.start(t);
  rig.clock.advance(HOUR_MS - (rig.clock.now() % HOUR_MS));
  const client = await calmClient(rig);
  const calm = await calmClient(rig);
  const now = hourOf(rig.clock.now());
  await rig.billing.anomalies.look();
  await queries(rig, client, new Map([[now, 10_000]]));
  await queries(rig, calm, new Map([[now, 1_000]]));
  rig.clock.advance(HOUR_MS + 599_999);
  await rig.billing.anomalies.look();
  assert.deepEqual(await found(rig), []);
  rig.clock.advance(1);
  await restarted(rig).look();
  await rig.billing.anomalies.look();
  await restarted(rig).look();
  const clientId = clientIdOf(client);
  const { reply } = await rig.send('GET', '/anomalies');
  const hour = new Date(now * HOUR_MS).toISOString();
  const what = { hour, measure: 'queries', value: 10_000, usual: 1_000, limit: 4_485 };
  assert.deepEqual(reply, {
    anomalies: [{ sequence: 1, client_id: clientId, ...what }],
    next: null,
  });
  assert.deepEqual(rig.toldOf.notices, [
    { type: 'usage.anomaly', clientId, key: `${clientId} ${hour} queries`, data: what },
  ]);
  assert.deepEqual(await found(rig, `?client=${clientIdOf(calm)}`), []);
});

test('of a row of such hours the first is told, and after a calm one the next', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await calmClient(rig);
  const now = hourOf(rig.clock.now());
  const loads = [9_000, 9_001, 9_002, 1_000, 0, 9_003];
  await queries(rig, client, new Map(loads.map((count, n) => [now + n, count])));
  for (const _ of loads) {
    rig.clock.advance(HOUR_MS);
    await restarted(rig).look();
  }
  const clientId = clientIdOf(client);
  const values = [9_000, 9_001, 9_002, 0, 9_003];
  assert.deepEqual(
    await found(rig),
    values.map((value) => [clientId, value]),
  );
  const told = rig.toldOf.notices.map(({ data }) => data.value);
  assert.deepEqual(told, [9_000, 0, 9_003], 'a burst after a silence is news');
  const { reply } = await rig.send('GET', '/anomalies?limit=2');
  assert.equal(reply.next, 2);
  assert.deepEqual(await found(rig, '?limit=2&after=2'), [
    [clientId, 9_002],
    [clientId, 0],
  ]);
});

test('a start makes up for a day at most, and for every client of it', async (t) => {
  const rig = await AdminRig.start(t);
  const clients = await Promise.all(Array.from({ length: 60 }, () => rig.client()));
  const loud = await calmClient(rig);
  const now = hourOf(rig.clock.now());
  await rig.billing.anomalies.look();
  await queries(
    rig,
    loud,
    new Map([
      [now + 1, 10_000],
      [now + 20, 20_000],
    ]),
  );
  await rig.send('POST', `${clients[0]}/suspend`, { reason: 'r' });
  rig.clock.advance(40 * HOUR_MS);
  await restarted(rig).look();
  const values = (await found(rig)).map((row) => (row as [string, number])[1]);
  assert.equal(values.includes(10_000), false, 'that was more than a day ago');
  assert.equal(values.includes(20_000), true);
  assert.equal(values.filter((value) => value === 0).length, 23, 'silence, but for that hour');
});

test('a clock that was far ahead for a while does not end the looking', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await calmClient(rig);
  await rig.billing.anomalies.look();
  rig.clock.advance(365 * 24 * HOUR_MS);
  await rig.billing.anomalies.look();
  rig.clock.advance(-365 * 24 * HOUR_MS);
  await queries(rig, client, new Map([[hourOf(rig.clock.now()), 10_000]]));
  rig.clock.advance(2 * HOUR_MS);
  await restarted(rig).look();
  rig.clock.advance(HOUR_MS);
  await restarted(rig).look();
  const values = (await found(rig)).map((row) => (row as [string, number])[1]);
  assert.ok(values.length > 0, 'it is looked at again');
});
