/** What a damaged image does to a shard: nothing but a slower opening. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { recordingLog } from '../../test/harness/recording-log.ts';
import { takeSeed } from '../../test/harness/seed.ts';
import {
  descriptor,
  INDEX_OPTIONS,
  inTime,
  range,
  request,
  ShardRig,
  untilLinked,
  upsert,
  vectorOf,
} from '../../test/shard/shard-rig.ts';
import { FIXED_HEADER_BYTES, IMAGE_FILE } from '../image/image.ts';
import { openShard } from './open.ts';
import type { Shard } from './shard.ts';

const ROUNDS = 1_000;
const POINTS = 250;
const { vector } = descriptor().config;
const KERNEL = { m: 8, efConstruct: 60, engine: 'kernel' as const };

/** Ids and scores, by the graph where there is one and by a scan. */
async function answersOf(shard: Shard) {
  const searches = [request({ limit: 10 }), request({ limit: 10, exact: true })];
  const vectors = [...vectorOf(7), ...vectorOf(POINTS + 7)];
  const { body } = await shard.reads.query({ searches }, Float32Array.from(vectors), inTime());
  return body.results.map(({ scores, records }) => ({ ids: records.ids, scores }));
}

/** Half of the flips go to what is read before the checksum is known, and so do half of the cuts. */
function damage(whole: Buffer, random: SeededRandom): { bad: Buffer; what: string } {
  const reach = random.below(2) === 0 ? 2 * FIXED_HEADER_BYTES : whole.length;
  const at = random.below(reach);
  if (random.below(4) === 0) return { bad: whole.subarray(0, at), what: `cut at ${at}` };
  const bit = random.below(8);
  const bad = Buffer.from(whole);
  bad.writeUInt8(bad.readUInt8(at) ^ (1 << bit), at);
  return { bad, what: `bit ${bit} of byte ${at}` };
}

test('each of 1,000 damaged images is refused and the shard read from its rows', async (t) => {
  const seed = takeSeed(t, 20_261_126);
  const random = new SeededRandom(seed);
  const { log, lines } = recordingLog();
  const rig = await ShardRig.start(t, log);
  const described = descriptor({ config: { vector, hnsw: KERNEL } });
  const made = await rig.create({ config: described.config });
  const { folder } = made;
  await upsert(made, range(0, POINTS));
  await untilLinked(made);
  const before = await answersOf(made);
  await rig.restart(true);
  const image = path.join(folder, IMAGE_FILE);
  const whole = await readFile(image);
  const deps = {
    ...{ store: rig.store, clock: systemClock, log, indexOptions: INDEX_OPTIONS },
    wake: () => undefined,
  };
  /** Opens the shard; what it logged. */
  const open = async (what: string) => {
    lines.length = 0;
    const shard = await openShard(folder, described, deps);
    assert.deepEqual(await answersOf(shard), before, what);
    shard.close();
    return lines.map(({ event, fields }) => [event, fields.source ?? fields.reason]);
  };
  assert.deepEqual(await open('undamaged'), [['shard_opened', 'image']]);
  const reasons: Record<string, number> = {};
  for (let round = 0; round < ROUNDS; round += 1) {
    const { bad, what } = damage(whole, random);
    await writeFile(image, bad);
    const [refused, rebuilt, opened] = await open(`${what}, seed ${seed}`);
    assert.equal(refused?.[0], 'image_refused', what);
    assert.equal(rebuilt?.[0], 'shard_rebuilt', what);
    assert.deepEqual(opened, ['shard_opened', 'rows'], what);
    const reason = String(refused?.[1]);
    reasons[reason] = (reasons[reason] ?? 0) + 1;
  }
  t.diagnostic(JSON.stringify(reasons));
  await writeFile(image, whole);
  assert.deepEqual(await open('put back'), [['shard_opened', 'image']]);
});
