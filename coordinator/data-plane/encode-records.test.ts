import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import type { PointId } from '../../shared/domain/point.ts';
import type { Records } from '../../shared/protocol/schema.ts';
import { writeRecords, writeScoredPoints } from './encode-records.ts';
import { JsonWriter } from './json-writer.ts';

function encoded(write: (out: JsonWriter) => void): string {
  const out = new JsonWriter();
  write(out);
  return out.finish().toString();
}

const recordsOf = (ids: PointId[], more: Partial<Records> = {}): Records => ({
  ids,
  versions: ids.map(() => 7),
  vectors: false,
  ...more,
});

test('ids stay exact and payload bytes are spliced in unchanged', () => {
  const payload = Buffer.from('{ "ü": 9007199254740993,\n"b":[]}');
  const records = recordsOf([18446744073709551615n, 0], { payloads: [payload, null] });
  const text = encoded((out) => writeRecords(out, { records, vectors: new Float32Array() }));
  const expected = `[{"id":18446744073709551615,"payload":${payload}},{"id":0,"payload":{}}]`;
  assert.equal(text, expected);
});

test('scores are as short as float32 allows and never unreadable', () => {
  const shown = (score: number) => {
    const list = { records: recordsOf([1]), vectors: new Float32Array() };
    return encoded((out) => writeScoredPoints(out, list, [score])).match(/"score":([^}]*)/)?.[1];
  };
  assert.equal(shown(Math.fround(0.1)), '0.1');
  assert.equal(shown(0.5), '0.5');
  assert.equal(shown(-0), '0');
  assert.equal(shown(30), '30');
  assert.equal(shown(1e39), '1e+39');
  assert.equal(shown(0.30000000000000004), '0.3');
  assert.equal(shown(2 ** -149), '1.401298e-45');
});

test('components and scores read back as the same float32', () => {
  const seed = 20_260_101;
  const random = new SeededRandom(seed);
  const bits = new Uint32Array(4_000).map(() => random.below(2 ** 32));
  const floats = new Float32Array(bits.buffer).map((x) => (Number.isFinite(x) ? x : 1));
  const records = recordsOf([1, 2], { vectors: true });
  const text = encoded((out) => writeRecords(out, { records, vectors: floats }));
  const parsed = JSON.parse(text) as { vector: number[] }[];
  const read = new Float32Array(parsed.flatMap(({ vector }) => vector));
  assert.deepEqual(
    read,
    floats.map((x) => x + 0),
    `seed ${seed}`,
  );

  const ids = [...floats.keys()];
  const list = { records: recordsOf(ids), vectors: new Float32Array() };
  const scored = JSON.parse(encoded((out) => writeScoredPoints(out, list, [...floats])));
  const scores = new Float32Array(scored.map(({ score }: { score: number }) => score));
  assert.deepEqual(
    scores,
    floats.map((x) => x + 0),
    `seed ${seed}`,
  );
});

test('the writer grows past its first buffer, also by one large piece', () => {
  const out = new JsonWriter();
  const large = Buffer.alloc(100_000, 'x');
  let expected = '';
  for (let i = 0; i < 1_000; i += 1) {
    out.ascii(`${i},`);
    expected += `${i},`;
  }
  out.bytes(large);
  out.value({ id: 2n ** 60n, text: 'ü' });
  assert.equal(out.finish().toString(), `${expected}${large}{"id":${2n ** 60n},"text":"ü"}`);
});
