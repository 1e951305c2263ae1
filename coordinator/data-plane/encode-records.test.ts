import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { Slices } from '../../shared/base/slices.ts';
import type { PointId } from '../../shared/domain/point.ts';
import type { Records } from '../../shared/protocol/schema.ts';
import { type Written, writeRecords, writeScoredPoints } from './encode-records.ts';
import { JsonWriter } from './json-writer.ts';

const textOf = (out: JsonWriter): string => Buffer.concat(out.finish()).toString();

async function encoded(write: (out: JsonWriter, slices: Slices) => Written) {
  const out = new JsonWriter();
  await write(out, new Slices(systemClock));
  return textOf(out);
}

const recordsOf = (ids: PointId[], more: Partial<Records> = {}): Records => ({
  ids,
  versions: ids.map(() => 7),
  vectors: false,
  ...more,
});

test('ids stay exact and payload bytes are spliced in unchanged', async () => {
  const payload = Buffer.from('{ "ü": 9007199254740993,\n"b":[]}');
  const records = recordsOf([18446744073709551615n, 0], { payloads: [payload, null] });
  const list = { records, vectors: new Float32Array() };
  const text = await encoded((out, slices) => writeRecords(out, list, slices));
  const expected = `[{"id":18446744073709551615,"payload":${payload}},{"id":0,"payload":{}}]`;
  assert.equal(text, expected);
});

test('scores are as short as float32 allows and never unreadable', async () => {
  const shown = async (score: number) => {
    const list = { records: recordsOf([1]), vectors: new Float32Array() };
    const scored = { list, scores: [score] };
    const text = await encoded((out, slices) => writeScoredPoints(out, scored, slices));
    return text.match(/"score":([^}]*)/)?.[1];
  };
  assert.equal(await shown(Math.fround(0.1)), '0.1');
  assert.equal(await shown(0.5), '0.5');
  assert.equal(await shown(-0), '0');
  assert.equal(await shown(30), '30');
  assert.equal(await shown(1e39), '1e+39');
  assert.equal(await shown(0.30000000000000004), '0.3');
  assert.equal(await shown(2 ** -149), '1.401298e-45');
});

test('components and scores read back as the same float32', async () => {
  const seed = 20_260_101;
  const random = new SeededRandom(seed);
  const bits = new Uint32Array(4_000).map(() => random.below(2 ** 32));
  const floats = new Float32Array(bits.buffer).map((x) => (Number.isFinite(x) ? x : 1));
  const records = recordsOf([1, 2], { vectors: true });
  const vectors = { records, vectors: floats };
  const text = await encoded((out, slices) => writeRecords(out, vectors, slices));
  const parsed = JSON.parse(text) as { vector: number[] }[];
  const read = new Float32Array(parsed.flatMap(({ vector }) => vector));
  assert.deepEqual(
    read,
    floats.map((x) => x + 0),
    `seed ${seed}`,
  );

  const ids = [...floats.keys()];
  const list = { records: recordsOf(ids), vectors: new Float32Array() };
  const hits = { list, scores: [...floats] };
  const scored = JSON.parse(await encoded((out, slices) => writeScoredPoints(out, hits, slices)));
  const scores = new Float32Array(scored.map(({ score }: { score: number }) => score));
  assert.deepEqual(
    scores,
    floats.map((x) => x + 0),
    `seed ${seed}`,
  );
});

test('the writer grows past its first buffer, also by large pieces', () => {
  const out = new JsonWriter();
  const large = Buffer.alloc(700_000, 'x');
  let expected = '';
  for (let i = 0; i < 1_000; i += 1) {
    out.ascii(`${i},`);
    expected += `${i},`;
  }
  for (let i = 0; i < 3; i += 1) out.bytes(large);
  out.value({ id: 2n ** 60n, text: 'ü' });
  out.floats(new Float32Array([0.5, -3]));
  expected += `${large}${large}${large}{"id":${2n ** 60n},"text":"ü"}[0.5,-3]`;
  assert.ok(textOf(out) === expected);
});

test('the largest scroll is written in slices', async () => {
  const ids = Array.from({ length: 2_000 }, (_, i) => i);
  const list = {
    records: recordsOf(ids, { vectors: true }),
    vectors: new Float32Array(ids.length * 1_024).map((_, i) => Math.sin(i)),
  };
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  const text = await encoded((out, slices) => writeRecords(out, list, slices));
  clearInterval(timer);
  assert.ok(turns >= 5, `${turns} turns of the event loop`);
  const read = JSON.parse(text) as { vector: number[] }[];
  assert.deepEqual(new Float32Array(read.at(-1)?.vector ?? []), list.vectors.slice(-1_024));
});
