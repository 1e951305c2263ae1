/**
 * What operators and clients are told about, by mail and webhooks: the closed table of event types. A
 * notice says what happened and to whom, in small fields; never a vector, a payload or a key.
 */
import type { ClientId } from '../base/ids.ts';

/** Who hears of it: operators, the client that it is about, or both. */
export type Audience = 'operators' | 'client';

interface NoticeSpec {
  to: readonly Audience[];
  /** What `data` holds. */
  fields: readonly string[];
  help: string;
}

export const NOTICES = {
  'worker.down': {
    to: ['operators'],
    fields: ['worker_id', 'shards'],
    help: 'a worker has been gone for longer than a restart takes',
  },
  'worker.up': {
    to: ['operators'],
    fields: ['worker_id', 'down_seconds'],
    help: 'a worker of which was told that it is down is back',
  },
  'certificate.expiring': {
    to: ['operators'],
    fields: ['file', 'expires_at'],
    help: 'a certificate of `BULKHEAD_CERTIFICATE_FILES` comes to its end soon, or has',
  },
  'key.expiring': {
    to: ['client'],
    fields: ['key_id', 'name', 'expires_at'],
    help: 'a key comes to its end soon',
  },
  'pause.warning': {
    to: ['client', 'operators'],
    fields: ['namespace', 'collection', 'pauses_at'],
    help: 'a collection has not been used for long and will be paused',
  },
  'collection.paused': {
    to: ['client', 'operators'],
    fields: ['namespace', 'collection', 'reason'],
    help: 'a collection was paused; its data is kept',
  },
  'client.paused': {
    to: ['client', 'operators'],
    fields: ['reason', 'scope'],
    help: 'a client was paused; its data is kept',
  },
  'budget.level': {
    to: ['client', 'operators'],
    fields: ['month', 'percent', 'spent_micros', 'budget_micros'],
    help: 'what a client has used this month has reached a level of its budget',
  },
  'usage.anomaly': {
    to: ['client', 'operators'],
    fields: ['hour', 'measure', 'value', 'usual', 'limit'],
    help: "an hour of a client was far outside of the client's own history",
  },
  'invoice.issued': {
    to: ['client', 'operators'],
    fields: ['invoice', 'month', 'total_micros'],
    help: 'an invoice or a credit note was made final',
  },
  'audit.failed': {
    to: ['operators'],
    fields: ['chain', 'reason'],
    help: 'an audit chain is not what was signed, or could not be anchored',
  },
  'census.failed': {
    to: ['operators'],
    fields: ['day', 'reason'],
    help: 'the census of a day could not be taken or archived',
  },
  'cold.damaged': {
    to: ['operators'],
    fields: ['shard_id', 'worker_id'],
    help: 'paused data on the cold disk is not what was written there',
  },
  'webhook.disabled': {
    to: ['client', 'operators'],
    fields: ['webhook_id', 'reason'],
    help: 'a webhook gets nothing any more: its receiver said that it is gone, or failed for days',
  },
  'notify.test': {
    to: [],
    fields: ['asked_by'],
    help: 'a test that somebody asked for; it goes only to what was to be tested',
  },
} as const satisfies Record<string, NoticeSpec>;

export type NoticeType = keyof typeof NOTICES;

/** The types that an audience hears of. */
export function noticeTypesFor(audience: Audience): NoticeType[] {
  const types = Object.keys(NOTICES) as NoticeType[];
  return types.filter((type) => (NOTICES[type].to as readonly Audience[]).includes(audience));
}

export interface Notice {
  type: NoticeType;
  /** Whom it is about; null when it is about no client. */
  clientId: ClientId | null;
  /** What makes it this event: of notices of one type, client and key only the first is told. */
  key: string;
  /** Exactly the fields of its type; amounts beyond 2^53 as text. */
  data: Readonly<Record<string, string | number | null>>;
}
