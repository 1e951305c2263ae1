/** Writes and reads of `ledger.db`, in its thread, and the anchors beside it. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import path from 'node:path';
import type Database from 'better-sqlite3';
import { unreachable } from '../../shared/base/assert.ts';
import { auditKeyOf } from '../../shared/crypto/audit-chain.ts';
import { type SignedHead, signHead } from '../../shared/crypto/signed-lines.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AnchorFiles } from './anchor-files.ts';
import { AuditAnchors } from './audit-anchors.ts';
import { AuditPruning } from './audit-pruning.ts';
import { AuditTable } from './audit-table.ts';
import { BilledUsage } from './billed-usage.ts';
import { CensusTable } from './census-table.ts';
import type {
  AuditTexts,
  BrokenChain,
  ChainHead,
  ExportStart,
  ForgetEntry,
  LedgerEntry,
  LedgerQuestions,
  LedgerThreadData,
  MeteredShard,
  Pruned,
  PruneStep,
  QuestionName,
  RequestSum,
  RequestUsage,
  WritesEntry,
  WriteUsage,
} from './entries.ts';
import { HourlyMeasures } from './hourly-measures.ts';
import { openLedger } from './schema.ts';
import { boundOf, byPeriod, type UsageBound, WITHIN } from './usage-span.ts';

interface Batch {
  run: string;
  batch: number;
  now: number;
  entries: readonly LedgerEntry[];
}

/** Entries of chains that are not anchored for longer than that. */
const UNANCHORED_MAX = 1_000;

export class LedgerDb {
  readonly #db: Database.Database;
  readonly #sql: ReturnType<typeof prepareStatements>;
  readonly #billed: BilledUsage;
  readonly #measures: HourlyMeasures;
  readonly #audit: AuditTable;
  readonly #files: AnchorFiles;
  readonly #anchors: AuditAnchors;
  readonly #census: CensusTable;
  readonly #pruning: AuditPruning;
  readonly #key: KeyObject;
  /** Chains that are not what was signed. */
  readonly broken: readonly BrokenChain[];
  #unanchored = 0;

  /** Throws what `openLedger` throws. */
  constructor({ file, auditSeed, anchorsBytesMax }: LedgerThreadData) {
    this.#key = auditKeyOf(auditSeed);
    this.#db = openLedger(file);
    try {
      this.#sql = prepareStatements(this.#db);
      this.#billed = new BilledUsage(this.#db);
      this.#measures = new HourlyMeasures(this.#db);
      this.#audit = new AuditTable(this.#db);
      this.#census = new CensusTable(this.#db);
      const keys = { private: this.#key, public: createPublicKey(this.#key) };
      this.#files = new AnchorFiles({
        folder: path.dirname(file),
        keys,
        bytesMax: anchorsBytesMax ?? LIMITS.anchorsFileBytesMax,
        newest: Number(this.#sql.meta.get('anchors_file')),
        begun: (number) => this.#sql.setMeta.run(number, 'anchors_file'),
      });
      this.#anchors = new AuditAnchors({ files: this.#files, table: this.#audit, keys });
      this.#pruning = new AuditPruning({
        db: this.#db,
        table: this.#audit,
        anchors: this.#anchors,
        key: this.#key,
        appended: (count) => {
          this.#unanchored += count;
        },
      });
    } catch (error) {
      this.#db.close();
      throw error;
    }
    try {
      this.broken = this.#anchors.check();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#files.close();
    this.#db.close();
  }

  /** How often chains were anchored. */
  get anchors(): number {
    return this.#anchors.count;
  }

  /** Signs the heads of all chains that have grown; durable on return. */
  anchor(now: number): void {
    this.#anchors.anchor(new Date(now).toISOString());
    this.#unanchored = 0;
  }

  /** A step of pruning a chain; durable on return. One that is not what was signed is evidence: it stays. */
  prune(step: PruneStep): Pruned {
    if (this.broken.some(({ chain }) => chain === step.chain)) return { entries: 0, more: false };
    return this.#pruning.step(step);
  }

  /**
   * All entries or none, on disk when it returns; `now` is when they were sent. A batch that was written
   * before changes nothing.
   */
  write(batch: Batch): void {
    const unanchored = this.#unanchored;
    try {
      this.#write(batch);
    } catch (error) {
      this.#audit.forget();
      this.#unanchored = unanchored;
      throw error;
    }
    if (this.#unanchored >= UNANCHORED_MAX) this.anchor(batch.now);
  }

  #write({ run, batch, entries, now }: Batch): void {
    const write = this.#db.transaction(() => {
      const isKnown = this.#sql.meta.get('run') === run;
      if (isKnown && Number(this.#sql.meta.get('batch')) >= batch) return;
      for (const entry of entries) this.#apply(entry, now);
      this.#sql.setMeta.run(run, 'run');
      this.#sql.setMeta.run(batch, 'batch');
    });
    write.immediate();
  }

  #apply(entry: LedgerEntry, now: number): void {
    switch (entry.kind) {
      case 'writes':
        this.#addWrites(entry);
        break;
      case 'forget':
        this.#forget(entry);
        break;
      case 'audit':
        this.#addRecords(entry.texts, now);
        break;
      case 'changes':
        if (entry.after !== Number(this.#sql.meta.get('changes'))) break;
        this.#addRecords(entry.texts, now);
        this.#sql.setMeta.run(entry.upTo, 'changes');
        break;
      case 'requests':
        for (const sum of entry.sums) this.#addRequests(sum);
        break;
      case 'census-rows':
        this.#census.addRows(entry);
        break;
      case 'census':
        this.#census.add(entry.record);
        break;
      default:
        unreachable(entry);
    }
  }

  #addRecords(texts: AuditTexts, now: number): void {
    this.#unanchored += this.#audit.append(texts, now);
  }

  #addRequests(sum: RequestSum): void {
    this.#sql.addRequests.run(sum);
    if (sum.mode === 'live') this.#billed.add({ ...sum, written: 0 });
  }

  /** What is there already is not added again. That nothing was noted in between is its sender's word. */
  #addWrites({ shardId, owner, after, upTo, sums, isLast }: WritesEntry): void {
    const { version, closed } = this.#shard(shardId);
    if (closed || after < version) return;
    const { clientId, mode, namespace } = owner;
    for (const { key, hour, writes, written, deleted, bytes } of sums) {
      const place = [clientId, mode, hour, namespace, key] as const;
      this.#sql.addWrites.run(...place, writes, written, deleted, bytes);
      const daily = { clientId, hour, namespace, keyId: key, queries: 0, written };
      if (mode === 'live') this.#billed.add(daily);
    }
    this.#sql.setShard.run(shardId, upTo, isLast ? 1 : 0);
  }

  #forget({ shardIds }: ForgetEntry): void {
    for (const shardId of shardIds) {
      this.#sql.forgetShard.run(shardId);
      this.#census.forget(shardId);
    }
  }

  answer<N extends QuestionName>(
    name: N,
    about: LedgerQuestions[N]['about'],
  ): LedgerQuestions[N]['answer'];
  answer(...[name, about]: Question): unknown {
    switch (name) {
      case 'shard':
        return this.#shard(about);
      case 'write-usage':
        return this.#sql.writeUsage[about.by].all(boundOf(about));
      case 'billed':
        return this.#billed.amounts(about);
      case 'measures':
        return this.#measures.measures(about);
      case 'changes':
        return Number(this.#sql.meta.get('changes'));
      case 'audit-list':
        return this.#audit.list(about.chain, about);
      case 'audit-export-start':
        return this.#exportStart(about);
      case 'audit-chains':
        return this.#audit.names(about.after, about.limit);
      case 'audit-export':
        return this.#audit.exportPart(about.chain, about);
      case 'request-usage':
        return this.#sql.requestUsage[about.by].all(boundOf(about));
      case 'storage-usage':
        return this.#census.usage[about.by].all(boundOf(about));
      case 'census':
        return this.#census.get(about);
      case 'census-last':
        return this.#census.last();
      case 'census-list':
        return this.#census.list(about);
      case 'census-shards':
        return this.#census.lastKnown(about);
      case 'census-storage':
        return this.#census.storageOf(about);
      default:
        return unreachable(name);
    }
  }

  #exportStart({
    chain,
    after,
    now,
  }: LedgerQuestions['audit-export-start']['about']): ExportStart | { keptFrom: number } {
    const end = this.#audit.head(chain);
    const signed = this.#audit.checkpoint(chain);
    const { sequence: pruned } = this.#audit.begin(chain);
    const from = after === 0 ? pruned : after;
    const hash = this.#audit.hashAt(chain, from);
    if (hash === undefined || from > end.sequence) return { keptFrom: pruned + 1 };
    const lines: ExportStart['lines'] = signed === undefined ? [] : [signed];
    lines.push(this.#sign({ chain, ...end }, now));
    if (from > pruned) lines.push(this.#sign({ chain, sequence: from, hash }, now));
    return { lines, after: from, until: end.sequence };
  }

  #sign(head: ChainHead & { chain: string }, now: number): SignedHead {
    return signHead({ ...head, at: new Date(now).toISOString() }, this.#key);
  }

  #shard(shardId: string): MeteredShard {
    const row = this.#sql.shard.get(shardId);
    return { version: row?.version ?? 0, closed: row?.closed === 1 };
  }
}

type Question = { [N in QuestionName]: [N, LedgerQuestions[N]['about']] }[QuestionName];

type Place = [clientId: string, mode: string, hour: number, namespace: string, keyId: string];

function prepareStatements(db: Database.Database) {
  return {
    meta: db.prepare<[string], unknown>('SELECT value FROM meta WHERE key = ?').pluck(),
    setMeta: db.prepare<[string | number, string]>('UPDATE meta SET value = ? WHERE key = ?'),
    shard: db.prepare<[string], { version: number; closed: number }>(
      'SELECT version, closed FROM metered_shards WHERE shard_id = ?',
    ),
    setShard: db.prepare<[string, number, number]>(
      'INSERT OR REPLACE INTO metered_shards (shard_id, version, closed) VALUES (?, ?, ?)',
    ),
    forgetShard: db.prepare<[string]>('DELETE FROM metered_shards WHERE shard_id = ?'),
    addWrites: db.prepare<[...Place, number, number, number, number]>(
      `INSERT INTO write_usage
         (client_id, mode, hour, namespace, key_id, writes, written, deleted, bytes)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET
         writes = writes + excluded.writes, written = written + excluded.written,
         deleted = deleted + excluded.deleted, bytes = bytes + excluded.bytes`,
    ),
    addRequests: db.prepare<[RequestSum]>(
      `INSERT INTO request_usage
         (client_id, mode, hour, namespace, key_id, route, status,
          requests, queries, units, bytes_in, bytes_out)
         VALUES (@clientId, @mode, @hour, @namespace, @keyId, @route, @status,
                 @requests, @queries, @units, @bytesIn, @bytesOut)
       ON CONFLICT DO UPDATE SET
         requests = requests + excluded.requests, queries = queries + excluded.queries,
         units = units + excluded.units, bytes_in = bytes_in + excluded.bytes_in,
         bytes_out = bytes_out + excluded.bytes_out`,
    ),
    writeUsage: byPeriod((start) => {
      return db.prepare<[UsageBound], WriteUsage>(
        `SELECT ${start} AS start, namespace, key_id AS keyId, sum(writes) AS writes,
                sum(written) AS written, sum(deleted) AS deleted, sum(bytes) AS bytes
           FROM write_usage WHERE ${WITHIN}
          GROUP BY start, namespace, key_id ORDER BY start, namespace, key_id LIMIT @limit`,
      );
    }),
    requestUsage: byPeriod((start) => {
      return db.prepare<[UsageBound], RequestUsage>(
        `SELECT ${start} AS start, namespace, key_id AS keyId, route, status,
                sum(requests) AS requests, sum(queries) AS queries, sum(units) AS units,
                sum(bytes_in) AS bytesIn, sum(bytes_out) AS bytesOut
           FROM request_usage WHERE ${WITHIN}
          GROUP BY start, namespace, key_id, route, status
          ORDER BY start, namespace, key_id, route, status LIMIT @limit`,
      );
    }),
  };
}
