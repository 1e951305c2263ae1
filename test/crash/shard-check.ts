/**
 * What has to be true of a worker's folder that a crash left, given what had begun and what had been
 * acknowledged by then. The folder is opened by the code that a worker opens it with.
 *
 *   rows       those after m writes of the plan, whole, with every acknowledged write among the m and
 *              none that had not begun
 *   index      holds what the rows hold; an image is there or not, and is never a wrong one
 *   home       files on the hot disk or on the cold one, and after the first request on the hot one only
 *   shards     all whose creation was acknowledged; none whose drop was
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { must } from '../../shared/base/assert.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { BuilderThread } from '../../worker/index/kernel/builder.ts';
import type { PointsStore } from '../../worker/points/points-store.ts';
import { openForReads } from '../../worker/points/schema.ts';
import type { ShardRegistry } from '../../worker/shard/registry.ts';
import type { Shard } from '../../worker/shard/shard.ts';
import { recordingLog } from '../harness/recording-log.ts';
import { request } from '../shard/shard-rig.ts';
import type { Said } from './cut-run.ts';
import type { Mark } from './marks.ts';
import {
  applyWrite,
  DIMENSION,
  type Points,
  type ShardPlan,
  type Stored,
  shardIdOf,
  vectorOf,
} from './shard-plan.ts';
import { coldDirOf, inTime, performWrite, registryOn, warmShard } from './shard-worker.ts';

interface ShardActions {
  create: number;
  drop: number;
  indexField: number;
  /** The numbers of its writes: the one at m - 1 makes version m. */
  writes: number[];
  /** What is stored at each version. */
  versions: Points[];
}

const NEVER = Number.POSITIVE_INFINITY;
const COMPLAINTS = new Set([
  'image_refused',
  'image_save_failed',
  'shard_damaged',
  'shard_failed',
  'shard_trapped',
]);
/** Not one of a plan. */
const NEW_ID = 1_000;

export class ShardCheck {
  readonly #shards: ShardActions[];
  readonly #parts: { store: PointsStore; builder: BuilderThread };

  constructor(plan: ShardPlan, parts: { store: PointsStore; builder: BuilderThread }) {
    this.#parts = parts;
    this.#shards = Array.from({ length: plan.shards }, (_, shard) => actionsOf(plan, shard));
  }

  /** Holds the versions that were acknowledged against the plan. */
  note(mark: Mark): void {
    if (!('acknowledged' in mark) || mark.version === undefined) return;
    const { acknowledged, version } = mark;
    const writes = this.#shards.map(({ writes }) => writes.indexOf(acknowledged));
    assert.equal(version, 1 + Math.max(...writes), 'writes take versions in the order of the plan');
  }

  /** `least` is what had been said at the last moment with this folder, `most` at the first. */
  async check(dataDir: string, least: Said, most: Said): Promise<void> {
    const { log, lines } = recordingLog();
    const registry = registryOn(dataDir, { ...this.#parts, log });
    await registry.start();
    const opened: Shard[] = [];
    for (const [number, actions] of this.#shards.entries()) {
      const isThere = this.#checkPresence(registry, number, least, most);
      const known = { dataDir, number, least, most };
      if (isThere) opened.push(await this.#checkShard(registry, actions, known));
    }
    await registry.close(Deadline.after(systemClock, 0));
    for (const shard of opened) {
      shard.close();
      await this.#parts.store.drop(shard.folder);
    }
    assert.deepEqual(
      lines.filter(({ event }) => COMPLAINTS.has(event)),
      [],
    );
  }

  #checkPresence(registry: ShardRegistry, number: number, least: Said, most: Said): boolean {
    const { create, drop } = must(this.#shards[number], 'the plan has it');
    const isThere = registry.has(shardIdOf(number));
    const mustBe = least.acknowledged.has(create) && drop >= most.began;
    const mayBe = create < most.began && !least.acknowledged.has(drop);
    assert.ok(isThere || !mustBe, `shard ${number}, whose creation was acknowledged, is there`);
    assert.ok(!isThere || mayBe, `shard ${number}, which is dropped or not made, is not there`);
    return isThere;
  }

  async #checkShard(
    registry: ShardRegistry,
    { writes, versions, indexField }: ShardActions,
    { dataDir, number, least, most }: { dataDir: string; number: number; least: Said; most: Said },
  ): Promise<Shard> {
    const shard = await warmShard(registry, shardIdOf(number));
    checkIntegrity(shard.folder);
    const cold = path.join(coldDirOf(dataDir), path.relative(dataDir, shard.folder));
    assert.equal(existsSync(cold), false, 'what is hot is not cold, too');
    const { version } = this.#parts.store.reader(shard.folder).stats();
    const from = 1 + writes.findLastIndex((action) => least.acknowledged.has(action));
    const to = writes.filter((action) => action < most.began).length;
    const between = `shard ${number} is at one of the versions ${from} to ${to}, not ${version}`;
    assert.ok(version >= from && version <= to, between);
    const points = must(versions[version], 'the plan knows each version');
    await checkPoints(shard, points);
    if (least.acknowledged.has(indexField)) {
      assert.deepEqual(shard.descriptor.payloadIndexes, { tag: 'integer' });
    }
    const write = { kind: 'upsert' as const, ids: [NEW_ID], round: version };
    const written = await performWrite(shard, write, version + 1);
    assert.equal(written.version, version + 1, 'it goes on');
    const more = new Map(points);
    applyWrite(more, write);
    await checkPoints(shard, more);
    return shard;
  }
}

function actionsOf({ steps }: ShardPlan, shard: number): ShardActions {
  const points = new Map<number, Stored>();
  const found = { create: NEVER, drop: NEVER, indexField: NEVER, writes: [], versions: [] };
  const actions: ShardActions = found;
  actions.versions.push(new Map());
  for (const [number, action] of steps.flat().entries()) {
    if (action.kind === 'restart' || action.shard !== shard) continue;
    if (action.kind === 'create') actions.create = number;
    if (action.kind === 'drop') actions.drop = number;
    if (action.kind === 'index-field') actions.indexField = Math.min(number, actions.indexField);
    if (action.kind !== 'write') continue;
    applyWrite(points, action.write);
    actions.writes.push(number);
    actions.versions.push(new Map(points));
  }
  return actions;
}

function checkIntegrity(folder: string): void {
  const db = openForReads(folder);
  try {
    assert.equal(db.pragma('integrity_check', { simple: true }), 'ok');
  } finally {
    db.close();
  }
}

/** Rows, counters and index against the model. */
export async function checkPoints(shard: Shard, points: Points): Promise<void> {
  const limit = points.size + 10;
  const expected = [...points.keys()].toSorted((a, b) => a - b);
  const view = { payload: { kind: 'all' as const }, withVector: true };
  const listed = await shard.reads.scroll({ ...view, limit }, inTime());
  assert.deepEqual(listed.body.records.ids, expected);
  for (const [i, id] of expected.entries()) {
    const { payload, vectorRound } = must(points.get(id), 'it is expected');
    const text = Buffer.from(listed.body.records.payloads?.[i] ?? []).toString();
    assert.deepEqual(JSON.parse(text), payload);
    const vector = listed.vectors.subarray(i * DIMENSION, (i + 1) * DIMENSION);
    assert.deepEqual(vector, vectorOf(id, vectorRound));
  }
  const used = await shard.usage();
  const payloads = [...points.values()].map(({ payload }) => JSON.stringify(payload).length);
  const bytes = payloads.reduce((sum, length) => sum + length, 4 * DIMENSION * points.size);
  assert.deepEqual([used.points, used.bytes], [points.size, bytes], 'the counters are right');
  for (const exact of [true, false]) {
    const searches = [request({ limit, exact, ...(!exact && { ef: 4 * limit }) })];
    const found = await shard.reads.query({ searches }, vectorOf(1, 1), inTime());
    const ids = found.body.results[0]?.records.ids as number[];
    assert.deepEqual(
      ids.toSorted((a, b) => a - b),
      expected,
      'the index holds what the rows hold',
    );
  }
}
