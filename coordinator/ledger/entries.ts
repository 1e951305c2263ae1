/** What is written to the ledger and asked of it, as it crosses to the ledger's thread and back. */
import type { ClientId, KeyId, ShardId } from '../../shared/base/ids.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import type { MeteredSum } from '../../shared/protocol/meter.ts';

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

export type LedgerEntry = WritesEntry | ForgetEntry | RequestsEntry;

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
}

export type QuestionName = keyof LedgerQuestions;

export type LedgerRequest =
  | { kind: 'batch'; seq: number; run: string; batch: number; entries: readonly LedgerEntry[] }
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
  /** It can not be opened. */
  | { kind: 'refused'; locked: boolean; error: Error }
  | { kind: 'answer'; seq: number; answer: unknown }
  | { kind: 'failed'; seq: number; error: Error };
