import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import { entryText } from '../../shared/crypto/audit-chain.ts';
import { type AuditTexts, type LedgerEntry, OPERATORS_CHAIN } from '../ledger/entries.ts';
import { type AuditedRequest, AuditLog } from './audit-log.ts';

const NOW = Date.parse('2026-11-27T10:00:00.000Z');

function start() {
  const clock = new ManualClock(NOW);
  const written: AuditTexts[] = [];
  const append = async (entry: LedgerEntry) => {
    assert.ok(entry.kind === 'audit');
    written.push(entry.texts);
  };
  return { clock, written, log: new AuditLog({ ledger: { append }, clock }) };
}

function request(more: Partial<AuditedRequest> = {}): AuditedRequest {
  return {
    clientId: 'cl_a' as ClientId,
    keyId: 'key_a' as KeyId,
    mode: 'live',
    namespace: 'default',
    endpoint: 'GET /collections/:collection',
    collection: 'docs',
    status: 200,
    units: 3,
    requestId: 'req_a',
    deleted: undefined,
    sample: 1,
    ...more,
  };
}

/** The entries of a chain, as they would be with their sequences. */
function entriesOf(written: readonly AuditTexts[], chain: string): Record<string, unknown>[] {
  const records = written.flat().filter(([name]) => name === chain);
  const lines = records.flatMap(([, text]) => text.split('\n'));
  return lines.map((line, i) => JSON.parse(line.replace('\0', String(i + 1))));
}

test('a request is written as any entry would be, whatever its collection is called', () => {
  const names = ['docs', '', 'a "b" \\ c', 'dø\u2028cs', '\u0000\n', 'lone \ud800', '~{}[]'];
  for (const collection of names) {
    const { clock, written, log } = start();
    log.request(request({ collection }));
    clock.advance(500);
    const [[, text = ''] = []] = written[0] ?? [];
    const { head, tail } = entryText({
      action: 'GET /collections/:collection',
      actor: 'key_a',
      at: '2026-11-27T10:00:00.000Z',
      chain: 'cl_a',
      mode: 'live',
      outcome: 200,
      request: 'req_a',
      target: collection === '' ? 'default' : `default/${collection}`,
      units: 3,
    });
    assert.equal(text, `${head}\0${tail}`);
  }
});

test('records of half a second go together, by chain', () => {
  const { clock, written, log } = start();
  log.request(request());
  log.request(request({ clientId: 'cl_b' as ClientId }));
  log.request(request({ units: 4 }));
  clock.advance(499);
  assert.equal(written.length, 0);
  clock.advance(1);
  assert.deepEqual(
    written[0]?.map(([chain]) => chain),
    ['cl_a', 'cl_b'],
  );
  assert.deepEqual(
    entriesOf(written, 'cl_a').map(({ sequence, units }) => [sequence, units]),
    [
      [1, 3],
      [2, 4],
    ],
  );
});

test('of sampled queries the first of each so many is there and says so, by client', () => {
  const { clock, written, log } = start();
  for (let i = 0; i < 25; i += 1) {
    log.request(request({ sample: 10, requestId: `req_${i}` }));
    if (i % 5 === 0) log.request(request({ status: 404, requestId: `missing_${i}` }));
    log.request(request({ clientId: 'cl_b' as ClientId, requestId: `req_${i}` }));
  }
  clock.advance(500);
  const own = entriesOf(written, 'cl_a').filter(({ outcome }) => outcome === 200);
  assert.deepEqual(
    own.map((entry) => [entry.request, entry.sample]),
    [
      ['req_0', 10],
      ['req_10', 10],
      ['req_20', 10],
    ],
  );
  assert.equal(entriesOf(written, 'cl_a').length, 8);
  assert.equal(entriesOf(written, 'cl_b').length, 25);
  const [[, text = ''] = []] = written[0] ?? [];
  const [line = ''] = text.split('\n');
  const { sequence: _, ...fields } = JSON.parse(line.replace('\0', '1'));
  const { head, tail } = entryText(fields);
  assert.equal(line, `${head}\0${tail}`);
});

test('a delete says how many points it deleted', () => {
  const { clock, written, log } = start();
  log.request(request({ deleted: 0 }));
  log.request(request({ deleted: 7 }));
  log.request(request());
  clock.advance(500);
  const found = entriesOf(written, 'cl_a');
  assert.deepEqual(
    found.map(({ deleted }) => deleted),
    [0, 7, undefined],
  );
  assert.deepEqual(Object.keys(found[0] ?? {}).toSorted(), Object.keys(found[0] ?? {}));
});

test("a minute's bad keys of an address are one entry, and of too many addresses one for all", async () => {
  const { clock, written, log } = start();
  for (let i = 0; i < 5; i += 1) log.refusedKey('10.0.0.1');
  for (let i = 0; i < 1_500; i += 1) log.refusedKey(`10.1.${i >> 8}.${i & 255}`);
  clock.advance(60_000);
  await new Promise(setImmediate);
  clock.advance(500);
  const entries = entriesOf(written, OPERATORS_CHAIN);
  const counts = new Map(entries.map(({ actor, count }) => [actor, count]));
  assert.equal(counts.get('10.0.0.1'), 5);
  assert.equal(counts.get('others'), 501);
  assert.equal(entries.length, 1_001);
});

test('the end writes what is left, a minute that is not over included', async () => {
  const { written, log } = start();
  log.request(request());
  log.refusedKey('10.0.0.1');
  await log.close();
  log.request(request());
  assert.equal(entriesOf(written, 'cl_a').length, 1);
  assert.equal(entriesOf(written, OPERATORS_CHAIN).length, 1);
});
