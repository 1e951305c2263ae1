/** Audit chains in the ledger: written, exported, anchored, and what is found when somebody edits them. */
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { AnchorsVerifier } from '../../shared/crypto/anchors-verifier.ts';
import { auditKeyOf, entryText, publicPemOf } from '../../shared/crypto/audit-chain.ts';
import { type AuditVerdict, AuditVerifier } from '../../shared/crypto/audit-verifier.ts';
import type { SignedCheckpoint, SignedHead } from '../../shared/crypto/signed-lines.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { type AuditRecord, auditTextsOf, type LedgerEntry, OPERATORS_CHAIN } from './entries.ts';
import { LedgerDb } from './ledger-db.ts';

const SEED = Buffer.alloc(32, 9);
const PUBLIC = createPublicKey(publicPemOf(auditKeyOf(SEED)));
const DAY_MS = 24 * 3_600_000;
const START = Date.parse('2026-11-27T10:00:00Z');

class Rig {
  readonly folder: string;
  readonly file: string;
  db: LedgerDb;
  readonly options: { anchorsBytesMax?: number };
  #batch = 0;
  #life = 0;

  constructor(t: TestContext, options: { anchorsBytesMax?: number } = {}) {
    this.options = options;
    this.folder = temporaryFolder(t);
    this.file = path.join(this.folder, 'ledger.db');
    this.db = this.#open();
    cleanUp(t, () => this.db.close());
  }

  #open(): LedgerDb {
    this.#life += 1;
    return new LedgerDb({ file: this.file, auditSeed: SEED, ...this.options });
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
    const now = START + from * 1_000;
    this.db.write({ run: `run-${this.#life}`, batch: this.#batch, entries, now });
  }

  /** What was written before that entry goes; how many steps there were. */
  prune(chain: string, from: number, now = START + DAY_MS): number {
    const before = START + from * 1_000;
    for (let steps = 1; ; steps += 1) if (!this.db.prune({ chain, before, now }).more) return steps;
  }

  edit(sql: string): void {
    this.reopen(() => {
      const raw = new Database(this.file);
      raw.exec(sql);
      raw.close();
    });
  }

  export(chain: string, after = 0): string[] {
    const start = this.db.answer('audit-export-start', { chain, after, now: START });
    assert.ok('lines' in start);
    const lines = start.lines.map((line) => JSON.stringify(line));
    for (let next: number | null = start.after; next !== null; ) {
      const span: { after: number; until: number } = { after: next, until: start.until };
      const part = this.db.answer('audit-export', { chain, ...span });
      assert.ok(part !== undefined);
      lines.push(...part.text.split('\n').filter((line) => line !== ''));
      next = part.next;
    }
    return lines;
  }

  anchors(): (SignedHead | SignedCheckpoint)[] {
    const text = this.anchorFiles()
      .map((file) => readFileSync(file, 'utf8'))
      .join('');
    const lines = text.split('\n').filter((line) => line !== '');
    const all = lines.map((line) => JSON.parse(line) as SignedHead | SignedCheckpoint);
    return all.filter((line) => !('file' in line));
  }

  anchorFiles(): string[] {
    const names = readdirSync(this.folder).filter((name) => name.startsWith('audit-anchors'));
    return names.toSorted().map((name) => path.join(this.folder, name));
  }

  verify(chain: string, known = this.anchors().slice(0, 0)): AuditVerdict {
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
  const chains = () => {
    return rig
      .anchors()
      .map((line) => 'head' in line && `${line.head.chain} ${line.head.sequence}`);
  };
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

/** The same, and what is about the beginning, of a chain whose first ten entries were pruned. */
const PRUNED_EDITS = {
  'an entry is another': `UPDATE audit_pages SET entries = replace(entries, '"units":22}', '"units":23}')`,
  'a page is gone': 'DELETE FROM audit_pages WHERE first = 21',
  'the end is gone': `DELETE FROM audit_pages WHERE first >= 31;
     UPDATE audit_chains SET sequence = 30,
       hash = (SELECT hash FROM audit_pages WHERE first = 21) WHERE chain = 'cl_a'`,
  'more of the beginning is gone': 'DELETE FROM audit_pages WHERE first = 11',
  'the checkpoint is gone': 'DELETE FROM audit_checkpoints',
  'the checkpoint is another': `DELETE FROM audit_pages WHERE first = 11;
     UPDATE audit_checkpoints SET line = json_set(line, '$.checkpoint.sequence', 20,
       '$.checkpoint.hash', (SELECT prev_hash FROM audit_pages WHERE first = 21))`,
  'the checkpoint is that of another chain': `UPDATE audit_checkpoints SET
     line = json_set(line, '$.checkpoint.chain', 'cl_b') WHERE chain = 'cl_a'`,
} as const;

for (const [name, sql] of Object.entries(PRUNED_EDITS)) {
  test(`it is found in a pruned chain when ${name}`, (t) => {
    const rig = new Rig(t);
    for (let i = 0; i < 4; i += 1) rig.append('cl_a', 10, i * 10);
    rig.prune('cl_a', 10);
    rig.db.anchor(START);
    const { problem, start, after } = rig.verify('cl_a', rig.anchors());
    assert.deepEqual([problem, start, after], [undefined, 'checkpoint', 10]);
    assert.deepEqual(rig.reopen().broken, []);
    rig.edit(sql);
    assert.ok(rig.verify('cl_a', rig.anchors()).problem !== undefined);
    const isWithin = name === 'an entry is another' || name === 'a page is gone';
    assert.deepEqual(
      rig.db.broken.map(({ chain }) => chain),
      isWithin ? [] : ['cl_a'],
    );
  });
}

test('a chain is pruned by whole pages, told of, and read from where it is kept', (t) => {
  const rig = new Rig(t);
  for (let i = 0; i < 4; i += 1) rig.append('cl_a', 10, i * 10);
  rig.db.anchor(START);
  assert.equal(rig.db.prune({ chain: 'cl_none', before: START, now: START }).more, false);
  // A page stays whole, and from the checkpoint on what is before it is not read.
  assert.deepEqual(rig.db.prune({ chain: 'cl_a', before: START + 25_000, now: START + DAY_MS }), {
    entries: 30,
    more: true,
  });
  const list = (after: number) => {
    const page = rig.db.answer('audit-list', { chain: 'cl_a', after, limit: 100 });
    return { kept: page.keptFrom, found: page.entries.map((line) => JSON.parse(line)) };
  };
  const { kept, found } = list(0);
  assert.deepEqual([kept, found[0].sequence, found.length], [31, 31, 11]);
  const { action, entries, target, until } = found.at(-1);
  assert.deepEqual([action, entries, target, until], ['audit.prune', 30, 'cl_a', 30]);
  const told = rig.db.answer('audit-list', { chain: OPERATORS_CHAIN, after: 0, limit: 9 });
  assert.match(told.entries.join(), /"action":"audit.prune".*"target":"cl_a"/);
  const gone = rig.db.answer('audit-export-start', { chain: 'cl_a', after: 20, now: START });
  assert.deepEqual(gone, { keptFrom: 31 });
  assert.equal(rig.db.answer('audit-export', { chain: 'cl_a', after: 20, until: 30 }), undefined);
  assert.equal(rig.prune('cl_a', 25), 2);
  assert.equal(rig.verify('cl_a', rig.anchors()).entries, 11);
  const part = new AuditVerifier(PUBLIC, rig.anchors());
  for (const line of rig.export('cl_a', 35)) part.take(line);
  assert.deepEqual(
    [part.end().problem, part.end().start, part.end().entries],
    [undefined, 'head', 6],
  );
});

test('a chain is pruned once a day, and not for the entry that tells of it', (t) => {
  const rig = new Rig(t);
  rig.append('cl_a', 10);
  rig.append('cl_a', 10, 10);
  const sequenceAfter = (from: number, now: number) => {
    rig.prune('cl_a', from, now);
    const start = rig.db.answer('audit-export-start', { chain: 'cl_a', after: 0, now });
    return 'after' in start && start.after;
  };
  assert.equal(sequenceAfter(10, START + DAY_MS), 10);
  assert.equal(sequenceAfter(1_000, START + 2 * DAY_MS - 1), 10);
  const later = START + 2 * DAY_MS;
  assert.equal(sequenceAfter(1_000, later), 20);
  // Only the entries of the two prunings are left, and then only that of the last.
  const all = 10 * DAY_MS;
  assert.equal(sequenceAfter(all, later + DAY_MS), 22);
  assert.equal(sequenceAfter(all, later + 2 * DAY_MS), 22);
  assert.equal(rig.verify('cl_a', rig.anchors()).problem, undefined);
  assert.deepEqual(rig.reopen().broken, []);
});

test('what is long is pruned in small steps, and entries come between them', (t) => {
  const rig = new Rig(t);
  for (let i = 0; i < 1_200; i += 1) rig.append('cl_a', 1, i);
  const step = { chain: 'cl_a', before: START + 1_150_000, now: START + DAY_MS };
  let steps = 0;
  for (let more = true; more; steps += 1) {
    more = rig.db.prune(step).more;
    if (steps < 10) rig.append('cl_a', 1, 1_200 + steps);
  }
  assert.ok(steps > 20);
  const { problem, after, end } = rig.verify('cl_a', rig.anchors());
  assert.deepEqual([problem, after, end], [undefined, 1_150, 1_212]);
});

test('an older database in place of a pruned one is found', (t) => {
  const rig = new Rig(t);
  for (let i = 0; i < 3; i += 1) rig.append('cl_a', 10, i * 10);
  rig.db.anchor(START);
  const older = path.join(rig.folder, 'older.db');
  rig.reopen(() => copyFileSync(rig.file, older));
  rig.prune('cl_a', 10);
  const { broken } = rig.reopen(() => copyFileSync(older, rig.file));
  assert.deepEqual(
    broken.map(({ chain, reason }) => [chain, reason]),
    [['cl_a', 'checkpoint']],
  );
  // It is evidence: nothing of it goes.
  assert.equal(rig.prune('cl_a', 30, START + 9 * DAY_MS), 1);
  assert.equal(rig.verify('cl_a').entries, 30);
});

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

/** What the files of anchors say, as an operator checks them. */
function anchorsVerdict(rig: Rig) {
  const verifier = new AnchorsVerifier(PUBLIC);
  for (const file of rig.anchorFiles()) {
    verifier.take(Number(/[0-9]{6}/.exec(path.basename(file))?.[0]), readFileSync(file));
  }
  return verifier.verdict;
}

/** Of several files: some thousand bytes each. */
function withManyAnchors(t: TestContext, anchors = 30): Rig {
  const rig = new Rig(t, { anchorsBytesMax: 2_000 });
  for (let i = 0; i < anchors; i += 1) {
    rig.append(i % 3 === 0 ? 'cl_a' : 'cl_b', 2, i * 2);
    if (i === 8) rig.prune('cl_a', 6);
    rig.db.anchor(START + i * 60_000);
    if (i % 7 === 0) rig.reopen();
  }
  return rig;
}

test('a file of anchors that is full is closed, and a start needs only the newest', (t) => {
  const rig = withManyAnchors(t);
  const files = rig.anchorFiles();
  assert.ok(files.length > 4 && files.every((file) => readFileSync(file).length < 6_000));
  const { first, last, anchors, torn, problem } = anchorsVerdict(rig);
  assert.deepEqual([first, last, anchors, torn, problem], [1, files.length, 30, 0, undefined]);
  rig.reopen(() => {
    for (const file of files.slice(0, -1)) rmSync(file);
  });
  assert.deepEqual([rig.db.broken, rig.db.anchors], [[], 30]);
  rig.db.anchor(START);
  assert.deepEqual([rig.db.anchors, anchorsVerdict(rig).problem], [31, undefined]);
  for (const chain of ['cl_a', 'cl_b'])
    assert.equal(rig.verify(chain, rig.anchors()).problem, undefined);
  // Chains that have not grown since are known, too.
  const edit = `UPDATE audit_pages SET entries = replace(entries, '"units":', '"units":1')
    WHERE chain = 'cl_a' AND last = (SELECT sequence FROM audit_chains WHERE chain = 'cl_a')`;
  rig.edit(edit);
  assert.deepEqual(
    rig.db.broken.map(({ chain }) => chain),
    ['cl_a'],
  );
});

test('it is found at the start when the newest file of anchors is gone, and the next is another', (t) => {
  const rig = withManyAnchors(t);
  const files = rig.anchorFiles();
  const { broken } = rig.reopen(() => rmSync(files.at(-1) ?? ''));
  assert.deepEqual(broken.map(({ chain, reason }) => [chain, reason]).at(-1), [
    'anchors',
    'anchors',
  ]);
  rig.db.anchor(START);
  assert.match(
    anchorsVerdict(rig).problem?.problem ?? '',
    new RegExp(`file ${files.length} is missing`),
  );
  assert.deepEqual(rig.reopen().broken, []);
  const all = rig.reopen(() => {
    for (const file of rig.anchorFiles()) rmSync(file);
  });
  assert.deepEqual(
    all.broken.map(({ reason }) => reason),
    ['anchors'],
  );
});

/** What is done to the lines of one file. */
const FILE_EDITS: Record<string, (lines: string[]) => string[]> = {
  'a line is gone': (lines) =>
    lines.toSpliced(
      lines.findIndex((l, i) => i > 5 && l !== ''),
      1,
    ),
  'the end is gone': (lines) => lines.slice(0, -4),
  'a field is another': (lines) =>
    lines.map((l, i) => (i > 5 ? l.replace('"chain":"cl_', '"chain":"cx_') : l)),
  'a line is there twice': (lines) =>
    lines.toSpliced(-2, 0, lines.find((l) => l.includes('cl_b')) ?? ''),
  'the beginning is that of another': (lines) => lines.toSpliced(0, 1),
};

for (const [name, edit] of Object.entries(FILE_EDITS)) {
  test(`it is found in files of anchors when ${name}`, (t) => {
    const rig = withManyAnchors(t);
    const files = rig.anchorFiles();
    const isTail = name === 'the end is gone';
    // A cut of the newest is a crash, too; the ledger goes on, and nothing contradicts it.
    for (const file of isTail ? files.slice(0, -1) : files) {
      const text = readFileSync(file, 'utf8');
      writeFileSync(file, edit(text.split('\n')).join('\n'));
      assert.ok(anchorsVerdict(rig).problem !== undefined, `${path.basename(file)}`);
      writeFileSync(file, text);
    }
    assert.equal(anchorsVerdict(rig).problem, undefined);
  });
}

test('heads that are gone are found, also when lines before anchors look like those of crashes', (t) => {
  const rig = new Rig(t);
  for (let i = 0; i < 3; i += 1) {
    rig.append('cl_a', 2, i * 2);
    rig.append('cl_b', 2, i * 2);
    rig.db.anchor(START + i * 60_000);
  }
  const newest = rig.anchorFiles().at(-1) ?? '';
  const lines = readFileSync(newest, 'utf8').split('\n');
  const others = lines.filter((line) => !line.includes('"chain":"cl_b"'));
  const torn = others.flatMap((line) => (line.includes('"anchors"') ? ['{', line] : [line]));
  writeFileSync(newest, torn.join('\n'));
  assert.match(anchorsVerdict(rig).problem?.problem ?? '', /another file begins/);
});

test('lines that a crash has left in part are counted, and what they were about is signed again', (t) => {
  const rig = withManyAnchors(t, 9);
  rig.append('cl_a', 1, 100);
  rig.db.anchor(START);
  const newest = rig.anchorFiles().at(-1) ?? '';
  const text = readFileSync(newest, 'utf8');
  const at = text.lastIndexOf('"chain":"cl_a"');
  rig.reopen(() =>
    writeFileSync(newest, text.slice(0, at) + '\0'.repeat(60) + text.slice(at + 60)),
  );
  rig.append('cl_b', 1, 101);
  rig.db.anchor(START);
  const { torn, problem } = anchorsVerdict(rig);
  assert.deepEqual([torn, problem, rig.db.broken], [1, undefined, []]);
  assert.notEqual(rig.anchorFiles().at(-1), newest, 'what is torn is closed');
});
