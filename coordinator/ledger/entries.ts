/** What is written to the ledger and asked of it, as it crosses to the ledger's thread and back. */
import type { ClientId, KeyId, ShardId } from '../../shared/base/ids.ts';
import type { EntryText, SignedHead } from '../../shared/crypto/audit-chain.ts';
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

export type LedgerEntry = WritesEntry | ForgetEntry | RequestsEntry | AuditEntry | ChangesEntry;

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

/** Questions, each with what it is about and what is answered. */
export interface LedgerQuestions {
  shard: { about: ShardId; answer: MeteredShard };
  'write-usage': { about: UsageSpan; answer: WriteUsage[] };
  'request-usage': { about: UsageSpan; answer: RequestUsage[] };
  measures: { about: MeasuresQuestion; answer: Measures };
  billed: { about: BilledQuestion; answer: BilledAmounts[] };
  /** The last row of `control.db` that is in the chains. */
  changes: { about: undefined; answer: number };
  'audit-list': { about: AuditFilter & { chain: string }; answer: AuditPage };
  /** The head of a chain as it is now, signed. */
  'audit-head': { about: { chain: string; now: number }; answer: SignedHead };
  /** The same as it was after that entry; undefined when there is none (any more). */
  'audit-head-at': {
    about: { chain: string; sequence: number; now: number };
    answer: SignedHead | undefined;
  };
  'audit-export': { about: { chain: string; after: number; until: number }; answer: ExportPart };
}

export type QuestionName = keyof LedgerQuestions;

/** A chain that is not what was signed. */
export interface BrokenChain {
  chain: string;
  /** The entry that was signed, and when. */
  sequence: number;
  at: string;
  /** The last entry that the chain has. */
  end: number;
}

/** What the ledger's thread is started with. */
export interface LedgerThreadData {
  file: string;
  /** Of the key that heads are signed with (`audit-chain.ts`). */
  auditSeed: Uint8Array;
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
  /** With the chains that are not what was signed. */
  | { kind: 'ready'; broken: readonly BrokenChain[] }
  /** It can not be opened. */
  | { kind: 'refused'; locked: boolean; error: Error }
  | { kind: 'answer'; seq: number; answer: unknown }
  | { kind: 'failed'; seq: number; error: Error };
