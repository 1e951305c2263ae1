/** The ledger through its real thread and file. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManualClock, systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, ShardId } from '../../shared/base/ids.ts';
import { InUse } from '../../shared/base/in-use.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { NOTICES, type Notice } from '../../shared/domain/notices.ts';
import type { Log } from '../../shared/log/log.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import type { WritesEntry } from './entries.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';
import { LedgerDb } from './ledger-db.ts';

const SEED = Buffer.alloc(32, 1);
const SHARD = 'shard' as ShardId;
const OWNER = { clientId: 'cl_a' as ClientId, mode: 'live', namespace: 'default' } as const;
const ALL = {
  clientId: OWNER.clientId,
  mode: OWNER.mode,
  namespaces: null,
  from: 0,
  until: 1_000_000,
  by: 'hour',
  limit: 100,
} as const;

function writes(after: number, upTo: number, more: Partial<WritesEntry> = {}): WritesEntry {
  const sum = { key: 'key_a', hour: 1, writes: 1, written: upTo - after, deleted: 0, bytes: 8 };
  const span = { after, upTo, sums: [sum], isLast: false };
  return { kind: 'writes', shardId: SHARD, owner: OWNER, ...span, ...more };
}

const soon = () => Deadline.after(systemClock, 5_000);

async function openIn(t: TestContext, folder: string, options: Partial<LedgerOptions> = {}) {
  const events: string[] = [];
  const log: Log = { event: (name) => void events.push(name) };
  const told: Notice[] = [];
  const tell = (notice: Notice) => void told.push(notice);
  const deps = { clock: systemClock, random: secureRandom, log, tell };
  const file = path.join(folder, 'ledger.db');
  const ledger = new Ledger(file, deps, { auditSeed: SEED, ...options });
  await ledger.opened();
  cleanUp(t, () => ledger.close(soon()));
  return { ledger, events, told };
}

test('what shards noted is added up, each span once, and read by hour and key', async (t) => {
  const { ledger } = await openIn(t, temporaryFolder(t));
  const other = { key: 'key_b', hour: 2, writes: 2, written: 0, deleted: 7, bytes: 0 };
  await Promise.all([
    ledger.append(writes(0, 10)),
    ledger.append(writes(0, 10)),
    ledger.append(writes(10, 15)),
    ledger.append(writes(20, 21, { sums: [other] })),
    ledger.append(writes(14, 30)),
    ledger.append(writes(21, 22, { owner: { ...OWNER, mode: 'test' } })),
  ]);
  const amount = { start: 1, namespace: 'default', keyId: 'key_a' };
  assert.deepEqual(await ledger.ask('write-usage', ALL), [
    { ...amount, writes: 2, written: 15, deleted: 0, bytes: 16 },
    { start: 2, namespace: 'default', keyId: 'key_b', writes: 2, written: 0, deleted: 7, bytes: 0 },
  ]);
  assert.deepEqual(await ledger.ask('shard', SHARD), { version: 22, closed: false });
  assert.deepEqual(await ledger.ask('write-usage', { ...ALL, from: 3 }), []);
});

test('amounts are added up by day and month, leap days and namespaces included', async (t) => {
  const { ledger } = await openIn(t, temporaryFolder(t));
  const hourOf = (text: string) => Date.parse(text) / 3_600_000;
  const times = [
    '2028-02-28T23:00:00Z',
    '2028-02-29T00:00:00Z',
    '2028-02-29T23:00:00Z',
    '2028-03-01T00:00:00Z',
  ];
  let version = 0;
  for (const namespace of ['a', 'b']) {
    for (const time of times) {
      const sum = { key: 'k', hour: hourOf(time), writes: 1, written: 1, deleted: 0, bytes: 1 };
      const more = { sums: [sum], owner: { ...OWNER, namespace } };
      await ledger.append(writes(version, version + 1, more), { urgent: true });
      version += 1;
    }
  }
  const askFor = async (more: object) => {
    const rows = await ledger.ask('write-usage', { ...ALL, ...more });
    return rows.map(({ start, namespace, written }) => {
      return [new Date(start * 3_600_000).toISOString().slice(0, 10), namespace, written];
    });
  };
  assert.deepEqual(await askFor({ by: 'day', namespaces: ['a'] }), [
    ['2028-02-28', 'a', 1],
    ['2028-02-29', 'a', 2],
    ['2028-03-01', 'a', 1],
  ]);
  assert.deepEqual(await askFor({ by: 'month', until: hourOf('2028-03-01T00:00:00Z') }), [
    ['2028-02-01', 'a', 3],
    ['2028-02-01', 'b', 3],
  ]);
  assert.deepEqual(await askFor({ by: 'month', namespaces: [] }), []);
  assert.equal((await askFor({ limit: 2 })).length, 2);
});

test('a shard that is closed takes nothing more, until it is forgotten', async (t) => {
  const { ledger } = await openIn(t, temporaryFolder(t));
  await ledger.append(writes(0, 10, { isLast: true }));
  await ledger.append(writes(10, 20));
  assert.deepEqual(await ledger.ask('shard', SHARD), { version: 10, closed: true });
  await ledger.append({ kind: 'forget', shardIds: [SHARD] });
  assert.deepEqual(await ledger.ask('shard', SHARD), { version: 0, closed: false });
});

test('a total beyond 10^12 has no rounding', async (t) => {
  const { ledger } = await openIn(t, temporaryFolder(t));
  const sum = { key: 'key_a', hour: 1, writes: 1, written: 1, deleted: 0, bytes: 999_999_999_999 };
  const entries = Array.from({ length: 100 }, (_, i) => writes(i, i + 1, { sums: [sum] }));
  await Promise.all(entries.map((entry) => ledger.append(entry)));
  const [row] = await ledger.ask('write-usage', ALL);
  assert.equal(row?.bytes, 99_999_999_999_900);
});

test('a batch that is sent again changes nothing, one of another run does', (t) => {
  const file = path.join(temporaryFolder(t), 'ledger.db');
  const db = new LedgerDb({ file, auditSeed: SEED });
  cleanUp(t, () => db.close());
  const first = { run: 'a', batch: 1, entries: [writes(0, 1)], now: 0 };
  db.write(first);
  db.write({ run: 'a', batch: 1, entries: [writes(1, 2)], now: 0 });
  assert.equal(db.answer('shard', SHARD).version, 1);
  db.write({ run: 'b', batch: 1, entries: [writes(1, 2)], now: 0 });
  assert.equal(db.answer('shard', SHARD).version, 2);
});

test('entries under way are written before the ledger is closed, and are there afterwards', async (t) => {
  const folder = temporaryFolder(t);
  const { ledger } = await openIn(t, folder);
  const entries = Array.from({ length: 2_500 }, (_, i) => ledger.append(writes(i, i + 1)));
  await ledger.close(soon());
  await Promise.all(entries);
  await assert.rejects(ledger.append(writes(1, 2)), { code: 'shutting_down' });
  const again = await openIn(t, folder);
  assert.equal((await again.ledger.ask('shard', SHARD)).version, 2_500);
});

test('a second coordinator is told that the ledger is in use', async (t) => {
  const folder = temporaryFolder(t);
  const db = new LedgerDb({ file: path.join(folder, 'ledger.db'), auditSeed: SEED });
  cleanUp(t, () => db.close());
  await assert.rejects(openIn(t, folder), InUse);
});

/** Dies after the first batch, which it has written or not; the next one lives. */
function mortal(folder: string, isWritten: boolean): URL {
  const at = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  const scar = JSON.stringify(path.join(folder, 'died'));
  const program = `
    import { existsSync, writeFileSync } from 'node:fs';
    import { parentPort as port, workerData } from 'node:worker_threads';
    const { LedgerLoop } = await import(${at('./ledger-loop.ts')});
    const loop = new LedgerLoop(workerData, (message) => port.postMessage(message));
    const silent = new LedgerLoop(workerData, () => {});
    port.on('message', (request) => {
      if (request.kind === 'close') { loop.close(); port.close(); return; }
      const isFirst = request.kind !== 'anchor' && !existsSync(${scar});
      if (!isFirst) return loop.accept(request);
      writeFileSync(${scar}, '');
      loop.close();
      if (${isWritten}) silent.accept(request);
      throw new Error('died');
    });
    loop.start();
  `;
  return new URL(`data:text/javascript,${encodeURIComponent(program)}`);
}

for (const isWritten of [true, false]) {
  const when = isWritten ? 'after' : 'before';
  test(`a thread that dies ${when} the commit loses nothing and counts nothing twice`, async (t) => {
    const folder = temporaryFolder(t);
    const { ledger, events } = await openIn(t, folder, { entry: mortal(folder, isWritten) });
    await Promise.all([ledger.append(writes(0, 1)), ledger.append(writes(1, 2))]);
    assert.ok(existsSync(path.join(folder, 'died')));
    assert.deepEqual(events, ['ledger_failed', 'ledger_recovered']);
    const [row] = await ledger.ask('write-usage', ALL);
    assert.deepEqual([row?.writes, row?.written], [2, 2]);
  });
}

test('more entries than the bound are refused while the ledger can not be written', async (t) => {
  const folder = temporaryFolder(t);
  const { ledger } = await openIn(t, folder, { entry: mortal(folder, false) });
  const entries: Promise<void>[] = [];
  for (let i = 0; !ledger.isFull; i += 1) entries.push(ledger.append(writes(i, i + 1)));
  assert.equal(entries.length, LIMITS.ledgerEntriesMax);
  await assert.rejects(ledger.append(writes(0, 1)), { code: 'overloaded' });
  await Promise.all(entries);
  assert.equal((await ledger.ask('shard', SHARD)).version, LIMITS.ledgerEntriesMax);
  assert.ok(!ledger.isFull);
});

test('who is told hears of broken chains, and once of anchors that fail', async () => {
  const program = `
    import { parentPort as port } from 'node:worker_threads';
    const broken = [{ chain: 'cl_aaaaaaaaaaaaaaaa', reason: 'entry', sequence: 7, at: '', end: 5 }];
    port.on('message', ({ kind, seq }) => {
      if (kind === 'close') port.close();
      else port.postMessage({ kind: 'failed', seq, error: new Error('the disk is full') });
    });
    port.postMessage({ kind: 'broken', broken });
    port.postMessage({ kind: 'ready' });
  `;
  const entry = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
  const clock = new ManualClock();
  const events: string[] = [];
  const notices: Notice[] = [];
  const log: Log = { event: (name) => void events.push(name) };
  const tell = (notice: Notice) => void notices.push(notice);
  const deps = { clock, random: secureRandom, log, tell };
  const ledger = new Ledger('none', deps, { auditSeed: SEED, entry });
  await ledger.opened();
  for (let failures = 1; failures <= 2; failures += 1) {
    clock.advance(60_000);
    while (events.filter((name) => name === 'anchor_failed').length < failures) {
      await new Promise(setImmediate);
    }
  }
  assert.deepEqual(
    notices.map(({ type, clientId, data }) => [type, clientId, data.chain]),
    [
      ['audit.failed', 'cl_aaaaaaaaaaaaaaaa', 'cl_aaaaaaaaaaaaaaaa'],
      ['audit.failed', null, 'anchors'],
      ['audit.failed', null, 'anchors'],
    ],
  );
  assert.equal(notices[1]?.key, notices[2]?.key);
  for (const { type, data } of notices) {
    assert.deepEqual(Object.keys(data), [...NOTICES[type].fields]);
  }
  await ledger.close(Deadline.after(systemClock, 5_000));
});
