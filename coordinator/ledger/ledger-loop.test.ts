/** What the ledger's thread says of chains that are not what was signed. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { entryText } from '../../shared/crypto/audit-chain.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { auditTextsOf, type LedgerMessage, type LedgerRequest } from './entries.ts';
import { LedgerLoop } from './ledger-loop.ts';

test('it is said whenever the file is opened, after a failure too', (t) => {
  const file = path.join(temporaryFolder(t), 'ledger.db');
  const said: LedgerMessage[] = [];
  const data = { file, auditSeed: Buffer.alloc(32, 1) };
  const loop = new LedgerLoop(data, (message) => void said.push(message));
  cleanUp(t, () => loop.close());
  const kinds = () => said.splice(0).map(({ kind }) => kind);
  loop.start();
  assert.deepEqual(kinds(), ['ready']);
  const texts = auditTextsOf([{ chain: 'cl_a', ...entryText({ action: 'a', chain: 'cl_a' }) }]);
  const entries = [{ kind: 'audit', texts } as const];
  loop.accept({ kind: 'batch', seq: 1, run: 'a', batch: 1, entries, now: 0 });
  loop.accept({ kind: 'anchor', seq: 2, now: 0 });
  assert.deepEqual(kinds(), ['answer', 'answer']);
  const bad = [{ kind: 'audit', texts: [['cl_a', 7]] }];
  loop.accept({
    kind: 'batch',
    seq: 3,
    run: 'a',
    batch: 2,
    entries: bad,
    now: 0,
  } as unknown as Exclude<LedgerRequest, { kind: 'close' }>);
  assert.deepEqual(kinds(), ['failed']);
  const raw = new Database(file);
  raw.exec(`UPDATE audit_pages SET entries = replace(entries, '"a"', '"b"')`);
  raw.close();
  loop.accept({ kind: 'question', seq: 4, name: 'changes', about: undefined });
  const [told] = said;
  assert.ok(told?.kind === 'broken');
  assert.deepEqual(
    told.broken.map(({ chain, reason }) => [chain, reason]),
    [['cl_a', 'entry']],
  );
  assert.deepEqual(kinds(), ['broken', 'answer']);
});
