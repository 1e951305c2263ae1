/**
 * Single bits of a shard's files change while it is closed: whoever asks hears the right answer or that
 * the shard is damaged, from then on, also after a restart; nothing ends the process, and no other shard
 * notices.
 */
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { must } from '../../shared/base/assert.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Records } from '../../shared/protocol/schema.ts';
import { createHandlers } from '../../worker/server/handlers.ts';
import { shardFolder } from '../../worker/shard/folder.ts';
import type { ShardRegistry } from '../../worker/shard/registry.ts';
import { cleanUp } from '../harness/cleanup.ts';
import { IS_LONG } from '../harness/profile.ts';
import { recordingLog } from '../harness/recording-log.ts';
import { takeSeed } from '../harness/seed.ts';
import { request } from '../shard/shard-rig.ts';
import { describePoints, describe as describeRows } from './ledger.ts';
import {
  applyWrite,
  DIMENSION,
  descriptorOf,
  filterOf,
  type Points,
  payloadOf,
  type Stored,
  shardIdOf,
  vectorOf,
  type Write,
} from './shard-plan.ts';
import { inTime, performWrite, registryOn, Threads } from './shard-worker.ts';
import { quickFolder } from './shim.ts';

const SHARD = 0;
const OTHER = 1;
const ROUNDS = IS_LONG ? 10_000 : 700;
const LOG_ROUNDS = IS_LONG ? 3_000 : 300;
const IDS = Array.from({ length: 60 }, (_, id) => id);
const NOTHING = new Float32Array();

interface Made {
  threads: Threads;
  /** A worker's folder with two shards, closed; and another one, to be damaged. */
  whole: string;
  dataDir: string;
  /** What is stored at each version. */
  versions: Points[];
}

/**
 * Rows of all lengths, some replaced and some deleted, so that every table has something in it. With
 * `folded` false everything is in the log still, as a process leaves it that dies.
 */
async function make(t: TestContext, { folded = true, indexed = true } = {}): Promise<Made> {
  const whole = join(quickFolder(t), 'data');
  // Closed as a whole, which folds the logs into the databases.
  const making = new Threads({ handlesMax: 8 });
  await making.start();
  const registry = registryOn(whole, { ...making, log: recordingLog().log });
  await registry.start();
  const points = new Map<number, Stored>();
  const versions: Points[] = [new Map()];
  const writes: Write[] = [
    { kind: 'upsert', ids: IDS, round: 0 },
    { kind: 'delete', ids: IDS.filter((id) => id % 5 === 0) },
    { kind: 'set-payload', ids: [1, 2, 3], round: 2 },
    { kind: 'vectors', ids: [4, 6], round: 3 },
    { kind: 'upsert', ids: [5, 7, 8], round: 4 },
  ];
  for (const shard of [SHARD, OTHER]) {
    await registry.create(descriptorOf(shard, indexed));
    const opened = await registry.shard(shardIdOf(shard));
    let version = 0;
    for (const write of writes) {
      version += 1;
      await performWrite(opened, write, version);
      if (shard !== SHARD) continue;
      applyWrite(points, write);
      versions.push(new Map(points));
    }
  }
  await registry.close(Deadline.after(systemClock, 30_000));
  // A connection that only reads, and is the last to close, does not fold the log.
  if (!folded) for (const at of [SHARD, OTHER]) await making.store.drop(folderOf(whole, at));
  await making.close();
  const threads = new Threads({ handlesMax: 8 });
  await threads.start();
  cleanUp(t, () => threads.close());
  const dataDir = join(quickFolder(t), 'data');
  cpSync(whole, dataDir, { recursive: true });
  return { threads, whole, dataDir, versions };
}

function folderOf(dataDir: string, shard: number): string {
  return shardFolder(dataDir, descriptorOf(shard).place);
}

function handlersOn(registry: ShardRegistry) {
  const unasked = async () => Promise.reject(new Error('nobody asks for the status'));
  return createHandlers(registry, systemClock, unasked);
}

/** What a client can ask and do, each with the right answer. */
class Client {
  readonly #handlers: ReturnType<typeof createHandlers>;
  readonly #versions: readonly Points[];
  readonly #lossMax: number;
  #points = new Map<number, Stored>();
  #version = 0;
  /** Versions that were missing at first. */
  lost = 0;

  /** `lossMax`: so many of the last versions may be missing. */
  constructor(registry: ShardRegistry, versions: readonly Points[], lossMax: number) {
    this.#handlers = handlersOn(registry);
    this.#versions = versions;
    this.#lossMax = lossMax;
  }

  /** To be asked first. */
  async open(): Promise<void> {
    const { body } = await this.#handlers['shard-usage'](shardIdOf(SHARD), {}, NOTHING, inTime());
    this.#version = body.version;
    this.lost = this.#versions.length - 1 - body.version;
    assert.ok(this.lost >= 0 && this.lost <= this.#lossMax, `${this.lost} versions are missing`);
    this.#points = new Map(this.#versions[body.version]);
  }

  get requests(): readonly (() => Promise<void>)[] {
    return [this.#usage, this.#scroll, this.#retrieve, this.#query, this.#count, this.#write];
  }

  readonly #usage = async () => {
    const { body } = await this.#handlers['shard-usage'](shardIdOf(SHARD), {}, NOTHING, inTime());
    assert.deepEqual([body.version, body.points], [this.#version, this.#points.size]);
  };

  readonly #scroll = async () => {
    const view = { payload: { kind: 'all' as const }, withVector: true, limit: 1_000 };
    const { body, vectors } = await this.#handlers['points-scroll'](
      shardIdOf(SHARD),
      view,
      NOTHING,
      inTime(),
    );
    assert.equal(describe(body.records, vectors), describePoints(this.#points));
  };

  readonly #retrieve = async () => {
    const view = { payload: { kind: 'all' as const }, withVector: true };
    const body = { ids: [...IDS, 700, 701, 900], ...view };
    const answer = await this.#handlers['points-retrieve'](
      shardIdOf(SHARD),
      body,
      NOTHING,
      inTime(),
    );
    assert.equal(describe(answer.body, answer.vectors), describePoints(this.#points));
  };

  readonly #query = async () => {
    for (const exact of [true, false]) {
      const searches = [request({ limit: 100, exact, ef: 200, payload: { kind: 'all' } })];
      const { body } = await this.#handlers['points-query'](
        shardIdOf(SHARD),
        { searches },
        vectorOf(1, 1),
        inTime(),
      );
      const { ids, payloads } = must(body.results[0], 'one search, one result').records;
      const found = ids.map((id, i) => [id, JSON.parse(String(payloads?.[i]))]);
      const expected = [...this.#points].map(([id, { payload }]) => [id, payload]);
      assert.deepEqual(found.toSorted(byId), expected.toSorted(byId));
    }
  };

  readonly #count = async () => {
    const body = { filter: filterOf(1), exact: true };
    const answer = await this.#handlers['points-count'](shardIdOf(SHARD), body, NOTHING, inTime());
    const expected = [...this.#points.values()].filter(({ payload }) => payload.tag === 1);
    assert.equal(answer.body.count, expected.length);
  };

  readonly #write = async () => {
    const write: Write = { kind: 'upsert', ids: [2, 10, 700, 701], round: 9 };
    const payloads = write.ids.map((id) => Buffer.from(JSON.stringify(payloadOf(id, 9))));
    const vectors = new Float32Array(write.ids.length * DIMENSION);
    for (const [i, id] of write.ids.entries()) vectors.set(vectorOf(id, 9), i * DIMENSION);
    this.#version += 1;
    const upsert = { version: this.#version, ids: write.ids, names: [''], payloads };
    await this.#handlers['points-upsert'](shardIdOf(SHARD), upsert, vectors, inTime());
    applyWrite(this.#points, write);
    this.#version += 1;
    const ids = [3, 4, 900];
    const points = { kind: 'ids' as const, ids };
    const remove = { version: this.#version, points };
    await this.#handlers['points-delete'](shardIdOf(SHARD), remove, NOTHING, inTime());
    applyWrite(this.#points, { kind: 'delete', ids });
    for (const ask of [this.#usage, this.#scroll, this.#query]) await ask();
  };
}

const byId = (a: unknown[], b: unknown[]) => Number(a[0]) - Number(b[0]);

function describe({ ids, payloads }: Records, vectors: Float32Array): string {
  return describeRows(
    ids.map((id, i) => {
      const payload = JSON.parse(Buffer.from(payloads?.[i] ?? []).toString());
      return { id: Number(id), payload, vector: vectors.slice(i * DIMENSION, (i + 1) * DIMENSION) };
    }),
  );
}

/** How a round ended: right in all, or damaged from one request on. */
async function live(
  registry: ShardRegistry,
  made: Made,
  { random, lossMax }: { random: SeededRandom; lossMax: number },
): Promise<string> {
  const client = new Client(registry, made.versions, lossMax);
  const drawn = client.requests.toSorted(() => random.next() - 0.5);
  const order = [() => client.open(), ...(IS_LONG ? drawn : drawn.slice(0, 2))];
  let damaged: string | undefined;
  for (const [i, ask] of order.entries()) {
    try {
      await ask();
      assert.equal(damaged, undefined, 'a damaged shard does not answer any more');
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      assert.equal(error.code, 'shard_damaged');
      damaged ??= i === 0 ? 'found at the first request' : 'found later';
    }
  }
  const isLoss = damaged === undefined && client.lost > 0;
  return damaged ?? (isLoss ? 'taken for torn' : 'harmless');
}

interface Round {
  number: number;
  random: SeededRandom;
  damage: (folder: string) => void;
  lossMax: number;
}

/** Puts the shard's files back, does something to them, and lives with what that comes to. */
async function oneRound(made: Made, { number, random, damage, lossMax }: Round): Promise<string> {
  const { dataDir, threads } = made;
  const folder = folderOf(dataDir, SHARD);
  const hasImage = random.below(2) === 0;
  rmSync(folder, { recursive: true });
  cpSync(folderOf(made.whole, SHARD), folder, { recursive: true });
  if (!hasImage) rmSync(join(folder, 'index.img'), { force: true });
  damage(folder);
  const { log, saw } = recordingLog();
  const registry = registryOn(dataDir, { ...threads, log });
  await registry.start();
  const ending = await live(registry, made, { random, lossMax });
  const isDamaged = ending.startsWith('found');
  assert.deepEqual(registry.damaged, isDamaged ? [shardIdOf(SHARD)] : []);
  assert.equal(saw('shard_damaged').length, isDamaged ? 1 : 0, 'it is logged once');
  if (number % 10 === 0) await registry.shard(shardIdOf(OTHER));
  await registry.close(Deadline.after(systemClock, 0));
  if (isDamaged) {
    const marked = readdirSync(join(dataDir, 'damaged'));
    assert.deepEqual(marked, [shardIdOf(SHARD)], 'it is remembered');
    rmSync(join(dataDir, 'damaged'), { recursive: true });
  }
  await threads.store.drop(folder);
  return ending;
}

function flipBit(file: string, random: SeededRandom): string {
  const bytes = readFileSync(file);
  const at = random.below(bytes.length);
  const bit = random.below(8);
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
  writeFileSync(file, bytes);
  return `bit ${bit} of byte ${at}`;
}

async function manyRounds(
  t: TestContext,
  {
    file,
    folded,
    lossMax,
    rounds,
  }: { file: string; folded: boolean; lossMax: number; rounds: number },
): Promise<void> {
  const seed = takeSeed(t, 20_270_103);
  const random = new SeededRandom(seed);
  const made = await make(t, { folded });
  const endings: Record<string, number> = {};
  for (let round = 0; round < rounds; round += 1) {
    let what = '';
    const damage = (folder: string) => {
      what = flipBit(join(folder, file), random);
    };
    try {
      const ending = await oneRound(made, { number: round, random, damage, lossMax });
      endings[ending] = 1 + (endings[ending] ?? 0);
    } catch (error) {
      throw new Error(`round ${round}, ${what}, seed ${seed}: ${error}`, { cause: error });
    }
  }
  t.diagnostic(JSON.stringify(endings));
}

test('a bit of points.db: the right answer, or shard_damaged', async (t) => {
  await manyRounds(t, { file: 'points.db', folded: true, lossMax: 0, rounds: ROUNDS });
});

test('a bit of its log: the same, but that the last transaction may pass for torn', async (t) => {
  await manyRounds(t, { file: 'points.db-wal', folded: false, lossMax: 1, rounds: LOG_ROUNDS });
});

/** Flips a bit in the text of one point's payload. */
function damagePayload(folder: string, id: number): void {
  const file = join(folder, 'points.db');
  const bytes = readFileSync(file);
  const at = bytes.indexOf(`{"id":${id},`);
  assert.ok(at > 0, 'the payload stands in the file as it came');
  bytes.writeUInt8(bytes.readUInt8(at + 2) ^ 4, at + 2);
  writeFileSync(file, bytes);
}

test('a damaged shard is mended with the ranges of another replica, and served again', async (t) => {
  const made = await make(t);
  damagePayload(folderOf(made.dataDir, SHARD), 7);
  const { log } = recordingLog();
  const registry = registryOn(made.dataDir, { ...made.threads, log });
  await registry.start();
  const handlers = handlersOn(registry);
  const client = new Client(registry, made.versions, 0);
  const refused = { code: 'shard_damaged' };
  await client.open();
  await assert.rejects(client.requests[1]?.() ?? Promise.resolve(), refused);
  for (const ask of client.requests) await assert.rejects(ask(), refused);

  const digests = [];
  for (const shard of [SHARD, OTHER]) {
    const compare = { range: {}, limit: 1_000, deep: true };
    const ask = handlers['range-digest'](shardIdOf(shard), compare, NOTHING, inTime());
    digests.push(Buffer.from((await ask).body.digest).toString('hex'));
  }
  assert.notEqual(digests[0], digests[1], 'damage is another digest');
  const read = handlers['range-read'](shardIdOf(OTHER), { range: {} }, NOTHING, inTime());
  const { body, vectors } = await read;
  const { page, version: lastVersion } = body;
  const mend = { range: {}, page, lastVersion, recount: true };
  await handlers['range-apply'](shardIdOf(SHARD), mend, vectors, inTime());
  assert.deepEqual(registry.damaged, []);
  const again = new Client(registry, made.versions, 0);
  await again.open();
  for (const ask of again.requests) await ask();
  await registry.close(inTime());
});

test('an operator may have a damaged shard served as it is, until the damage is met again', async (t) => {
  const made = await make(t, { indexed: false });
  damagePayload(folderOf(made.dataDir, SHARD), 7);
  const registry = registryOn(made.dataDir, { ...made.threads, log: recordingLog().log });
  await registry.start();
  const handlers = handlersOn(registry);
  const view = { payload: { kind: 'all' as const }, withVector: false };
  const ask = async (ids: number[]) => {
    const body = { ids, ...view };
    return (await handlers['points-retrieve'](shardIdOf(SHARD), body, NOTHING, inTime())).body.ids;
  };
  // Opened from its image, a shard meets its rows one by one.
  assert.deepEqual(await ask([1, 2]), [1, 2]);
  await assert.rejects(ask([6, 7]), { code: 'shard_damaged' });
  await assert.rejects(ask([1, 2]), { code: 'shard_damaged' });
  const release = () => handlers['shard-release'](shardIdOf(SHARD), {}, NOTHING, inTime());
  assert.deepEqual((await release()).body, { released: true });
  assert.deepEqual(await ask([1, 2]), [1, 2]);
  const payload = Buffer.from(JSON.stringify(payloadOf(7, 9)));
  const upsert = { version: 100, ids: [7], names: [''], payloads: [payload] };
  await handlers['points-upsert'](shardIdOf(SHARD), upsert, vectorOf(7, 9), inTime());
  assert.deepEqual(await ask([6, 7]), [6, 7], 'what was damaged has been replaced');
  assert.deepEqual((await release()).body, { released: false });
  await registry.close(inTime());
});
