/** What is written to the ledger and asked of it, as it crosses to the ledger's thread and back. */
import type { ClientId, KeyId, ShardId } from '../../shared/base/ids.ts';
import type { EntryText } from '../../shared/crypto/audit-chain.ts';
import type { CensusKind } from '../../shared/crypto/census-seal.ts';
import type { SignedCheckpoint, SignedHead } from '../../shared/crypto/signed-lines.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import type { MeteredSum } from '../../shared/protocol/meter.ts';
import type { BilledAmounts, BilledQuestion } from './billed-usage.ts';
import type { Measures, MeasuresQuestion } from './hourly-measures.ts';

/** Whose data a shard is. */
export interface ShardOwner {
  clientId: ClientId;
  mode: Mode;
  namespace: string;
}

/** What a shard noted of its writes above `after`, up to and with `upTo`. */
export interface WritesEntry {
  kind: 'writes';
  shardId: ShardId;
  owner: ShardOwner;
  after: number;
  upTo: number;
  sums: readonly MeteredSum[];
  /** Nothing will be written to the shard any more. */
  isLast: boolean;
}

/** Shards that are gone. */
export interface ForgetEntry {
  kind: 'forget';
  shardIds: readonly ShardId[];
}

/** What requests of one kind and status came to, by client, key and hour. */
export interface RequestSum {
  clientId: ClientId;
  mode: Mode;
  namespace: string;
  keyId: KeyId;
  hour: number;
  route: string;
  status: number;
  requests: number;
  queries: number;
  units: number;
  bytesIn: number;
  bytesOut: number;
}

export interface RequestsEntry {
  kind: 'requests';
  sums: readonly RequestSum[];
}

/** What happened, for one chain (`shared/crypto/audit-chain.ts`); the ledger gives it its sequence. There is
 * no vector, payload, key or mail address in it. */
export interface AuditRecord extends EntryText {
  chain: string;
}

/** The chain of what operators do, and of what nobody's key did. */
export const OPERATORS_CHAIN = 'operators';

/** The same of several, by chain: head and tail with a NUL between, and a line feed between records. Texts cross
 * to a thread several times faster than as many objects. */
export type AuditTexts = readonly (readonly [chain: string, records: string])[];

export interface AuditEntry {
  kind: 'audit';
  texts: AuditTexts;
}

export function auditTextsOf(records: readonly AuditRecord[]): AuditTexts {
  const byChain = Map.groupBy(records, ({ chain }) => chain);
  return [...byChain].map(([chain, own]) => [chain, own.map(auditTextOf).join('\n')] as const);
}

export function auditTextOf({ head, tail }: EntryText): string {
  return `${head}\0${tail}`;
}

/** What rows of `control.db` after one, up to another, say; only what continues what is there. */
export interface ChangesEntry {
  kind: 'changes';
  after: number;
  upTo: number;
  texts: AuditTexts;
}

/** What a collection held on a day, as a census found it; see `census-table.ts`. */
export interface StorageRow {
  clientId: ClientId;
  mode: Mode;
  namespace: string;
  collection: string;
  points: number;
  bytes: number;
  /** Of these amounts, so many shards are as they were last heard of, or count with nothing. */
  unknownShards: number;
}

/** What a shard was last known to hold, and when: milliseconds since 1970. */
export interface KnownShard {
  shardId: ShardId;
  at: number;
  version: number;
  points: number;
  bytes: number;
}

/** A part of what a census found. The same again changes nothing, nor anything once its record is there. */
export interface CensusRowsEntry {
  kind: 'census-rows';
  census: string;
  /** The one that the day begins with; null: the rows are of no day. */
  hour: number | null;
  storage: readonly StorageRow[];
  shards: readonly KnownShard[];
}

export const CENSUS_STATES = ['complete', 'incomplete'] as const;

/** A census that was taken and archived. Times are milliseconds since 1970. */
export interface CensusRecord {
  /** Its day, and for one on demand a dot and its number. */
  census: string;
  day: string;
  kind: CensusKind;
  /** Incomplete: some shards are unknown. */
  state: (typeof CENSUS_STATES)[number];
  startedAt: number;
  finishedAt: number;
  /** Of the archive, and SHA-256 of all of it in hex. */
  file: string;
  sha256: string;
  clients: number;
  collections: number;
  shards: number;
  unknownShards: number;
  points: number;
  bytes: number;
  memoryBytes: number;
  diskBytes: number;
}

/** A census whose rows are all there; one of a name that is known changes nothing. */
export interface CensusEntry {
  kind: 'census';
  record: CensusRecord;
}

export type LedgerEntry =
  | WritesEntry
  | ForgetEntry
  | RequestsEntry
  | AuditEntry
  | ChangesEntry
  | CensusRowsEntry
  | CensusEntry;

/** The last entry of a chain. */
export interface ChainHead {
  sequence: number;
  hash: string;
}

/** Entries after that one which fit; times in milliseconds since 1970. */
export interface AuditFilter {
  after: number;
  limit: number;
  action?: string | undefined;
  actor?: string | undefined;
  target?: string | undefined;
  from?: number | undefined;
  until?: number | undefined;
}

export interface AuditPage {
  /** Canonical JSON, oldest first. */
  entries: string[];
  /** What to go on after; null: there are no more. */
  next: number | null;
  /** The first entry that is kept; those before were pruned. */
  keptFrom: number;
}

/** How an export begins. */
export interface ExportStart {
  /** Its first lines. */
  lines: (SignedCheckpoint | SignedHead)[];
  /** Its entries come after that one, up to the other. */
  after: number;
  until: number;
}

export interface ExportPart {
  /** Lines, each with its end. */
  text: string;
  next: number | null;
}

/** How far the notes of a shard are in the ledger. */
export interface MeteredShard {
  version: number;
  closed: boolean;
}

/** What amounts are added up by: hours, days, months, all of it UTC. */
export const PERIODS = ['hour', 'day', 'month'] as const;
export type Period = (typeof PERIODS)[number];

/** What is asked for: of one client and mode, from one hour on and before another. */
export interface UsageSpan {
  clientId: ClientId;
  mode: Mode;
  /** Null for all. */
  namespaces: readonly string[] | null;
  from: number;
  until: number;
  by: Period;
  /** No more rows than that. */
  limit: number;
}

/** Amounts of one period, namespace and key. */
export interface WriteUsage {
  /** The hour that the period begins with. */
  start: number;
  namespace: string;
  keyId: KeyId;
  writes: number;
  written: number;
  deleted: number;
  bytes: number;
}

/** Amounts of one period, namespace, key, route and status. */
export interface RequestUsage extends Omit<RequestSum, 'clientId' | 'mode' | 'hour'> {
  /** The hour that the period begins with. */
  start: number;
}

/** What a client stored in a namespace in a period, as censuses found it, once a day. */
export interface StorageUsage {
  /** The hour that the period begins with. */
  start: number;
  namespace: string;
  /** The most of one day. */
  points: number;
  bytes: number;
  /** Of each day 24 times its bytes: the sums may pass 2^53. */
  byteHours: bigint;
}

/** Questions, each with what it is about and what is answered. */
export interface LedgerQuestions {
  shard: { about: ShardId; answer: MeteredShard };
  'write-usage': { about: UsageSpan; answer: WriteUsage[] };
  'request-usage': { about: UsageSpan; answer: RequestUsage[] };
  measures: { about: MeasuresQuestion; answer: Measures };
  billed: { about: BilledQuestion; answer: BilledAmounts[] };
  'storage-usage': { about: UsageSpan; answer: StorageUsage[] };
  census: { about: string; answer: CensusRecord | undefined };
  /** The last one of a day. */
  'census-last': { about: undefined; answer: CensusRecord | undefined };
  /** By name, the newest first, before that one. */
  'census-list': { about: { before: string | null; limit: number }; answer: CensusRecord[] };
  /** What earlier ones found in these shards. */
  'census-shards': { about: readonly ShardId[]; answer: KnownShard[] };
  /** What one client stored on the day that begins with that hour. */
  'census-storage': {
    about: Pick<UsageSpan, 'clientId' | 'mode' | 'namespaces' | 'limit'> & { hour: number };
    answer: StorageRow[];
  };
  /** The last row of `control.db` that is in the chains. */
  changes: { about: undefined; answer: number };
  'audit-list': { about: AuditFilter & { chain: string }; answer: AuditPage };
  /** Of entries after one; 0: of all that are kept. When there is no such entry (any more): which is the first. */
  'audit-export-start': {
    about: { chain: string; after: number; now: number };
    answer: ExportStart | { keptFrom: number };
  };
  /** Undefined when entries after that one are not all there any more. */
  'audit-export': {
    about: { chain: string; after: number; until: number };
    answer: ExportPart | undefined;
  };
  /** Names of chains after one, so many at most. */
  'audit-chains': { about: { after: string; limit: number }; answer: string[] };
}

export type QuestionName = keyof LedgerQuestions;

/** A chain that is not what was signed. */
export interface BrokenChain {
  chain: string;
  /** The entry that was signed is another or none; the first that is kept does not follow what was pruned; what
   * was pruned is not what a checkpoint says; the newest file of anchors is not there. */
  reason: 'entry' | 'beginning' | 'checkpoint' | 'anchors';
  /** The entry that was signed, and when. */
  sequence: number;
  at: string;
  /** The last entry that the chain has. */
  end: number;
}

/** A step of pruning a chain: pages that were written before a time, at most a few milliseconds of them. */
export interface PruneStep {
  chain: string;
  /** Milliseconds since 1970. */
  before: number;
  /** The same in all steps of one pruning. */
  now: number;
}

export interface Pruned {
  /** Entries that a checkpoint was made for. */
  entries: number;
  /** Whether there is more to do. */
  more: boolean;
}

/** What the ledger's thread is started with. */
export interface LedgerThreadData {
  file: string;
  /** Of the key that heads are signed with (`audit-chain.ts`). */
  auditSeed: Uint8Array;
  /** Other than `LIMITS.anchorsFileBytesMax` in tests. */
  anchorsBytesMax?: number;
}

export type LedgerRequest =
  | {
      kind: 'batch';
      seq: number;
      run: string;
      batch: number;
      entries: readonly LedgerEntry[];
      now: number;
    }
  /** Sign the heads of chains that have grown. */
  | { kind: 'anchor'; seq: number; now: number }
  | ({ kind: 'prune'; seq: number } & PruneStep)
  | {
      [N in QuestionName]: {
        kind: 'question';
        seq: number;
        name: N;
        about: LedgerQuestions[N]['about'];
      };
    }[QuestionName]
  | { kind: 'close' };

export type LedgerMessage =
  | { kind: 'ready' }
  /** These chains are not what was signed. */
  | { kind: 'broken'; broken: readonly BrokenChain[] }
  /** It can not be opened. */
  | { kind: 'refused'; locked: boolean; error: Error }
  | { kind: 'answer'; seq: number; answer: unknown }
  | { kind: 'failed'; seq: number; error: Error };
