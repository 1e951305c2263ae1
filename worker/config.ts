/** A worker's settings. */
import type { Config, OptionTable } from '../shared/config/option-table.ts';
import { LOG_LEVELS } from '../shared/log/events.ts';

export const WORKER_OPTIONS = {
  dataDir: { kind: 'path', help: "folder of this worker's shards; no two workers share one" },
  coldDir: {
    kind: 'text',
    default: '',
    help: 'folder for the files of paused shards, best on another disk; by default "cold" in the data folder',
  },
  coldVerifyHours: {
    kind: 'integer',
    default: 168,
    min: 1,
    max: 8_760,
    unit: 'hours',
    help: 'how often what is in the cold folder is read and held against its digests',
  },
  coordinatorUrl: {
    kind: 'text',
    default: 'ws://127.0.0.1:6336',
    pattern: /^wss?:\/\/(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\/?$/,
    form: 'ws://host:port or wss://host:port',
    help: "the coordinator's link port, which the worker dials",
  },
  writerThreads: {
    kind: 'integer',
    default: 2,
    min: 1,
    max: 16,
    help: 'threads that commit writes; a shard always belongs to the same one',
  },
  handlesMax: {
    kind: 'integer',
    default: 256,
    min: 8,
    max: 16_384,
    help: 'open databases for reading, and as many for writing; others open on demand',
  },
  diskReserveBytes: {
    kind: 'integer',
    default: 67_108_864,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    help: 'free space below which growing writes are refused; kept for deletes',
  },
  flatPointsMax: {
    kind: 'integer',
    default: 5_000,
    min: 0,
    max: 1_000_000,
    unit: 'points',
    help: 'a shard with fewer points is scanned exactly and has no graph',
  },
  purgeAfterMs: {
    kind: 'integer',
    default: 300_000,
    min: 100,
    max: 86_400_000,
    unit: 'ms',
    help: 'removed points leave memory and images after this time at the latest; the database at once',
  },
  logLevel: {
    kind: 'choice',
    default: 'info',
    choices: LOG_LEVELS,
    help: 'least level that is logged',
  },
  linkSecret: { kind: 'secret', min: 32, help: 'shared with the coordinator; proves both ends' },
} as const satisfies OptionTable;

export type WorkerConfig = Config<typeof WORKER_OPTIONS>;
