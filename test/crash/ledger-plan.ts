/**
 * What is written to `ledger.db`, made from a seed: a list of steps, each of which is one batch, or signs where
 * the audit chains are, or is one step of pruning them. After a crash the database is as after some number of batches.
 */
import { createPublicKey } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import {
  auditTextsOf,
  type LedgerEntry,
  type PruneStep,
  type RequestSum,
} from '../../coordinator/ledger/entries.ts';
import { LedgerDb } from '../../coordinator/ledger/ledger-db.ts';
import { assert } from '../../shared/base/assert.ts';
import type { ClientId, KeyId, ShardId } from '../../shared/base/ids.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { AnchorsVerifier } from '../../shared/crypto/anchors-verifier.ts';
import { auditKeyOf, entryText } from '../../shared/crypto/audit-chain.ts';
import { AuditVerifier } from '../../shared/crypto/audit-verifier.ts';
import { parseSigned } from '../../shared/crypto/signed-lines.ts';
import { dumpTables } from './dump-tables.ts';

const AUDIT_SEED = Buffer.alloc(32, 3);
const DAY_MS = 24 * 3_600_000;
const NOW = Date.parse('2026-11-27T00:00:00Z');
/** So few that files of anchors are closed now and then. */
const ANCHORS_BYTES = 2_000;
const CHAINS = ['operators', 'cl_a', 'cl_b'];
const OWNER = { clientId: 'cl_a' as ClientId, mode: 'live', namespace: 'default' } as const;

export type LedgerStep = { entries: LedgerEntry[] } | 'anchor' | { prune: PruneStep };

export function openLedgerDb(file: string): LedgerDb {
  return new LedgerDb({ file, auditSeed: AUDIT_SEED, anchorsBytesMax: ANCHORS_BYTES });
}

/** `number` is that of the step: a batch that was written before is not written again. */
export function takeStep(db: LedgerDb, step: LedgerStep, number: number): void {
  const now = NOW + number * 1_000;
  if (step === 'anchor') db.anchor(now);
  else if ('prune' in step) db.prune(step.prune);
  else db.write({ run: 'plan', batch: number + 1, entries: step.entries, now });
}

export function ledgerPlanOf(seed: number, steps: number): LedgerStep[] {
  const random = new SeededRandom(seed);
  let version = 0;
  let changes = 0;
  return Array.from({ length: steps }, (_, step): LedgerStep => {
    if (step > 10 && step % 10 >= 8) return { prune: pruneIn(step - (step % 10)) };
    if (step % 6 === 5) return 'anchor';
    const count = 1 + random.below(40);
    version += count;
    changes += 1;
    const sum = { key: 'key_a', hour: step, writes: count, written: count, deleted: 1, bytes: 8 };
    return {
      entries: [
        {
          kind: 'writes',
          shardId: 'shard' as ShardId,
          owner: OWNER,
          after: version - count,
          upTo: version,
          sums: [sum],
          isLast: false,
        },
        { kind: 'requests', sums: [requestsOf(random, step)] },
        { kind: 'audit', texts: auditTextsOf(recordsOf(random, step)) },
        {
          kind: 'changes',
          after: changes - 1,
          upTo: changes,
          texts: auditTextsOf([changeOf(step)]),
        },
        ...censusOf(random, step),
      ],
    };
  });
}

/** Twice in ten steps: the first makes a checkpoint of what was written before the last ten, the second removes it. */
function pruneIn(decade: number): PruneStep {
  const now = NOW + decade * DAY_MS;
  const chain = CHAINS[(decade / 10) % CHAINS.length] ?? '';
  return { chain, before: NOW + decade * 1_000, now };
}

function requestsOf(random: SeededRandom, hour: number): RequestSum {
  const amounts = { requests: 1 + random.below(9), queries: 1, units: 2, bytesIn: 3, bytesOut: 4 };
  return { ...OWNER, keyId: 'key_a' as KeyId, hour, route: 'query', status: 200, ...amounts };
}

/** Every fourth step, of the same few shards. */
function censusOf(random: SeededRandom, step: number): LedgerEntry[] {
  if (step % 4 !== 0) return [];
  const census = `day ${step}`;
  const storage = Array.from({ length: 1 + random.below(30) }, (_, i) => {
    return {
      ...OWNER,
      collection: `c${i}`,
      points: random.below(99),
      bytes: step,
      unknownShards: 0,
    };
  });
  const shards = storage.map(({ points, bytes }, i) => {
    return { shardId: `shard ${i}` as ShardId, at: NOW + step, version: step, points, bytes };
  });
  const kind = { day: census, kind: 'scheduled', state: 'complete' } as const;
  const [times, file] = [
    { startedAt: NOW, finishedAt: NOW + step },
    { file: 'f', sha256: 's' },
  ];
  const counts = {
    clients: 1,
    collections: storage.length,
    shards: shards.length,
    unknownShards: 0,
  };
  const sums = { points: 0, bytes: 0, memoryBytes: 0, diskBytes: 0 };
  return [
    { kind: 'census-rows', census, hour: 24 * step, storage, shards },
    { kind: 'census', record: { census, ...kind, ...times, ...file, ...counts, ...sums } },
  ];
}

function changeOf(step: number) {
  const chain = 'operators';
  return { chain, ...entryText({ action: `change ${step}`, chain }) };
}

/** Now and then more than a page of the database. */
function recordsOf(random: SeededRandom, step: number) {
  return Array.from({ length: 1 + random.below(60) }, (_, i) => {
    const chain = random.pick(CHAINS);
    const target = 'x'.repeat(random.below(200));
    return { chain, ...entryText({ action: `request ${step}.${i}`, chain, target }) };
  });
}

/** Every chain is sound and fits what was anchored; how many times that was done. Throws when not. */
export function checkChains(db: LedgerDb): number {
  assert(db.broken.length === 0, `a chain is not what was anchored: ${JSON.stringify(db.broken)}`);
  for (const chain of CHAINS) {
    const start = db.answer('audit-export-start', { chain, after: 0, now: NOW });
    assert('lines' in start, 'a chain has a beginning');
    const verifier = new AuditVerifier(createPublicKey(auditKeyOf(AUDIT_SEED)));
    for (const line of start.lines) verifier.take(JSON.stringify(line));
    for (let next: number | null = start.after; next !== null; ) {
      const span: { after: number; until: number } = { after: next, until: start.until };
      const part = db.answer('audit-export', { chain, ...span });
      assert(part !== undefined, 'what an export begins with is there');
      for (const line of part.text.split('\n')) if (line !== '') verifier.take(line);
      next = part.next;
    }
    const { problem } = verifier.end();
    assert(problem === undefined, `the chain ${chain}: ${problem?.problem}`);
  }
  return db.anchors;
}

/** What was pruned is told of by a checkpoint among the anchors before the first of it is gone. Throws when not. */
export function checkPruned(folder: string): void {
  const names = readdirSync(folder).filter((name) => /^audit-anchors-[0-9]+\.jsonl$/.test(name));
  const anchors = names.map((name) => readFileSync(join(folder, name), 'utf8')).join('');
  const database = new Database(join(folder, 'ledger.db'));
  try {
    const first = database.prepare<[string], number | null>(
      'SELECT min(first) FROM audit_pages WHERE chain = ?',
    );
    for (const chain of CHAINS) {
      const begun = first.pluck().get(chain) ?? 1;
      const isTold = anchors.split('\n').some((line) => {
        const pruned = parseSigned('checkpoint', line)?.checkpoint;
        return pruned?.chain === chain && pruned.sequence >= begun - 1;
      });
      assert(begun === 1 || isTold, `${chain} begins with ${begun}, and no checkpoint says so`);
    }
  } finally {
    database.close();
  }
}

/** No file of anchors is other than it was, and none is missing. Throws when not. */
export function checkAnchorFiles(folder: string): void {
  const verifier = new AnchorsVerifier(createPublicKey(auditKeyOf(AUDIT_SEED)));
  for (const name of readdirSync(folder).toSorted()) {
    const number = /^audit-anchors-([0-9]+)\.jsonl$/.exec(name)?.[1];
    if (number !== undefined) verifier.take(Number(number), readFileSync(join(folder, name)));
  }
  const { problem } = verifier.verdict;
  assert(problem === undefined, `anchors: ${JSON.stringify(problem)}`);
}

/** Everything that stands in the tables, as one text; the file must be sound. But for the number of the newest file of
 * anchors: what is done twice may begin one twice. */
export function dumpLedger(file: string): string {
  const database = new Database(file);
  try {
    return dumpTables(database).replace(/\{"key":"anchors_file","value":[0-9]+\}/, '');
  } finally {
    database.close();
  }
}

/** The tables before the first step of a plan and after each. */
export function ledgerDumpsOf(file: string, seed: number, steps: number): string[] {
  const db = openLedgerDb(file);
  db.close();
  const dumps = [dumpLedger(file)];
  for (const [number, step] of ledgerPlanOf(seed, steps).entries()) {
    const open = openLedgerDb(file);
    takeStep(open, step, number);
    open.close();
    dumps.push(dumpLedger(file));
  }
  return dumps;
}
