/**
 * Every event that a process may log: its level, its fields and what it means. The table is
 * closed, and so are the field names of each event: a vector, a payload, a filter or a key has no
 * field to stand in, so it can not reach a log line by mistake. Add a row to log something new.
 */
import { NOTIFY_EVENTS } from './notify-events.ts';
import { SHARD_EVENTS } from './shard-events.ts';

/** `text` is cut at a bound, `error` is reduced by `describe-error.ts`. */
export type LogFieldKind = 'text' | 'number' | 'boolean' | 'error';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

interface LogEventSpec {
  level: Exclude<LogLevel, 'silent'>;
  fields: Readonly<Record<string, LogFieldKind>>;
  help: string;
}

export const LOG_EVENTS = {
  // life of a process
  coordinator_ready: {
    level: 'info',
    fields: { host: 'text', port: 'number', adminPort: 'number', linkPort: 'number', ms: 'number' },
    help: 'the coordinator serves; ms since its start',
  },
  coordinator_stopping: {
    level: 'info',
    fields: { reason: 'text' },
    help: 'the coordinator takes no new requests and finishes those under way',
  },
  coordinator_stopped: {
    level: 'info',
    fields: { ms: 'number', failures: 'number', error: 'error' },
    help: 'everything of the coordinator is closed; failures counts parts that did not close well',
  },
  worker_ready: {
    level: 'info',
    fields: {
      workerId: 'text',
      shards: 'number',
      quarantined: 'number',
      damaged: 'number',
      ms: 'number',
    },
    help: 'the worker holds its data folder and dials the coordinator; some shards are not served',
  },
  worker_stopping: {
    level: 'info',
    fields: { reason: 'text' },
    help: 'the worker takes no new requests, finishes those under way and saves its shards',
  },
  worker_stopped: {
    level: 'info',
    fields: { ms: 'number', failures: 'number', error: 'error' },
    help: 'everything of the worker is closed; failures counts parts that did not close well',
  },
  config_refused: {
    level: 'error',
    fields: { problems: 'text' },
    help: 'the process does not start: its settings are wrong',
  },
  already_in_use: {
    level: 'error',
    fields: { path: 'text', reason: 'text' },
    help: 'the process does not start: another one has the folder or the database; exit code 3',
  },
  start_failed: {
    level: 'error',
    fields: { error: 'error' },
    help: 'the process does not start: a folder, a port or a file is not to be had',
  },
  unexpected_error: {
    level: 'error',
    fields: { place: 'text', error: 'error' },
    help: 'an error that no code expected; a defect of ours',
  },

  // the link between coordinator and worker
  link_connected: {
    level: 'info',
    fields: { workerId: 'text', epoch: 'number', url: 'text' },
    help: 'the handshake succeeded; frames may flow',
  },
  link_lost: {
    level: 'warn',
    fields: { workerId: 'text', epoch: 'number', reason: 'text', inFlight: 'number' },
    help: 'the connection ended; inFlight requests lost their way',
  },
  link_refused: {
    level: 'warn',
    fields: { workerId: 'text', address: 'text', reason: 'text' },
    help: 'a handshake failed: wrong secret, wrong version or bad bytes',
  },
  worker_id_taken: {
    level: 'error',
    fields: { workerId: 'text', address: 'text', holder: 'text', url: 'text' },
    help: 'a second process with the id of a connected worker was refused: a data folder was copied',
  },
  link_retry: {
    level: 'info',
    fields: { url: 'text', attempt: 'number', delayMs: 'number', reason: 'text' },
    help: 'the worker dials again after delayMs',
  },

  // requests
  request_failed: {
    level: 'error',
    fields: {
      requestId: 'text',
      route: 'text',
      message: 'text',
      clientId: 'text',
      shardId: 'text',
      status: 'number',
      code: 'text',
      error: 'error',
    },
    help: 'a request met an internal error; the caller saw only its code',
  },
  request_slow: {
    level: 'warn',
    fields: {
      requestId: 'text',
      message: 'text',
      shardId: 'text',
      ms: 'number',
      others: 'number',
    },
    help: 'a request of a caller took a worker longer than a second from its arrival on, and so did others since the last that was told',
  },
  request_done: {
    level: 'debug',
    fields: {
      requestId: 'text',
      route: 'text',
      clientId: 'text',
      keyId: 'text',
      status: 'number',
      code: 'text',
      ms: 'number',
    },
    help: 'a request was answered (499: its client hung up); route is the pattern, never the path',
  },

  ...SHARD_EVENTS,
  // replicas
  replica_left: {
    level: 'warn',
    fields: { shardId: 'text', workerId: 'text', version: 'number', reason: 'text' },
    help: 'a replica is behind; it has every write up to version, and is levelled when it can be',
  },
  writes_undone: {
    level: 'warn',
    fields: { shardId: 'text', after: 'number', upTo: 'number' },
    help: 'writes above after, up to upTo, that too few replicas had, were undone at those that had them',
  },
  replica_joined: {
    level: 'info',
    fields: { shardId: 'text', workerId: 'text' },
    help: 'a replica holds what the others hold and gets every write from now on',
  },
  replica_levelled: {
    level: 'info',
    fields: { shardId: 'text', workerId: 'text', rows: 'number', passes: 'number', ms: 'number' },
    help: 'a replica that was behind has caught up; rows were copied to it',
  },
  replica_differs: {
    level: 'error',
    fields: { shardId: 'text', workerId: 'text', rows: 'number' },
    help: 'a replica held other rows than its source; rows were copied anew',
  },
  replica_erased: {
    level: 'warn',
    fields: { shardId: 'text', workerId: 'text' },
    help: 'the files of a damaged replica that could not be mended were erased; it is copied anew',
  },
  replica_added: {
    level: 'info',
    fields: { shardId: 'text', workerId: 'text' },
    help: 'one more copy of a shard is being made',
  },
  replica_removed: {
    level: 'info',
    fields: { shardId: 'text', workerId: 'text' },
    help: 'a copy of a shard that was too many was taken away; its files are erased',
  },
  replica_erase_failed: {
    level: 'warn',
    fields: { shardId: 'text', workerId: 'text', error: 'error' },
    help: 'the files of a copy that was taken away could not be erased; tried again',
  },
  level_failed: {
    level: 'warn',
    fields: {
      shardId: 'text',
      workerId: 'text',
      attempt: 'number',
      delayMs: 'number',
      error: 'error',
    },
    help: 'a replica could not be brought level; tried again after delayMs',
  },
  worker_health: {
    level: 'info',
    fields: { workerId: 'text', before: 'text', state: 'text' },
    help: 'a worker is thought of differently: suspects get no queries that others can answer',
  },

  // collections, clients and keys
  collection_created: {
    level: 'info',
    fields: { collectionId: 'text', clientId: 'text', shards: 'number', ms: 'number' },
    help: 'a collection is ready',
  },
  collection_deleted: {
    level: 'info',
    fields: { collectionId: 'text', clientId: 'text', shards: 'number' },
    help: 'a collection and its shards are gone',
  },
  resharding_started: {
    level: 'info',
    fields: { collectionId: 'text', clientId: 'text', from: 'number', to: 'number' },
    help: 'a collection is to have another number of shards; its points are copied to new ones',
  },
  resharding_done: {
    level: 'info',
    fields: {
      collectionId: 'text',
      clientId: 'text',
      from: 'number',
      to: 'number',
      points: 'number',
      ms: 'number',
      pausedMs: 'number',
    },
    help: "the new shards are the collection's; ms of the last try, for pausedMs its writes waited",
  },
  resharding_failed: {
    level: 'warn',
    fields: { collectionId: 'text', attempt: 'number', delayMs: 'number', error: 'error' },
    help: 'points could not be copied to new shards; goes on after delayMs or when a worker comes',
  },
  resharding_renewed: {
    level: 'warn',
    fields: { collectionId: 'text', reason: 'text', attempt: 'number', delayMs: 'number' },
    help: 'new shards were of no use (too_far, differs, away) and are made anew after delayMs',
  },
  reconcile_done: {
    level: 'info',
    fields: { workerId: 'text', finished: 'number', rolledBack: 'number', waiting: 'number' },
    help: 'half-made collections were removed and deletions finished, as far as workers are there',
  },
  erase_failed: {
    level: 'warn',
    fields: { collectionId: 'text', attempt: 'number', delayMs: 'number', error: 'error' },
    help: 'a deleted or half-made collection could not be erased; tried again after delayMs',
  },
  collection_pause: {
    level: 'info',
    fields: { collectionId: 'text', pause: 'text' },
    help: 'a collection was paused (idle, manual), or is none any more',
  },
  freeze_failed: {
    level: 'warn',
    fields: { collectionId: 'text', error: 'error' },
    help: 'the files of a paused collection could not be moved to the cold disk; tried again within a minute',
  },
  pausing_failed: {
    level: 'error',
    fields: { error: 'error' },
    help: 'it could not be looked for idle collections, or written down which are; tried again within a minute',
  },
  usage_unknown: {
    level: 'warn',
    fields: { clientId: 'text', shards: 'number', error: 'error' },
    help: "shards did not say what they hold; until they do, the client's quotas count the others",
  },
  configure_failed: {
    level: 'warn',
    fields: { collectionId: 'text', attempt: 'number', delayMs: 'number', error: 'error' },
    help: "a worker could not be given a collection's recorded configuration; again after delayMs",
  },
  invoicing_failed: {
    level: 'error',
    fields: { clientId: 'text', error: 'error' },
    help: 'an invoice that was due could not be made final; it is tried again after ten minutes',
  },
  budget_check_failed: {
    level: 'error',
    fields: { clientId: 'text', error: 'error' },
    help: 'what a client has spent could not be compared with its budget; it is tried again in a minute',
  },
  anomaly_check_failed: {
    level: 'error',
    fields: { error: 'error' },
    help: 'hours of clients could not be held against their history; it goes on in a minute',
  },
  client_created: { level: 'info', fields: { clientId: 'text' }, help: 'a client was created' },
  client_changed: {
    level: 'info',
    fields: { clientId: 'text', action: 'text', state: 'text' },
    help: 'an operator changed a client; the audit log says what',
  },
  worker_changed: {
    level: 'info',
    fields: { workerId: 'text', action: 'text' },
    help: 'an operator changed the terms of a worker; the audit log says what',
  },
  plan_changed: {
    level: 'info',
    fields: { plan: 'text', action: 'text', version: 'number' },
    help: 'an operator changed a plan; the audit log says what',
  },
  key_created: {
    level: 'info',
    fields: { clientId: 'text', keyId: 'text', mode: 'text', role: 'text' },
    help: 'an API key was created; keyId says nothing about the secret',
  },
  client_erased: {
    level: 'info',
    fields: { clientId: 'text' },
    help: 'all that a deleted client had is gone, the client too',
  },
  client_erase_waits: {
    level: 'info',
    fields: { clientId: 'text', left: 'number', attempts: 'number', delayMs: 'number' },
    help: 'collections of a deleted client are left, as their workers are away; tried again',
  },
  client_erase_failed: {
    level: 'warn',
    fields: { clientId: 'text', attempts: 'number', delayMs: 'number', error: 'error' },
    help: 'a deleted client could not be erased; tried again',
  },
  key_use_lost: {
    level: 'warn',
    fields: { keys: 'number', error: 'error' },
    help: 'when so many keys were used last could not be written down; nothing else is lost',
  },
  key_changed: {
    level: 'info',
    fields: { clientId: 'text', keyId: 'text', action: 'text' },
    help: 'an API key was changed, rotated or revoked; it holds for the next request',
  },
  ...NOTIFY_EVENTS,
} as const satisfies Record<string, LogEventSpec>;

export type LogEvent = keyof typeof LOG_EVENTS;

interface FieldTypes {
  text: string;
  number: number;
  boolean: boolean;
  error: unknown;
}

/** The fields that `event` may carry. All are optional; none but these exist. */
export type LogFields<E extends LogEvent> = {
  [F in keyof (typeof LOG_EVENTS)[E]['fields']]?:
    | FieldTypes[(typeof LOG_EVENTS)[E]['fields'][F] & LogFieldKind]
    | undefined;
};
