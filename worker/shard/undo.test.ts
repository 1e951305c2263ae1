/** Writes that are taken back at an open shard: searches, payload indexes and images agree with it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import type { PointId } from '../../shared/domain/point.ts';
import { takeSeed } from '../../test/harness/seed.ts';
import {
  inTime,
  nearest,
  ODD,
  range,
  SHARD,
  ShardRig,
  vectorOf,
} from '../../test/shard/shard-rig.ts';
import type { Shard } from './shard.ts';

const COUNT = 400;
const ROUNDS = 12;

class Numbered {
  shard: Shard;
  version = 0;
  readonly #stable = () => this.settled;
  settled = 0;

  constructor(shard: Shard) {
    this.shard = shard;
  }

  #next() {
    this.version += 1;
    return { version: this.version, undoable: { stable: this.#stable() } };
  }

  upsert(ids: number[], seedOf: (id: number) => number, odd: boolean) {
    const floats = Float32Array.from(ids.flatMap((id) => [...vectorOf(seedOf(id))]));
    const payloads = ids.map((id) => Buffer.from(JSON.stringify({ id, odd })));
    return this.shard.upsert({ ...this.#next(), ids, payloads }, { '': floats });
  }

  remove(ids: PointId[]) {
    return this.shard.delete({ ...this.#next(), points: { kind: 'ids', ids } }, inTime());
  }

  removeOdd() {
    return this.shard.delete(
      { ...this.#next(), points: { kind: 'filter', filter: ODD } },
      inTime(),
    );
  }

  setOdd(ids: PointId[], odd: boolean) {
    const change = { kind: 'set' as const, payload: Buffer.from(JSON.stringify({ odd })) };
    const points = { kind: 'ids' as const, ids };
    return this.shard.updatePayload({ ...this.#next(), points, change }, inTime());
  }

  undo(after: number) {
    this.version += 1;
    return this.shard.undo.undo({ after, upTo: this.version });
  }
}

/** What everybody sees of the shard. */
async function seenIn(shard: Shard) {
  const searches = await Promise.all(
    range(0, 12).flatMap((seed) => [
      nearest(shard, seed * 31, { exact: true, limit: 5 }),
      nearest(shard, seed * 31, { limit: 5, filter: ODD }),
    ]),
  );
  const count = await shard.reads.count(ODD, true, inTime());
  const { version: _, ...held } = await shard.usage();
  return { searches, odd: count.count, held };
}

test('searches, filters and images see what was taken back as it was', async (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_128));
  const rig = await ShardRig.start(t);
  const payloadIndexes = { odd: 'bool' as const };
  const writer = new Numbered(await rig.create({ payloadIndexes }));
  await writer.upsert(range(0, COUNT), (id) => id, true);
  for (let round = 0; round < ROUNDS; round += 1) {
    writer.settled = writer.version;
    const before = await seenIn(writer.shard);
    const ids = range(0, 20).map(() => random.below(2 * COUNT));
    const some = [...new Set(ids)];
    const there = some.slice(0, 5);
    await writer.upsert(some, (id) => id + 7_000, random.next() < 0.5);
    await writer.setOdd(there, random.next() < 0.5);
    if (random.next() < 0.5) await writer.remove(some.slice(2));
    if (random.next() < 0.3) await writer.removeOdd();
    await writer.upsert(some.slice(3), (id) => id + 9_000, random.next() < 0.5);
    // An image that has what is about to be taken back.
    if (random.next() < 0.4) writer.shard = await rig.restart(true);
    const searching = Promise.all(range(0, 20).map((seed) => nearest(writer.shard, seed)));
    const written = await writer.undo(writer.settled);
    await searching;
    assert.equal(written.version, writer.version);
    assert.deepEqual(await seenIn(writer.shard), before, `round ${round}`);
    if (random.next() < 0.5) writer.shard = await rig.restart(random.next() < 0.5);
    assert.deepEqual(await seenIn(writer.shard), before, `round ${round}, opened again`);
    await writer.upsert(range(COUNT, COUNT + 10), (id) => id + round, false);
  }
});

test('an undo waits for the writes before it, and those after it wait', async (t) => {
  const rig = await ShardRig.start(t);
  const writer = new Numbered(await rig.create());
  await writer.upsert([1, 2, 3], (id) => id, true);
  const { version: after } = writer;
  const doomed = [writer.upsert([4], () => 4, true), writer.remove([1])];
  const undone = writer.undo(after);
  const later = writer.upsert([5], () => 5, true);
  await Promise.all(doomed);
  assert.equal((await undone).points, 3);
  assert.equal((await later).points, 4);
  const wanted = { ids: range(1, 6), payload: { kind: 'none' as const }, withVector: false };
  const { body } = await writer.shard.reads.retrieve(wanted, inTime());
  assert.deepEqual(body.ids, [1, 2, 3, 5]);
});

test('what was kept of deleted points leaves the disk with the second purge', async (t) => {
  const rig = await ShardRig.start(t);
  const writer = new Numbered(await rig.create());
  await writer.upsert([1, 2, 3], (id) => id, true);
  await writer.remove([2]);
  const keeps = () => rig.registry.rows(SHARD)().keepsImages(writer.version);
  assert.equal(await writer.shard.undo.purge(), true);
  assert.equal(keeps(), true);
  assert.equal(await writer.shard.undo.purge(), false);
  assert.equal(keeps(), false);
  await assert.rejects(writer.undo(writer.version - 1), { code: 'conflict' });
});
