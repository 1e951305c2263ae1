/**
 * Censuses over a real `control.db`, ledger and folder, of shards that are as the test says. The census can be
 * opened again on what is there, as after a start.
 */
import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import { CensusArchive } from '../../coordinator/census/archive.ts';
import { Census } from '../../coordinator/census/census.ts';
import { type SurveyedSet, Surveyor } from '../../coordinator/census/survey.ts';
import { CensusAdmin } from '../../coordinator/control-plane/census.ts';
import type { Ledger } from '../../coordinator/ledger/ledger.ts';
import type { CollectionRecord } from '../../coordinator/store/collections.ts';
import { ControlStore } from '../../coordinator/store/control-store.ts';
import { type Clock, ManualClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, CollectionId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import { auditKeyOf, publicPemOf } from '../../shared/crypto/audit-chain.ts';
import { censusSeedOf } from '../../shared/crypto/census-seal.ts';
import { HNSW_DEFAULTS, type Mode } from '../../shared/domain/collection.ts';
import type { Notice } from '../../shared/domain/notices.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { LogEvent } from '../../shared/log/events.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Reply } from '../../shared/protocol/messages.ts';
import { type Cleanup, cleanUp } from './cleanup.ts';
import { SyncLedger } from './sync-ledger.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const CENSUS_KEY = auditKeyOf(censusSeedOf('pepper'.repeat(8)));
export const WORKERS = ['wk_aaaaaaaaaaaaaaaa', 'wk_bbbbbbbbbbbbbbbb'] as WorkerId[];
export const DAY = '2026-11-27';
export const NOON = Date.parse(`${DAY}T12:00:00Z`);

type Said = Reply<'shard-census'>;

/** Shards, and what their replicas say. */
export class Shards {
  readonly records: CollectionRecord[] = [];
  readonly sets = new Map<ShardId, SurveyedSet>();
  readonly said = new Map<string, Said>();
  /** Workers that are not connected. */
  readonly away = new Set<WorkerId>();
  /** Called before a shard answers. */
  interfere: () => void | Promise<void> = () => undefined;
  asked = 0;
  /** The most that were asked at once. */
  atOnceMax = 0;
  #atOnce = 0;

  /** A collection of one shard with a replica at each of these workers, all of which hold so many points. */
  add(
    clientId: ClientId,
    name: string,
    points: number,
    { mode = 'live' as Mode, namespace = 'default', workers = WORKERS.slice(0, 1) } = {},
  ): ShardId {
    const number = String(this.records.length).padStart(12, '0');
    const shardId = `00000000-0000-4000-8000-${number}` as ShardId;
    const replicas = workers.map((workerId) => {
      return { workerId, state: 'in_sync' as const, syncedVersion: 0 };
    });
    this.records.push({
      ...{ collectionId: number as CollectionId, clientId, mode, namespace, name },
      config: { vector: { dimension: 3, distance: 'Cosine' }, hnsw: HNSW_DEFAULTS },
      ...{ payloadIndexes: {}, replicationFactor: workers.length, writeConsistencyFactor: 1 },
      ...{ shards: [{ shardId, ordinal: 0, replicas }], filling: [], keysKnownSince: 0 },
      ...{ generation: 1, state: 'active', configPending: false, createdAt: 0 },
    });
    this.sets.set(shardId, { replicas, lastVersion: undefined, held: { points: 0, bytes: 0 } });
    for (const workerId of workers) this.hold(shardId, points, workerId);
    return shardId;
  }

  /** 12 bytes a point; the version is the number of points. */
  hold(shardId: ShardId, points: number, workerId: WorkerId | undefined = WORKERS[0]): void {
    const held = { version: points, points, bytes: 12 * points };
    this.said.set(`${shardId}/${workerId}`, { ...held, memoryBytes: 100, diskBytes: 1_000 });
  }

  async ask({ shardId, workerId }: { shardId: ShardId; workerId: WorkerId }): Promise<Said> {
    this.asked += 1;
    this.#atOnce += 1;
    this.atOnceMax = Math.max(this.atOnceMax, this.#atOnce);
    try {
      await this.interfere();
      const said = this.said.get(`${shardId}/${workerId}`);
      if (said === undefined) throw new AppError('unavailable');
      return said;
    } finally {
      this.#atOnce -= 1;
    }
  }
}

export interface WorldOptions {
  clock?: Clock;
  keepDays?: number;
  folder?: string;
  store?: ControlStore;
  ledger?: Pick<Ledger, 'append' | 'ask'>;
}

export class CensusWorld {
  readonly folder: string;
  readonly store: ControlStore;
  readonly ledger: Pick<Ledger, 'append' | 'ask'>;
  readonly shards = new Shards();
  readonly notices: Notice[] = [];
  readonly events: { event: LogEvent; fields: object }[] = [];
  readonly publicKey = createPublicKey(CENSUS_KEY);
  readonly #clock: Clock;
  readonly #keepDays: number;
  #census: Census;
  #admin: CensusAdmin;

  constructor(t: Cleanup, options: WorldOptions = {}) {
    const { clock = new ManualClock(NOON), keepDays = 0 } = options;
    const folder = options.folder ?? temporaryFolder(t);
    this.#clock = clock;
    this.#keepDays = keepDays;
    this.folder = join(folder, 'census');
    this.store = options.store ?? ControlStore.open(join(folder, 'control.db'), { clock });
    this.ledger = options.ledger ?? new SyncLedger(t, folder);
    [this.#census, this.#admin] = this.#open();
    cleanUp(t, async () => {
      await this.end();
      if (options.store === undefined) this.store.close();
    });
  }

  get census(): Census {
    return this.#census;
  }

  get admin(): CensusAdmin {
    return this.#admin;
  }

  archive(): CensusArchive {
    return new CensusArchive({ folder: this.folder, key: CENSUS_KEY });
  }

  #open(parts: Partial<ConstructorParameters<typeof Census>[0]> = {}): [Census, CensusAdmin] {
    const { store, ledger, shards } = this;
    const clock = this.#clock;
    const log: Log = { event: (event, fields) => void this.events.push({ event, fields }) };
    const surveyor = new Surveyor({
      clients: store.clients,
      collections: () => shards.records,
      current: ({ collectionId }) => {
        return shards.records.find((one) => one.collectionId === collectionId);
      },
      setOf: (shardId) => shards.sets.get(shardId),
      ask: (route) => shards.ask(route),
      isConnected: (workerId) => !shards.away.has(workerId),
      lastKnown: (shardIds) => ledger.ask('census-shards', shardIds),
      clock,
    });
    const tell = (notice: Notice) => void this.notices.push(notice);
    const base = { ledger, archive: this.archive(), clock, log };
    const options = { keepDays: this.#keepDays };
    const taking = { surveyor, requests: store.censusRequests, tell };
    const census = new Census({ ...base, ...taking, ...parts }, options);
    const publicKey = publicPemOf(CENSUS_KEY);
    return [census, new CensusAdmin({ ...base, store, census, publicKey })];
  }

  /** Another start, with other parts in place of its own if they are given. */
  async restart(parts: Partial<ConstructorParameters<typeof Census>[0]> = {}): Promise<void> {
    await this.end();
    [this.#census, this.#admin] = this.#open(parts);
    this.#census.start();
  }

  /** What is under way is over when it resolves. */
  end(): Promise<void> {
    return this.#census.close(Deadline.after(this.#clock, 60_000));
  }

  count(event: LogEvent): number {
    return this.events.filter((one) => one.event === event).length;
  }
}
