/**
 * The image of one shard: when it is worth a new one, and the saving. It is renewed when much has
 * changed, or a while after something was removed, so that what is gone leaves the disk, too.
 *
 *   none --save--> of version v --writes--> behind by n changes --save--> of version w
 *                                           (no graph any more) --save--> none
 */
import path from 'node:path';
import type { Clock } from '../../shared/base/clock.ts';
import type { Log } from '../../shared/log/log.ts';
import { IMAGE_PART_PREFIX } from '../image/image.ts';
import { removeImage, writeImage } from '../image/write-image.ts';
import type { ShardState } from './state.ts';

/** An image is renewed when the writes since then are this share of the points. */
const AGE_MAX = 0.2;
/** Under this prefix, what a crash leaves is removed when the shard is opened. */
const SCRATCH_FILE = `${IMAGE_PART_PREFIX}scratch`;

/** What an image has. */
export interface ImageState {
  version: number;
  levellings: number;
}

export class ShardImage {
  readonly #folder: string;
  readonly #state: ShardState;
  readonly #deps: { clock: Clock; log: Log };
  /** Of the image on disk; 0 when there is none. */
  #version: number;
  #levellings: number;
  /** `changeCount` and `removedCount` at the last attempt to save. */
  #changesAtSave = 0;
  #removedAtSave = 0;
  /** What was removed is to leave the image. */
  #purging = false;
  #saving = Promise.resolve();

  constructor(
    deps: { clock: Clock; log: Log },
    parts: { folder: string; state: ShardState; image: ImageState },
  ) {
    this.#deps = deps;
    this.#folder = parts.folder;
    this.#state = parts.state;
    this.#version = parts.image.version;
    this.#levellings = parts.image.levellings;
  }

  /** Whether the shard is ahead of its image. Without a graph there is none: reading the rows is as
   * quick, and one from better times goes. */
  get behind(): boolean {
    const { index, appliedVersion, levellings } = this.#state;
    if (index.trapped) return false;
    const isOlder = appliedVersion > this.#version || levellings > this.#levellings;
    return (index.hasGraph || this.#version > 0) && isOlder;
  }

  /** How many levellings are in the image on disk; undefined when there is none. */
  get levellings(): number | undefined {
    return this.#version === 0 ? undefined : this.#levellings;
  }

  /** Whether it is worth a new one now. */
  get due(): boolean {
    // During a levelling an image could not say much of what it has.
    const isCalm = !this.#state.levelling;
    return this.behind && isCalm && (this.#purging || this.#age >= AGE_MAX);
  }

  /** Points changed since the last attempt, as a share of all points. */
  get #age(): number {
    const { index, changeCount } = this.#state;
    const neverSaved = this.#version === 0 && this.#changesAtSave === 0;
    return neverSaved ? 1 : (changeCount - this.#changesAtSave) / Math.max(1, index.count);
  }

  /** From now on, an image that has something removed is due. */
  purge(): void {
    this.#purging = this.#version > 0 && this.#state.removedCount > this.#removedAtSave;
  }

  /** The image is of another index. */
  async discard(): Promise<void> {
    this.#version = 0;
    this.#changesAtSave = 0;
    await removeImage(this.#folder);
  }

  /** Saves the index, after a save that is under way; a failure is logged and costs only a slower start. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#save());
    return this.#saving;
  }

  async #save(): Promise<void> {
    const { clock, log } = this.#deps;
    const { shardId } = this.#state.descriptor;
    const { index, trustedVersion: version, levellings } = this.#state;
    const startMs = clock.monotonicMs();
    this.#changesAtSave = this.#state.changeCount;
    this.#removedAtSave = this.#state.removedCount;
    this.#purging = false;
    try {
      if (!index.hasGraph) return await this.discard();
      // All that it has may be out of date by now: it is worth less than none, and than an old one.
      if (version === 0) return;
      const bytes = await this.#write({ version, levellings });
      if (this.#state.index !== index) return await this.discard();
      this.#version = version;
      this.#levellings = levellings;
      log.event('image_saved', { shardId, version, bytes, ms: clock.monotonicMs() - startMs });
    } catch (error) {
      log.event('image_save_failed', { shardId, error });
    }
  }

  /**
   * Bytes written. What the image says was applied before the call: rows that change while the index is copied
   * may be in the image in either state, and are replayed when it is opened, since they are newer.
   */
  async #write({ version, levellings }: ImageState): Promise<number> {
    const { index, descriptor } = this.#state;
    const saved = await index.save(path.join(this.#folder, SCRATCH_FILE));
    try {
      const { shardId, config } = descriptor;
      const meta = { shardId, ...config.vector, appliedVersion: version, levellings };
      return await writeImage(this.#folder, meta, saved.sections);
    } finally {
      await saved.release();
    }
  }
}
