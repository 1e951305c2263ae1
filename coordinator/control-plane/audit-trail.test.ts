/** What a client sees of its audit chain when the beginning of it was pruned. */
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { entryText } from '../../shared/crypto/audit-chain.ts';
import { AuditVerifier } from '../../shared/crypto/audit-verifier.ts';
import { SyncLedger } from '../../test/harness/sync-ledger.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { auditTextsOf } from '../ledger/entries.ts';
import { AuditTrail } from './audit-trail.ts';

const CHAIN = 'cl_a';

test('of a pruned log the rest is listed and exported, and it is said where that begins', async (t) => {
  const ledger = new SyncLedger(t, temporaryFolder(t));
  for (let page = 0; page < 3; page += 1) {
    const records = [1, 2].map((n) => ({ chain: CHAIN, ...entryText({ chain: CHAIN, n }) }));
    await ledger.append({ kind: 'audit', texts: auditTextsOf(records) });
  }
  const trail = new AuditTrail({ ledger, clock: new ManualClock(1), publicKey: ledger.publicKey });
  const key = createPublicKey(ledger.publicKey);
  const verified = async (after: number) => {
    const verifier = new AuditVerifier(key);
    for await (const text of await trail.export(CHAIN, after)) {
      for (const line of text.split('\n').filter((one) => one !== '')) verifier.take(line);
    }
    return verifier.end();
  };
  assert.deepEqual(
    [(await trail.list(CHAIN, { after: 0 })).keptFrom, (await verified(0)).start],
    [1, 'beginning'],
  );
  const begun = await trail.exportPart(CHAIN, { after: 0 });
  ledger.writtenAt = 1_000;
  await ledger.append({
    kind: 'audit',
    texts: auditTextsOf([{ chain: CHAIN, ...entryText({ chain: CHAIN, n: 3 }) }]),
  });
  while ((await ledger.prune({ chain: CHAIN, before: 1, now: 2_000 })).more);
  const { keptFrom, entries } = await trail.list(CHAIN, { after: 0 });
  assert.deepEqual([keptFrom, entries.length], [7, 2]);
  const { start, after, entries: count, problem } = await verified(0);
  assert.deepEqual([start, after, count, problem], ['checkpoint', 6, 2, undefined]);
  assert.deepEqual([(await verified(7)).start, (await verified(7)).problem], ['head', undefined]);
  await assert.rejects(trail.export(CHAIN, 3), (error) => {
    return error instanceof InvalidInput && /kept from entry 7 on/.test(error.message);
  });
  // Whoever was in the middle of an export hears that he has to begin anew.
  await assert.rejects(trail.exportPart(CHAIN, { after: 2, until: begun.until }), /begin anew/);
  const { heads, text, next } = await trail.exportPart(CHAIN, { after: 0 });
  assert.deepEqual(
    heads.map((line) => Object.keys(line)[0]),
    ['checkpoint', 'head'],
  );
  assert.deepEqual([text.split('\n').length, next], [3, null]);
});
