/**
 * What a shard takes over from another replica of it: pages of changes (`feed.ts`) or of ranges, under
 * the versions that the rows have there. They go the way of all writes, through the writer thread and
 * then into memory, but their versions come in any order: `state.ts` and the head of
 * `points/schema.ts` say how searches and images live with that.
 */
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Request } from '../../shared/protocol/messages.ts';
import { isWholePage, type Page } from '../../shared/protocol/page.ts';
import type { Written } from '../../shared/protocol/schema.ts';
import type { Levelling } from '../points/write-op.ts';
import { checkWithin, othersIn } from './range.ts';
import { Slices } from './slices.ts';
import type { UndoParts } from './undo.ts';

export interface LevellingParts extends UndoParts {
  /** Waits a little when points come faster than they are linked. */
  pace: (points: number) => Promise<void>;
  /** Brings memory level with the rows; no write may be under way. */
  catchUp: () => Promise<void>;
}

type Rows = Omit<Levelling, 'kind' | 'imageLevellings'>;

const NO_ROWS = {
  ids: [],
  versions: [],
  payloads: [],
  vectors: new Float32Array(),
  floor: 0,
  lastVersion: 0,
  isLast: false,
};

export class ShardLevelling {
  readonly #parts: LevellingParts;

  constructor(parts: LevellingParts) {
    this.#parts = parts;
  }

  /** Takes over a page of changes. Throws `invalid_argument` when it is not as it was sealed. */
  async applyChanges(
    { page, floor, lastVersion }: Request<'changes-apply'>,
    vectors: Float32Array,
  ): Promise<Written> {
    this.#check(page, vectors);
    const rows = { ...page, vectors, floor, lastVersion, isLast: lastVersion > 0 };
    return this.#parts.gate.shared(() => this.#level(rows));
  }

  /** Makes the range what the page says. Throws `invalid_argument`, also for a page with points that
   * are not in the range. */
  async applyRange(
    { range, page, lastVersion, recount }: Request<'range-apply'>,
    vectors: Float32Array,
  ): Promise<Written> {
    this.#check(page, vectors);
    checkWithin(range, [...page.ids, ...page.removedIds]);
    const { gate, reader, clock } = this.#parts;
    return gate.exclusive(async () => {
      const version = Math.max(reader().stats().version, lastVersion, ...page.versions);
      // First, so that their room on the disk is there for the others.
      for await (const removedIds of othersIn(range, page.ids, reader, new Slices(clock))) {
        const removedVersions = removedIds.map(() => version);
        await this.#level({ ...NO_ROWS, removedIds, removedVersions });
      }
      const rows = { ...NO_ROWS, ...page, vectors, lastVersion: version };
      const written = await this.#level(rows);
      return recount ? this.#recount() : written;
    });
  }

  #check(page: Page, vectors: Float32Array): void {
    const { dimension } = this.#parts.state.descriptor.config.vector;
    const once = page.once?.rows.length ?? 0;
    const size = Math.max(page.ids.length, page.removedIds.length, once);
    if (size <= LIMITS.pagePointsMax && isWholePage(page, vectors, dimension)) return;
    throw new AppError('invalid_argument', 'the page is not as it was sealed');
  }

  async #level(rows: Rows): Promise<Written> {
    const { state, image, write, pace } = this.#parts;
    const { ids, versions, payloads, vectors, removedIds, removedVersions } = rows;
    const { lastVersion, floor, once, isLast } = rows;
    state.index.assertRoom(ids.length);
    const ended = state.startLevelling(Math.min(...versions));
    const lists = { ids, versions, payloads, vectors, removedIds, removedVersions };
    const imageLevellings = image.levellings;
    const known = { lastVersion, floor, once, isLast, imageLevellings };
    const written = await write({ kind: 'level', ...lists, ...known }).finally(ended);
    await pace(ids.length);
    return written;
  }

  async #recount(): Promise<Written> {
    const written = await this.#parts.write({ kind: 'recount' });
    // Rows that were lost without anybody knowing have left their labels in memory.
    await this.#parts.catchUp();
    return written;
  }
}
