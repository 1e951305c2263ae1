/** One replica is levelled with another: by changes, by ranges, with writes beside it, after damage. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { SeededRandom } from '../../shared/base/random.ts';
import { type PointId, pointIdToKey, type Uuid } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { sealPage } from '../../shared/protocol/page.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { recordingLog } from '../../test/harness/recording-log.ts';
import { takeSeed } from '../../test/harness/seed.ts';
import { ReplicaPair, TARGET } from '../../test/shard/replica-pair.ts';
import {
  DIMENSION,
  inTime,
  nearest,
  ODD,
  range,
  request,
  ShardRig,
  untilLinked,
  vectorOf,
} from '../../test/shard/shard-rig.ts';
import type { PointRow } from '../points/points-reader.ts';
import { readChanges } from './feed.ts';
import type { Shard } from './shard.ts';

const IDS = 700;
const WHOLE = { payload: true, vector: true };

/** Integers and UUIDs by turns. */
function idOf(n: number): PointId {
  if (n % 3 !== 0) return n;
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}` as Uuid;
}

type Write = (shard: Shard, version: number) => Promise<unknown>;

function vectorsOf(random: SeededRandom, count: number): Float32Array {
  const vectors = new Float32Array(count * DIMENSION);
  for (let i = 0; i < count; i += 1) vectors.set(vectorOf(random.below(2 ** 30)), i * DIMENSION);
  return vectors;
}

function payloadOf(random: SeededRandom): Buffer {
  return Buffer.from(JSON.stringify({ odd: random.below(2) === 1, n: random.below(1_000) }));
}

/** A write that can be made on one shard, and on another of the same rows. */
function randomWrite(random: SeededRandom): Write {
  const size = 1 + random.below(random.below(4) === 0 ? 200 : 20);
  const ids = [...new Set(Array.from({ length: size }, () => idOf(random.below(IDS))))];
  const payload = payloadOf(random);
  const vectors = vectorsOf(random, ids.length);
  const isByFilter = random.below(20) === 0;
  const points = isByFilter
    ? ({ kind: 'filter', filter: ODD } as const)
    : ({ kind: 'ids', ids: ids.slice(0, 1) } as const);
  switch (random.below(6)) {
    case 0:
      return (shard, version) => shard.delete({ version, points: { kind: 'ids', ids } }, inTime());
    case 1: {
      const change = { kind: 'set', payload } as const;
      return (shard, version) => shard.updatePayload({ version, points, change }, inTime());
    }
    case 2: {
      const one = { ids: ids.slice(0, 1) };
      const vector = { '': vectors.slice(0, DIMENSION) };
      return (shard, version) => shard.updateVectors({ version, ...one }, vector);
    }
    default: {
      const payloads = ids.map(() => (random.below(9) === 0 ? null : payloadOf(random)));
      return (shard, version) => shard.upsert({ version, ids, payloads }, { '': vectors });
    }
  }
}

/** Writes on the source, numbered as a coordinator does; those that fail take no version. */
class Writer {
  readonly #pair: ReplicaPair;
  readonly #random: SeededRandom;
  version = 0;

  constructor(pair: ReplicaPair, random: SeededRandom) {
    this.#pair = pair;
    this.#random = random;
  }

  async write({ both }: { both: boolean }): Promise<void> {
    this.version += 1 + this.#random.below(3);
    const write = randomWrite(this.#random);
    const shards = [await this.#pair.source(), ...(both ? [await this.#pair.target()] : [])];
    for (const shard of shards) {
      await write(shard, this.version).catch((error: unknown) => {
        assert.match(String(error), /does not exist/);
      });
    }
  }
}

function rowsOf(rig: ShardRig, shard: Shard): PointRow[] {
  const reader = rig.store.reader(shard.folder);
  const rows: PointRow[] = [];
  for (;;) {
    const page = reader.range({ after: rows.at(-1)?.id }, 256, WHOLE);
    if (page.length === 0) return rows;
    rows.push(...page);
  }
}

const plain = (rows: PointRow[]) =>
  rows.map(({ id, version, payload, vector }) => [id, version, String(payload), [...vector]]);

/** Index, payload indexes, counts and searches of a shard say what its rows say. */
async function assertAgrees(rig: ShardRig, shard: Shard): Promise<void> {
  const rows = rowsOf(rig, shard);
  const isOdd = ({ payload }: PointRow) => payload !== null && JSON.parse(String(payload)).odd;
  const odd = rows.filter((row) => isOdd(row) === true).length;
  const status = shard.reads.status();
  assert.equal(status.points, rows.length);
  assert.equal(status.payloadIndexPoints.odd, rows.filter((row) => row.payload !== null).length);
  assert.equal((await shard.reads.count(ODD, true, inTime())).count, odd);
  for (const seed of [1, 2, 3]) {
    const query = vectorOf(seed);
    const score = ({ vector }: PointRow) =>
      vector.reduce((sum, x, i) => sum + x * (query[i] ?? 0), 0);
    for (const filter of [undefined, ODD]) {
      const matching = filter === undefined ? rows : rows.filter((row) => isOdd(row) === true);
      const best = matching.toSorted((a, b) => score(b) - score(a)).slice(0, 10);
      const more = { limit: 10, exact: true, ...(filter && { filter }) };
      assert.deepEqual(
        await nearest(shard, seed, more),
        best.map(({ id }) => id),
      );
    }
  }
  const searches = [request({ limit: 1, payload: { kind: 'all' } })];
  for (let at = 0; at < rows.length; at += 97) {
    const row = rows[at];
    if (row === undefined) break;
    const { body } = await shard.reads.query({ searches }, row.vector, inTime());
    const found = body.results[0]?.records;
    assert.equal(found?.ids[0], row.id);
    assert.equal(String(found?.payloads?.[0]), String(row.payload));
  }
}

async function assertLevel(rig: ShardRig, pair: ReplicaPair): Promise<void> {
  const [source, target] = [await pair.source(), await pair.target()];
  const [known, found] = await pair.usage();
  assert.deepEqual(found, known);
  assert.deepEqual(plain(rowsOf(rig, target)), plain(rowsOf(rig, source)));
  await assertAgrees(rig, source);
  await assertAgrees(rig, target);
}

async function start(t: TestContext, usualSeed: number) {
  const random = new SeededRandom(takeSeed(t, usualSeed));
  const recorded = recordingLog();
  const rig = await ShardRig.start(t, recorded.log);
  const pair = await ReplicaPair.make(rig, { odd: 'bool' });
  return { random, recorded, rig, pair, writer: new Writer(pair, random) };
}

test('a replica that missed writes is levelled while others come in', async (t) => {
  const { random, recorded, rig, pair, writer } = await start(t, 20_261_210);
  for (let round = 0; round < 5; round += 1) {
    for (let i = 0; i < 12; i += 1) await writer.write({ both: true });
    await assertLevel(rig, pair);
    const since = writer.version;
    for (let i = 0; i < 10 + random.below(40); i += 1) await writer.write({ both: false });
    let left = 6;
    const levelled = await pair.level(round === 0 ? 0 : since, async () => {
      left -= 1;
      if (left > 0) await writer.write({ both: false });
      // An image of a moment at which older rows are still to come.
      if (left === 3) await (await pair.target()).image.save();
    });
    assert.ok(levelled);
    await assertLevel(rig, pair);
    if (random.below(2) === 0) await untilLinked(await pair.target());
    await rig.close(round % 2 === 0);
    await rig.open();
    await assertLevel(rig, pair);
  }
  assert.deepEqual(recorded.saw('image_refused'), []);
  const fromImage = recorded.saw('shard_opened').filter(({ fields }) => fields.source === 'image');
  assert.ok(fromImage.length > 0, 'images were of use');
});

/** Changes rows as no write does: nothing is counted, and memory does not hear of it. */
function damage(random: SeededRandom, folder: string): void {
  const db = new Database(path.join(folder, 'points.db'));
  const labels = db.prepare<[], number>('SELECT label FROM points').pluck().all();
  const some = () => labels[random.below(labels.length)] ?? 0;
  for (let i = 0; i < 1 + random.below(8); i += 1) {
    const label = some();
    switch (random.below(4)) {
      case 0:
        db.prepare('UPDATE points SET payload = ? WHERE label = ?').run(payloadOf(random), label);
        break;
      case 1: {
        const vector = Buffer.from(vectorsOf(random, 1).buffer);
        db.prepare('UPDATE points SET vector = ? WHERE label = ?').run(vector, label);
        break;
      }
      case 2:
        db.prepare('UPDATE points SET version = version + 1 WHERE label = ?').run(label);
        break;
      default:
        db.prepare('DELETE FROM points WHERE label = ?').run(label);
    }
  }
  db.close();
}

test('whatever has become of a replica, ranges that differ are found and replaced', async (t) => {
  const { random, rig, pair, writer } = await start(t, 20_261_211);
  for (let i = 0; i < 60; i += 1) await writer.write({ both: true });
  for (let round = 0; round < 8; round += 1) {
    await assertLevel(rig, pair);
    assert.equal(await pair.repair(50, { deep: true }), 0, 'nothing differs');
    const { folder } = await pair.target();
    // Rows that only one of them has, too.
    for (let i = 0; i < random.below(4); i += 1) await writer.write({ both: false });
    damage(random, folder);
    if (round % 3 === 2) {
      await rig.close(round % 2 === 0);
      await rig.open();
    }
    const differing = await pair.repair(1 + random.below(100), { deep: true });
    assert.ok(differing > 0);
    await assertLevel(rig, pair);
    for (let i = 0; i < 3; i += 1) await writer.write({ both: true });
  }
  await rig.close(true);
  await rig.open();
  await assertLevel(rig, pair);
});

test('many rows that the source does not have leave in several commits', async (t) => {
  const { random, rig, pair, writer } = await start(t, 20_261_212);
  for (let i = 0; i < 20; i += 1) await writer.write({ both: true });
  const target = await pair.target();
  const ids = range(10_000, 12_345);
  const payloads = ids.map(() => null);
  const points = { version: writer.version + 1, ids, payloads };
  await target.upsert(points, { '': vectorsOf(random, ids.length) });
  assert.ok((await pair.repair(1_000, { deep: false })) > 0);
  const [known, found] = await pair.usage();
  assert.deepEqual({ ...found, version: 0 }, { ...known, version: 0 });
  assert.equal(found.version, points.version, 'a version never goes back');
  const nothing = { ids: [], versions: [], payloads: [], removedIds: [], removedVersions: [] };
  const page = sealPage(nothing, new Float32Array());
  const raised = { page, floor: 0, lastVersion: found.version };
  await (await pair.source()).levelling.applyChanges(raised, new Float32Array());
  await assertLevel(rig, pair);
  assert.equal(await pair.repair(1_000, { deep: true }), 0);
});

test('a page that is not as it was sealed changes nothing, nor one of other rows', async (t) => {
  const { rig, pair, writer } = await start(t, 20_261_213);
  for (let i = 0; i < 10; i += 1) await writer.write({ both: false });
  const { folder } = await pair.source();
  const read = readChanges({ since: 0, cursor: null }, rig.store.reader(folder));
  const { body, vectors } = read;
  const { page } = body;
  const target = await pair.target();
  const apply = (changed: Partial<typeof page>, floats = vectors) => {
    const request = { page: { ...page, ...changed }, floor: 0, lastVersion: 0 };
    return target.levelling.applyChanges(request, floats);
  };
  const refused = { code: 'invalid_argument' };
  await assert.rejects(apply({ versions: page.versions.map((version) => version + 1) }), refused);
  await assert.rejects(apply({ payloads: page.payloads.slice(1) }), refused);
  await assert.rejects(
    apply(
      {},
      vectors.map((x) => -x),
    ),
    refused,
  );
  const other = sealPage({ ...page, ids: page.ids.slice(1) }, vectors);
  await assert.rejects(apply(other), refused, 'sealed, but its lists do not belong together');
  const first = page.ids.toSorted((a, b) => Buffer.compare(pointIdToKey(a), pointIdToKey(b)))[0];
  assert.ok(first !== undefined);
  const outside = { range: { until: first }, page, lastVersion: 0, recount: false };
  await assert.rejects(target.levelling.applyRange(outside, vectors), refused);
  assert.equal((await rig.registry.usage(TARGET)).points, 0);
  await apply({});
  const once = await rig.registry.usage(TARGET);
  await apply({});
  assert.deepEqual(await rig.registry.usage(TARGET), once, 'once more is no change');
});

test('a closed shard is read and compared without being opened', async (t) => {
  const { recorded, rig, pair, writer } = await start(t, 20_261_214);
  for (let i = 0; i < 10; i += 1) await writer.write({ both: true });
  await rig.close(true);
  await rig.open();
  recorded.lines.length = 0;
  const reader = rig.registry.rows(TARGET);
  assert.ok(readChanges({ since: 0, cursor: null }, reader()).body.page.ids.length > 0);
  assert.deepEqual(recorded.saw('shard_opened'), []);
  await pair.repair(100, { deep: true });
  await rig.registry.drop(TARGET, (await pair.target()).descriptor.place);
  assert.throws(() => reader(), { code: 'unavailable' });
});

/** A page with one row under its old version: nothing but the levelling says that it has changed. */
function changedInPlace(random: SeededRandom, rig: ShardRig, target: Shard) {
  const rows = rowsOf(rig, target);
  const row = rows[random.below(rows.length)];
  assert.ok(row !== undefined);
  const vectors = vectorsOf(random, 1);
  const lists = { ids: [row.id], versions: [row.version], payloads: [Buffer.from('{"odd":true}')] };
  const page = sealPage({ ...lists, removedIds: [], removedVersions: [] }, vectors);
  const apply = () => target.levelling.applyChanges({ page, floor: 0, lastVersion: 0 }, vectors);
  return { row, vectors, apply };
}

test('an image that lacks rows with old versions is brought level when it is opened', async (t) => {
  const { random, recorded, rig, pair, writer } = await start(t, 20_261_217);
  for (let i = 0; i < 60; i += 1) await writer.write({ both: true });
  for (let round = 0; round < 3; round += 1) {
    const target = await pair.target();
    await untilLinked(target);
    await target.image.save();
    const { apply } = changedInPlace(random, rig, target);
    await apply();
    // One that is in the image, and one that came after it.
    if (round > 0) await target.image.save();
    if (round > 1) await changedInPlace(random, rig, target).apply();
    await rig.close(false);
    await rig.open();
    recorded.lines.length = 0;
    await assertAgrees(rig, await pair.target());
    const [opened] = recorded.saw('shard_opened');
    assert.equal(opened?.fields.source, 'image');
    const replayed = Number(opened?.fields.replayed);
    assert.ok(round === 1 ? replayed === 0 : replayed > 0, `round ${round}: ${replayed} replayed`);
  }
});

test('an image is of an older state after a levelling, and none is saved of no state', async (t) => {
  const { random, rig, pair, writer } = await start(t, 20_261_218);
  for (let i = 0; i < 60; i += 1) await writer.write({ both: true });
  const target = await pair.target();
  await untilLinked(target);
  await target.image.save();
  assert.equal(target.image.behind, false);
  await changedInPlace(random, rig, target).apply();
  assert.equal(target.image.behind, true, 'though its version is the same');
  const image = path.join(target.folder, 'index.img');
  const before = (await stat(image)).ino;
  const { store } = rig;
  const write = store.write.bind(store);
  const saved = Promise.withResolvers<void>();
  cleanUp(t, () => saved.resolve());
  store.write = async (folder, op) => {
    const outcome = await write(folder, op);
    await saved.promise;
    return outcome;
  };
  const [row] = rowsOf(rig, target);
  const vectors = vectorsOf(random, 1);
  const lists = { ids: [row?.id ?? 0], versions: [1], payloads: [null] };
  const page = sealPage({ ...lists, removedIds: [], removedVersions: [] }, vectors);
  const levelling = target.levelling.applyChanges({ page, floor: 0, lastVersion: 0 }, vectors);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(target.image.due, false);
  await target.image.save();
  assert.equal((await stat(image)).ino, before, 'it would have to say that nothing is in it');
  saved.resolve();
  await levelling;
  await target.image.save();
  assert.notEqual((await stat(image)).ino, before);
});

test('a levelling that fails has ended', async (t) => {
  const { random, rig, pair, writer } = await start(t, 20_261_219);
  for (let i = 0; i < 60; i += 1) await writer.write({ both: true });
  const target = await pair.target();
  await untilLinked(target);
  const { store } = rig;
  const write = store.write.bind(store);
  store.write = () => Promise.reject(new AppError('insufficient_storage'));
  const { apply } = changedInPlace(random, rig, target);
  await assert.rejects(apply(), { code: 'insufficient_storage' });
  store.write = write;
  await target.image.save();
  assert.equal(target.image.behind, false, 'it may say all that memory has');
});

test('searches while rows with old versions come in show them as they are', async (t) => {
  const { random, rig, pair, writer } = await start(t, 20_261_215);
  for (let i = 0; i < 40; i += 1) await writer.write({ both: true });
  const target = await pair.target();
  const { store } = rig;
  const write = store.write.bind(store);
  const [committed, applied] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  cleanUp(t, () => applied.resolve());
  t.mock.method(store, 'write', async (...args: Parameters<typeof write>) => {
    const outcome = await write(...args);
    committed.resolve();
    await applied.promise;
    return outcome;
  });
  const { row, vectors, apply } = changedInPlace(random, rig, target);
  const levelling = apply();
  await committed.promise;
  const scores = async () => {
    const searches = [request({ limit: IDS, exact: true })];
    const { body } = await target.reads.query({ searches }, vectors, inTime());
    const found = body.results[0];
    return found?.scores[found.records.ids.indexOf(row.id)] ?? 0;
  };
  assert.ok((await scores()) > 0.999, 'committed, and scored by its own vector');
  applied.resolve();
  await levelling;
  assert.ok((await scores()) > 0.999);
  await assertAgrees(rig, target);
});

test('a page whose answer was lost is caught up with', async (t) => {
  const { random, rig, pair, writer } = await start(t, 20_261_216);
  for (let i = 0; i < 30; i += 1) await writer.write({ both: true });
  for (let i = 0; i < 5; i += 1) await writer.write({ both: false });
  const { store } = rig;
  const write = store.write.bind(store);
  let lost = 0;
  store.write = async (folder, op) => {
    const outcome = await write(folder, op);
    if (op.kind !== 'level' || lost === 1) return outcome;
    lost += 1;
    throw new Error('lost');
  };
  const target = await pair.target();
  await assert.rejects(changedInPlace(random, rig, target).apply(), /lost/);
  await target.idle();
  await assertAgrees(rig, target);
  assert.ok(await pair.level(0, async () => undefined));
  await assertLevel(rig, pair);
});
