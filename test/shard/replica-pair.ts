/** Two replicas of one shard on one worker, and the levelling that a coordinator does between them. */
import assert from 'node:assert/strict';
import { systemClock } from '../../shared/base/clock.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import type { PointId } from '../../shared/domain/point.ts';
import type { ChangesCursor } from '../../shared/protocol/messages/changes-read.ts';
import { readChanges, readRange } from '../../worker/shard/feed.ts';
import { digestRange } from '../../worker/shard/range.ts';
import type { Shard } from '../../worker/shard/shard.ts';
import { Slices } from '../../worker/shard/slices.ts';
import { descriptor, type ShardRig } from './shard-rig.ts';

export const SOURCE = '00000000-0000-4000-8000-00000000000a' as ShardId;
export const TARGET = '00000000-0000-4000-8000-00000000000b' as ShardId;

export class ReplicaPair {
  readonly #rig: ShardRig;

  constructor(rig: ShardRig) {
    this.#rig = rig;
  }

  /** Both empty. */
  static async make(rig: ShardRig, payloadIndexes = {}): Promise<ReplicaPair> {
    for (const [ordinal, shardId] of [SOURCE, TARGET].entries()) {
      const place = { ...descriptor().place, ordinal };
      await rig.registry.create(descriptor({ shardId, place, payloadIndexes }));
    }
    return new ReplicaPair(rig);
  }

  source(): Promise<Shard> {
    return this.#rig.registry.shard(SOURCE);
  }

  target(): Promise<Shard> {
    return this.#rig.registry.shard(TARGET);
  }

  usage() {
    const { registry } = this.#rig;
    return Promise.all([registry.usage(SOURCE), registry.usage(TARGET)]);
  }

  /**
   * Brings the target level, in rounds until one begins and ends at the same version of the source.
   * `between` runs after each page. False when the target is too far behind.
   */
  async level(since: number, between: () => Promise<unknown>): Promise<boolean> {
    let known = since;
    for (;;) {
      const round = await this.#round(known, between);
      if (round === undefined) return false;
      if (round.first === round.last) return true;
      known = round.first;
    }
  }

  async #round(since: number, between: () => Promise<unknown>) {
    let cursor: ChangesCursor | null = null;
    let first: number | undefined;
    for (;;) {
      const reader = this.#rig.registry.rows(SOURCE)();
      const { body, vectors } = readChanges({ since, cursor }, reader);
      if (body.tooFar) return undefined;
      first ??= body.version;
      const { page, floor, version, next } = body;
      const lastVersion = next === null ? first : 0;
      const shard = await this.target();
      await shard.levelling.applyChanges({ page, floor, lastVersion }, vectors);
      if (next === null) return { first, last: version };
      await between();
      cursor = next;
    }
  }

  /** Compares ranges of so many points and makes those that differ those of the source; how many
   * did. */
  async repair(limit: number, { deep }: { deep: boolean }): Promise<number> {
    let differing = 0;
    let from: PointId | undefined;
    for (;;) {
      const known = await this.#digest(SOURCE, { from, limit, deep });
      const until = known.next ?? undefined;
      const found = await this.#digest(TARGET, { from, until, limit: 10_000, deep });
      const same = found.count === known.count && found.digest.equals(known.digest);
      if (!same || found.next !== null) {
        differing += 1;
        await this.#replace(from, until);
      }
      if (until === undefined) break;
      from = until;
    }
    await this.#replaceWith({ from: 0, until: 0 }, true);
    return differing;
  }

  async #digest(
    shardId: ShardId,
    ask: { from: PointId | undefined; until?: PointId | undefined; limit: number; deep: boolean },
  ) {
    const { from, until, ...rest } = ask;
    const range = rangeOf(from, until);
    const rows = this.#rig.registry.uncheckedRows(shardId);
    const { digest, ...found } = await digestRange(
      { range, ...rest },
      rows,
      new Slices(systemClock),
    );
    return { digest: Buffer.from(digest), ...found };
  }

  async #replace(from: PointId | undefined, until: PointId | undefined): Promise<void> {
    let start = from;
    for (;;) {
      const next = await this.#replaceWith(rangeOf(start, until), false);
      if (next === null) return;
      start = next;
    }
  }

  /** Replaces what fits a page; where the next one begins. */
  async #replaceWith(
    range: { from?: PointId; until?: PointId },
    recount: boolean,
  ): Promise<PointId | null> {
    const { body, vectors } = readRange({ range }, this.#rig.registry.rows(SOURCE)());
    const { page, next, version: lastVersion } = body;
    const covered = rangeOf(range.from, next ?? range.until);
    const shard = await this.#rig.registry.shardToMend(TARGET);
    const request = { range: covered, page, lastVersion, recount };
    const written = await shard.levelling.applyRange(request, vectors);
    if (recount) await this.#rig.registry.mended(TARGET);
    assert.ok(written.version >= lastVersion);
    return next;
  }
}

function rangeOf(from: PointId | undefined, until: PointId | undefined) {
  return { ...(from !== undefined && { from }), ...(until !== undefined && { until }) };
}
