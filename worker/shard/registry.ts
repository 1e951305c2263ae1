/**
 * The shards of one worker: which there are (one folder each), and the open ones. A shard is
 * opened by the first request for it; requests that come meanwhile wait for the same opening.
 *
 *   absent --create--> closed --first request--> opening --> open
 *      ^                 | ^                        |          |
 *      |                 | +--------- failed -------+          |
 *      |                drop                                  drop
 *      +---- erased ---- dropping (not served) <---------------+
 *
 * A shard whose opening ended the process is quarantined (`openings.ts`). One that is paused has its files
 * on the cold disk (`cold/cold-shards.ts`); what needs its rows brings them back first.
 * An open shard whose index met a trap is retired by its next request and opened from its rows.
 */
import path from 'node:path';
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import type { ShardDescriptor, ShardPlace } from '../../shared/domain/collection.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Reply, Request } from '../../shared/protocol/messages.ts';
import type { Written } from '../../shared/protocol/schema.ts';
import { removeImage } from '../image/write-image.ts';
import type { IndexOptions } from '../index/vector-index.ts';
import type { PointsStore } from '../points/points-store.ts';
import { fromSystemError, isDamage } from '../points/storage-errors.ts';
import type { ColdFacts } from './cold/cold-home.ts';
import { ColdShards } from './cold/cold-shards.ts';
import type { ReaderOf } from './evaluate.ts';
import {
  createShardFolder,
  findShardFolders,
  folderBytes,
  readDescriptor,
  removeShardFolder,
  shardFolder,
} from './folder.ts';
import { MarkedShards } from './marked-shards.ts';
import { openShard } from './open.ts';
import { Openings } from './openings.ts';
import type { Shard, ShardDeps } from './shard.ts';
import { Upkeep } from './upkeep.ts';

interface Entry {
  descriptor: ShardDescriptor;
  folder: string;
  shard: Shard | undefined;
  opening: Promise<Shard> | undefined;
  dropping: boolean;
  /** Its rows are read as they are: it was opened to be mended. */
  mending: boolean;
}

export interface RegistryOptions {
  dataDir: string;
  /** Of this worker alone. */
  coldDir: string;
  /** How often what is cold is read. */
  coldVerifyMs: number;
  indexOptions: IndexOptions;
  purgeAfterMs: number;
}

export class ShardRegistry {
  readonly #dataDir: string;
  readonly #store: PointsStore;
  readonly #deps: ShardDeps;
  readonly #upkeep: Upkeep;
  readonly #openings: Openings;
  readonly #damaged: MarkedShards;
  readonly #cold: ColdShards;
  readonly #entries = new Map<ShardId, Entry>();
  /** Creations and drops run one at a time, so that two of the same shard cannot meet. */
  #changes: Promise<unknown> = Promise.resolve();

  constructor(deps: { store: PointsStore; clock: Clock; log: Log }, options: RegistryOptions) {
    this.#upkeep = new Upkeep(deps, options);
    this.#dataDir = options.dataDir;
    this.#store = deps.store;
    this.#openings = new Openings(deps, options);
    this.#damaged = new MarkedShards(path.join(options.dataDir, 'damaged'));
    this.#deps = { ...deps, indexOptions: options.indexOptions, wake: this.#upkeep.wake };
    const versionOf = (folder: string) => deps.store.reader(folder).usage().version;
    const onDamage = (shardId: ShardId, error: unknown) => this.noteDamage(shardId, error);
    const verifying = { ...options, verifyEveryMs: options.coldVerifyMs };
    this.#cold = new ColdShards({ ...deps, onDamage, versionOf }, verifying);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Those whose files are on the cold disk. */
  get coldCount(): number {
    return this.#cold.size;
  }

  /** Whether there is such a shard and it is served. */
  has(shardId: ShardId): boolean {
    return this.#entries.get(shardId)?.dropping === false;
  }

  /** Finds the shards on disk. A folder that is not what it should be is reported and left alone:
   * a copy of a shard in another place must not be taken for the shard. */
  async start(): Promise<void> {
    this.#openings.start();
    this.#damaged.start();
    this.#store.onDamage((folder, problem) => {
      const entry = [...this.#entries.values()].find((one) => one.folder === folder);
      if (entry !== undefined) this.noteDamage(entry.descriptor.shardId, new Error(problem));
    });
    await this.#cold.start();
    for (const folder of await findShardFolders(this.#dataDir)) {
      try {
        const descriptor = await readDescriptor(folder);
        if (folder !== shardFolder(this.#dataDir, descriptor.place)) {
          throw new Error('its shard.json names another place');
        }
        await this.#cold.find(descriptor.shardId, folder);
        this.#enter(descriptor, folder);
      } catch (error) {
        const where = path.relative(this.#dataDir, folder);
        this.#deps.log.event('shard_failed', { place: 'start', folder: where, error });
      }
    }
  }

  /** Makes the shard, durable when the promise resolves. Once more for the same id is no change. */
  create(descriptor: ShardDescriptor): Promise<void> {
    return this.#change(async () => {
      if (this.#entries.has(descriptor.shardId)) return;
      const folder = shardFolder(this.#dataDir, descriptor.place);
      const { shardId } = descriptor;
      const { dimension } = descriptor.config.vector;
      await createShardFolder(folder, descriptor, (making) =>
        this.#store.create(making, { shardId, dimension }),
      ).catch((error: unknown) => this.#failed('create', shardId, error));
      this.#enter(descriptor, folder);
    });
  }

  /**
   * Erases the shard and its files. Succeeds when there is none. From the call on the shard is not
   * served; should erasing fail it stays known, so that the next try finds it.
   */
  drop(shardId: ShardId, place: ShardPlace): Promise<void> {
    return this.#change(async () => {
      const entry = this.#entries.get(shardId);
      const folder = entry?.folder ?? shardFolder(this.#dataDir, place);
      await this.#cold.drop(shardId, folder).catch((error: unknown) => {
        this.#failed('drop', shardId, error);
      });
      if (entry !== undefined) await this.#end(entry);
      await removeShardFolder(folder).catch((error: unknown) => {
        this.#failed('drop', shardId, error);
      });
      this.#openings.forget(shardId);
      this.#damaged.delete(shardId);
      if (entry === undefined) return;
      this.#entries.delete(shardId);
      this.#deps.log.event('shard_dropped', { shardId });
    });
  }

  /** Ends what is done for a shard, from now on for good; its files stay. */
  async #end(entry: Entry): Promise<void> {
    entry.dropping = true;
    // Whoever asked for the opening hears of its failure; here the shard only has to go.
    const opened = await entry.opening?.catch(() => undefined);
    const shard = opened ?? entry.shard;
    if (shard !== undefined) {
      await shard.idle();
      await this.#upkeep.forget(shard);
      shard.close();
      entry.shard = undefined;
    }
    await this.#store.drop(entry.folder);
  }

  /** The shard, opened if need be. */
  async shard(shardId: ShardId): Promise<Shard> {
    return this.#shardOf(this.#served(shardId));
  }

  /** The same, of a damaged one too, which is opened with the rows that it has. */
  async shardToMend(shardId: ShardId): Promise<Shard> {
    try {
      return await this.#openedToMend(shardId);
    } catch (error) {
      // It was not known of until it was opened.
      if (!isDamage(error)) throw error;
      return this.#openedToMend(shardId);
    }
  }

  async #openedToMend(shardId: ShardId): Promise<Shard> {
    const entry = this.#known(shardId);
    const isDamaged = this.#damaged.has(shardId);
    if (isDamaged && !entry.mending) await this.#retire(entry);
    entry.mending = isDamaged;
    return this.#shardOf(entry);
  }

  #shardOf(entry: Entry): Promise<Shard> | Shard {
    if (entry.shard !== undefined && !entry.shard.trapped) return entry.shard;
    entry.opening ??= this.#open(entry);
    return entry.opening;
  }

  /** Its rows have been made those of another replica: it is served again, and checked again. */
  async mended(shardId: ShardId): Promise<void> {
    if (!this.#damaged.has(shardId)) return;
    const entry = this.#known(shardId);
    await this.#retire(entry);
    this.#store.forgetSound(entry.folder);
    entry.mending = false;
    this.#damaged.delete(shardId);
    this.#deps.log.event('shard_released', { shardId });
  }

  /**
   * The shard's files are not what was written to them. From now on, also after a restart, it is not
   * served; what it has can be compared and mended. `requestId`: of who met it; '' when that was nobody's request.
   */
  noteDamage(shardId: ShardId, error: unknown, requestId = ''): void {
    if (this.#damaged.has(shardId)) return;
    const found = requestId === '' ? { shardId, error } : { shardId, requestId, error };
    this.#deps.log.event('shard_damaged', found);
    try {
      this.#damaged.add(shardId);
    } catch (failure) {
      this.#deps.log.event('shard_failed', { shardId, place: 'damaged', error: failure });
    }
  }

  /** Looks whether all that is on the disk is sound. Throws `DamagedData`. */
  async verify(shardId: ShardId): Promise<void> {
    const { folder } = this.#served(shardId);
    await this.#cold.settled(shardId);
    if (this.#cold.isAside(shardId)) await this.#cold.verify(shardId);
    else await this.#store.inspect(folder);
  }

  /**
   * Moves the shard's files to the cold disk and frees its memory; what is there already stays so. Throws
   * `conflict` when a request needs its rows meanwhile.
   */
  freeze(shardId: ShardId): Promise<void> {
    const entry = this.#served(shardId);
    return this.#cold.freeze(shardId, entry.folder, () => this.#closeToFreeze(entry));
  }

  /** Undefined when the rows are here; else resolves when they are. Rejects with `waking` when that takes
   * longer. */
  warming(shardId: ShardId, deadline: Deadline): Promise<void> | undefined {
    if (!this.#cold.isAside(shardId)) return undefined;
    this.#served(shardId);
    return this.#cold.warm(shardId, deadline);
  }

  async #closeToFreeze(entry: Entry): Promise<ColdFacts> {
    const { folder } = entry;
    const shard = await this.#shardOf(entry);
    await shard.idle();
    if (shard.image.behind) await shard.image.save();
    const status = shard.reads.status();
    const { shardId } = entry.descriptor;
    await this.#retire(entry);
    await this.#store.settle(folder);
    const reader = this.#store.reader(folder);
    const facts = { shardId, held: reader.usage(), newestNote: reader.newestNote(), status };
    // The last connection folds the log into the database, and it has to be one that writes.
    this.#store.forgetSound(folder);
    await this.#store.drop(folder);
    return facts;
  }

  /** What is stored once every write that came before has ended. A closed shard has none, and
   * rows to ask without opening it. */
  async usage(shardId: ShardId): Promise<Written> {
    if (this.#cold.isAside(shardId)) await this.#cold.settled(shardId);
    const { shard, opening, folder } = this.#served(shardId);
    const cold = this.#cold.manifest(shardId);
    if (cold !== undefined) return cold.held;
    if (shard === undefined && opening === undefined) {
      return this.#deps.store.reader(folder).usage();
    }
    return (await this.shard(shardId)).usage();
  }

  /** How much it holds and what of the machine it takes. */
  async status(shardId: ShardId): Promise<Reply<'shard-status'>> {
    if (this.#cold.isAside(shardId)) await this.#cold.settled(shardId);
    const { folder } = this.#served(shardId);
    const cold = this.#cold.manifest(shardId);
    if (cold !== undefined) {
      return {
        ...cold.status,
        state: 'cold',
        memoryBytes: 0,
        diskBytes: this.#cold.bytes(shardId),
      };
    }
    const { reads } = await this.shard(shardId);
    return { ...reads.status(), diskBytes: await folderBytes(folder) };
  }

  /** What is noted of writes. Of a cold shard that has no such notes it is known. */
  async metered(
    shardId: ShardId,
    wanted: Request<'meter-read'>,
    deadline: Deadline,
  ): Promise<Reply<'meter-read'>> {
    if (this.#cold.isAside(shardId)) await this.#cold.settled(shardId);
    const cold = this.#cold.manifest(shardId);
    const { after, upTo } = wanted;
    if (cold !== undefined && after >= cold.newestNote) {
      return { sums: [], upTo: Math.max(after, Math.min(upTo, cold.held.version)), more: false };
    }
    await this.warming(shardId, deadline);
    return this.rows(shardId)().metered(wanted);
  }

  /** What it holds as committed last, and takes. A closed shard stays closed, and a cold one cold. */
  async census(shardId: ShardId): Promise<Reply<'shard-census'>> {
    // Before its database is opened for it, which makes files.
    const hotBytes = await folderBytes(this.#served(shardId).folder);
    for (;;) {
      const { shard, opening, folder } = this.#served(shardId);
      const cold = this.#cold.manifest(shardId);
      if (cold !== undefined || (opening === undefined && !this.#cold.isAside(shardId))) {
        const { version, points, bytes } = cold?.held ?? this.#store.usage(folder);
        const memoryBytes = shard?.reads.status().memoryBytes ?? 0;
        const diskBytes = hotBytes + this.#cold.bytes(shardId);
        return { version, points, bytes, memoryBytes, diskBytes };
      }
      // Nobody else may be at its files while they are looked at.
      await (opening ?? this.#cold.settled(shardId));
    }
  }

  /** The shard's rows as they are committed, without opening it. */
  rows(shardId: ShardId): ReaderOf {
    this.#served(shardId);
    // It may be dropped between two reads.
    return () => this.#deps.store.reader(this.#served(shardId).folder);
  }

  /** The same as they are, damaged or not: for comparing them only. */
  uncheckedRows(shardId: ShardId): ReaderOf {
    this.#known(shardId);
    return () => this.#store.uncheckedReader(this.#known(shardId).folder);
  }

  #served(shardId: ShardId): Entry {
    const entry = this.#known(shardId);
    if (this.#damaged.has(shardId)) throw new AppError('shard_damaged');
    return entry;
  }

  #known(shardId: ShardId): Entry {
    const entry = this.#entries.get(shardId);
    if (this.#openings.isQuarantined(shardId)) throw new AppError('shard_quarantined');
    if (entry !== undefined && !entry.dropping) return entry;
    const detail = `no shard ${shardId} on this worker`;
    throw new AppError('unavailable', undefined, { detail });
  }

  /** Shards that are not served because opening them ended the process. */
  get quarantined(): ShardId[] {
    return this.#openings.quarantined;
  }

  /** Shards that are not served because their files are not what was written. */
  get damaged(): ShardId[] {
    return this.#damaged.all;
  }

  /** Serves a quarantined or damaged shard again. False when it is neither. */
  async release(shardId: ShardId): Promise<boolean> {
    const wasQuarantined = this.#openings.release(shardId);
    if (!this.#damaged.has(shardId)) return wasQuarantined;
    // Of a log that is damaged in its middle, what comes before is to be served.
    await this.#store.settle(this.#known(shardId).folder);
    await this.mended(shardId);
    return true;
  }

  /** Replaces the shard's configuration, on disk and in memory. */
  async configure(descriptor: ShardDescriptor): Promise<number> {
    const shard = await this.shard(descriptor.shardId);
    const { shardId } = descriptor;
    const version = await shard
      .configure(descriptor)
      .catch((error: unknown) => this.#failed('configure', shardId, error));
    const entry = this.#entries.get(shardId);
    if (entry === undefined || entry.dropping) throw new AppError('unavailable');
    entry.descriptor = descriptor;
    return version;
  }

  /** Stops upkeep, waits for writes, and saves the images that are worth it. */
  async close(deadline: Deadline): Promise<void> {
    this.#openings.close();
    await this.#changes;
    await this.#cold.close();
    await this.#upkeep.close();
    for (const { shard, mending } of this.#entries.values()) {
      if (shard === undefined || mending) continue;
      await shard.idle();
      if (shard.trapped) await removeImage(shard.folder);
      if (shard.image.behind && !deadline.expired) await shard.image.save();
    }
  }

  async #open(entry: Entry): Promise<Shard> {
    try {
      if (entry.shard !== undefined) await this.#endTrapped(entry, entry.shard);
      const { descriptor, folder } = entry;
      const deps = entry.mending ? this.#mendingDeps() : this.#deps;
      const shard = await this.#openings.run(descriptor.shardId, () => {
        return openShard(folder, descriptor, deps);
      });
      entry.shard = shard;
      this.#upkeep.wake(shard);
      return shard;
    } catch (error) {
      const { shardId } = entry.descriptor;
      if (isDamage(error)) {
        this.noteDamage(shardId, error);
        throw new AppError('shard_damaged', undefined, { cause: error });
      }
      this.#deps.log.event('shard_failed', { shardId, place: 'open', error });
      throw new AppError('unavailable', undefined, { cause: error });
    } finally {
      entry.opening = undefined;
    }
  }

  /** Closes a shard that is to be opened anew. */
  async #retire(entry: Entry): Promise<void> {
    // Whoever asked for the opening hears of its failure.
    await entry.opening?.catch(() => undefined);
    const { shard } = entry;
    if (shard === undefined) return;
    await shard.idle();
    await this.#upkeep.forget(shard);
    shard.close();
    entry.shard = undefined;
  }

  /** What led to a trap may be in the shard's image, too, so that goes. */
  async #endTrapped(entry: Entry, shard: Shard): Promise<void> {
    await shard.idle();
    await this.#upkeep.forget(shard);
    await removeImage(shard.folder);
    shard.close();
    entry.shard = undefined;
  }

  /** For a shard whose rows are read as they are. */
  #mendingDeps(): ShardDeps {
    const store = this.#store;
    return {
      ...this.#deps,
      store: {
        write: (folder, op) => store.write(folder, op),
        settle: (folder) => store.settle(folder),
        reader: (folder) => store.uncheckedReader(folder),
      },
    };
  }

  /** A disk that is full or fails is the caller's to try again later, and the operator's to mend. */
  #failed(place: string, shardId: ShardId, error: unknown): never {
    const shown = fromSystemError(error);
    this.#deps.log.event('shard_failed', { shardId, place, error });
    throw shown;
  }

  #enter(descriptor: ShardDescriptor, folder: string): void {
    this.#entries.set(descriptor.shardId, {
      descriptor,
      folder,
      shard: undefined,
      opening: undefined,
      dropping: false,
      mending: false,
    });
  }

  #change(run: () => Promise<void>): Promise<void> {
    const result = this.#changes.then(run);
    // The caller gets the failure; the next change only needs to know that this one is over.
    this.#changes = result.catch(() => undefined);
    return result;
  }
}
