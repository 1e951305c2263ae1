/** Audit chains in the ledger: written, exported, anchored, and what is found when somebody edits them. */
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import {
  auditKeyOf,
  entryText,
  publicPemOf,
  type SignedHead,
} from '../../shared/crypto/audit-chain.ts';
import { type AuditVerdict, AuditVerifier } from '../../shared/crypto/audit-verifier.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { type AuditRecord, auditTextsOf, type LedgerEntry } from './entries.ts';
import { LedgerDb } from './ledger-db.ts';

const SEED = Buffer.alloc(32, 9);
const PUBLIC = createPublicKey(publicPemOf(auditKeyOf(SEED)));
const START = Date.parse('2026-11-27T10:00:00Z');

class Rig {
  readonly folder: string;
  readonly file: string;
  db: LedgerDb;
  #batch = 0;
  #life = 0;

  constructor(t: TestContext) {
    this.folder = temporaryFolder(t);
    this.file = path.join(this.folder, 'ledger.db');
    this.db = this.#open();
    cleanUp(t, () => this.db.close());
  }

  #open(): LedgerDb {
    this.#life += 1;
    return new LedgerDb({ file: this.file, auditSeed: SEED });
  }

  /** What is done with the files between two lives of the ledger. */
  reopen(between: () => void = () => undefined): LedgerDb {
    this.db.close();
    between();
    this.db = this.#open();
    return this.db;
  }

  /** One batch, a record after the other a second later. */
  append(chain: string, count: number, from = 0): void {
    const records = Array.from({ length: count }, (_, i): AuditRecord => {
      const n = from + i;
      const at = new Date(START + n * 1_000).toISOString();
      const fields = { action: n % 2 === 0 ? 'query' : 'write', actor: 'key_a', at, chain };
      return { chain, ...entryText({ ...fields, units: n }) };
    });
    this.#batch += 1;
    const entries = [{ kind: 'audit' as const, texts: auditTextsOf(records) }];
    this.db.write({ run: `run-${this.#life}`, batch: this.#batch, entries, now: START });
  }

  edit(sql: string): void {
    this.reopen(() => {
      const raw = new Database(this.file);
      raw.exec(sql);
      raw.close();
    });
  }

  export(chain: string, after = 0): string[] {
    const end = this.db.answer('audit-head', { chain, now: START });
    const lines = [JSON.stringify(end)];
    if (after > 0) {
      const head = this.db.answer('audit-head-at', { chain, sequence: after, now: START });
      lines.push(JSON.stringify(head));
    }
    const until = end.head.sequence;
    for (let next: number | null = after; next !== null; ) {
      const part: { text: string; next: number | null } = this.db.answer('audit-export', {
        chain,
        after: next,
        until,
      });
      lines.push(...part.text.split('\n').filter((line) => line !== ''));
      next = part.next;
    }
    return lines;
  }

  anchors(): SignedHead[] {
    const text = readFileSync(path.join(this.folder, 'audit-anchors.jsonl'), 'utf8');
    const lines = text.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as SignedHead);
  }

  verify(chain: string, known: SignedHead[] = []): AuditVerdict {
    const verifier = new AuditVerifier(PUBLIC, known);
    for (const line of this.export(chain)) verifier.take(line);
    return verifier.end();
  }
}

test('chains grow by batches, and an export of each is good', (t) => {
  const rig = new Rig(t);
  for (let i = 0; i < 10; i += 1) {
    rig.append('cl_a', 7, i * 7);
    rig.append('cl_b', 1, i);
  }
  rig.reopen();
  rig.append('cl_a', 3, 70);
  const { entries, end, problem } = rig.verify('cl_a');
  assert.deepEqual([entries, end, problem], [73, 73, undefined]);
  assert.equal(rig.verify('cl_b').entries, 10);
  assert.equal(rig.verify('cl_none').problem, undefined);
  const part = new AuditVerifier(PUBLIC);
  for (const line of rig.export('cl_a', 40)) part.take(line);
  assert.deepEqual([part.end().entries, part.end().problem], [33, undefined]);
});

test('an export of many entries comes in parts', (t) => {
  const rig = new Rig(t);
  for (let i = 0; i < 40; i += 1) rig.append('cl_a', 250, i * 250);
  assert.equal(rig.verify('cl_a').entries, 10_000);
});

test('entries are listed by cursor and filter', (t) => {
  const rig = new Rig(t);
  for (let i = 0; i < 4; i += 1) rig.append('cl_a', 5, i * 5);
  const list = (more: object) => {
    const page = rig.db.answer('audit-list', { chain: 'cl_a', after: 0, limit: 100, ...more });
    return { found: page.entries.map((line) => JSON.parse(line).sequence), next: page.next };
  };
  assert.deepEqual(list({ limit: 3 }), { found: [1, 2, 3], next: 3 });
  assert.deepEqual(list({ after: 18 }), { found: [19, 20], next: null });
  assert.deepEqual(list({ action: 'write', after: 14 }), { found: [16, 18, 20], next: null });
  assert.deepEqual(list({ actor: 'key_b' }), { found: [], next: null });
  const span = { from: START + 3_000, until: START + 5_000 };
  assert.deepEqual(list(span), { found: [4, 5], next: null });
});

test('a batch that fails leaves the chain as it was', (t) => {
  const rig = new Rig(t);
  rig.append('cl_a', 2);
  const texts = auditTextsOf([{ chain: 'cl_a', head: '{"a":1,"sequence":', tail: '}' }]);
  const bad = {
    kind: 'writes',
    sums: [{}],
    after: 0,
    upTo: 1,
    owner: {},
  } as unknown as LedgerEntry;
  const entries = [{ kind: 'audit' as const, texts }, bad];
  assert.throws(() => rig.db.write({ run: 'x', batch: 1, entries, now: START }));
  rig.append('cl_a', 2, 2);
  assert.deepEqual([rig.verify('cl_a').entries, rig.verify('cl_a').problem], [4, undefined]);
});

test('heads are anchored after a thousand entries, when it is said, and when nothing happens', (t) => {
  const rig = new Rig(t);
  rig.append('cl_a', 999);
  assert.equal(rig.anchors().length, 0);
  rig.append('cl_b', 1);
  const chains = () => rig.anchors().map(({ head }) => `${head.chain} ${head.sequence}`);
  assert.deepEqual(chains(), ['cl_a 999', 'cl_b 1', 'anchors 1']);
  rig.db.anchor(START);
  assert.deepEqual(chains().slice(3), ['anchors 2']);
  rig.append('cl_b', 1, 1);
  rig.reopen();
  rig.db.anchor(START);
  assert.deepEqual(chains().slice(4), ['cl_b 2', 'anchors 3']);
  assert.deepEqual(rig.db.broken, []);
  assert.equal(rig.verify('cl_a', rig.anchors()).problem, undefined);
});

/** What is done to the database; every one is found by an export, or by what was anchored. */
const EDITS = {
  'an entry is another': `UPDATE audit_pages SET entries = replace(entries, '"units":12}', '"units":13}')`,
  'an entry is gone': `UPDATE audit_pages SET entries = replace(entries, char(10) || substr(entries,
      instr(entries, char(10)) + 1, instr(substr(entries, instr(entries, char(10)) + 1), char(10)) - 1), '')
     WHERE first = 11`,
  'a page is gone': 'DELETE FROM audit_pages WHERE first = 11',
  'the end is gone': `DELETE FROM audit_pages WHERE first = 21;
     UPDATE audit_chains SET sequence = 20,
       hash = (SELECT hash FROM audit_pages WHERE first = 11)`,
  'two pages are exchanged': `UPDATE audit_pages SET entries =
       (SELECT other.entries FROM audit_pages AS other
         WHERE other.first = CASE audit_pages.first WHEN 1 THEN 11 ELSE 1 END) WHERE first IN (1, 11)`,
} as const;

for (const [name, sql] of Object.entries(EDITS)) {
  test(`it is found in the ledger when ${name}`, (t) => {
    const rig = new Rig(t);
    for (let i = 0; i < 3; i += 1) rig.append('cl_a', 10, i * 10);
    rig.db.anchor(START);
    assert.equal(rig.verify('cl_a', rig.anchors()).problem, undefined);
    rig.edit(sql);
    assert.ok(rig.verify('cl_a', rig.anchors()).problem !== undefined);
  });
}

test('an older database in place of the ledger is found at the start, and by an export', (t) => {
  const rig = new Rig(t);
  rig.append('cl_a', 10);
  rig.db.anchor(START);
  const older = path.join(rig.folder, 'older.db');
  rig.reopen(() => copyFileSync(rig.file, older));
  rig.append('cl_a', 5, 10);
  rig.db.anchor(START);
  const { broken } = rig.reopen(() => copyFileSync(older, rig.file));
  assert.deepEqual(
    broken.map(({ chain, sequence, end }) => [chain, sequence, end]),
    [['cl_a', 15, 10]],
  );
  assert.match(rig.verify('cl_a', rig.anchors()).problem?.problem ?? '', /entry 15 was signed/);
  // Whoever goes on from there contradicts what was signed.
  rig.append('cl_a', 10, 100);
  assert.match(rig.verify('cl_a', rig.anchors()).problem?.problem ?? '', /15 is not the one/);
});

test('a chain has no two ends: a second page after the same entry is refused', (t) => {
  const rig = new Rig(t);
  rig.append('cl_a', 2);
  rig.append('cl_a', 2, 2);
  rig.edit(
    `UPDATE audit_chains SET sequence = 2, hash = (SELECT hash FROM audit_pages WHERE first = 1)`,
  );
  assert.throws(() => rig.append('cl_a', 1), /UNIQUE/);
});
