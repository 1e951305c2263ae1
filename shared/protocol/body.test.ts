import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Packr, pack } from 'msgpackr';
import { InvalidInput } from '../base/invalid.ts';
import { SeededRandom } from '../base/random.ts';
import type { Filter } from '../domain/filter.ts';
import { LIMITS } from '../domain/limits.ts';
import { AppError } from '../errors/app-error.ts';
import { decodeReply, decodeRequest, encodeBody, messageName } from './body.ts';
import { decodeFailure, encodeFailure } from './failure.ts';
import { MESSAGES, type Request } from './messages.ts';
import { ProtocolError } from './protocol-error.ts';

const NOTHING = { kind: 'none' } as const;

function roundTrip(filter: Filter): Filter | undefined {
  const body = { filter, exact: true };
  return decodeRequest('points-count', encodeBody(body)).filter;
}

function emptyFilter(): Filter {
  return { must: [], should: [], mustNot: [] };
}

test('ids stay exact: small, beyond 2^32, beyond 2^53, up to 2^64 - 1, and UUIDs', () => {
  const ids = [0, 127, 128, 2 ** 32 + 1, 2 ** 53 - 1, 2n ** 53n, 2n ** 64n - 1n, 'a-b'];
  const body = { ids, payload: NOTHING, withVector: false } as Request<'points-retrieve'>;
  assert.deepEqual(decodeRequest('points-retrieve', encodeBody(body)), body);
});

test('numbers, texts and signs of a filter stay exact', () => {
  const values = [
    -(2n ** 63n),
    -(2n ** 53n),
    -1,
    -129,
    1.5,
    -0.1,
    true,
    '',
    'é'.repeat(300),
    'x'.repeat(70_000),
  ];
  const filter = emptyFilter();
  filter.must.push({ kind: 'match-any', path: ['a', true, 0], values });
  assert.deepEqual(roundTrip(filter), filter);
});

test('byte strings come back as bytes', () => {
  const payloads = [Buffer.from('{"a":1}'), null, Buffer.alloc(300, 32), Buffer.alloc(70_000, 32)];
  const body = { version: 1, ids: [1, 2, 3, 4], names: [''], payloads };
  assert.deepEqual(decodeRequest('points-upsert', encodeBody(body)), body);
});

test("an integer beyond 64 bits is the caller's mistake", () => {
  const filter = emptyFilter();
  filter.must.push({ kind: 'match-any', path: ['a'], values: [2n ** 64n] });
  assert.throws(() => roundTrip(filter), InvalidInput);
});

test('the deepest legal filter passes, endless nesting does not', () => {
  let filter = emptyFilter();
  filter.must.push({ kind: 'match-any', path: ['a', true], values: ['x'] });
  for (let i = 1; i < LIMITS.filterDepthMax; i += 1) {
    const conditions = [{ kind: 'group', filter } as const];
    filter = { ...emptyFilter(), minShould: { conditions, minCount: 1 } };
  }
  const search = { target: NOTHING, filter, limit: 1, offset: 0, exact: false, payload: NOTHING };
  const body = { searches: [{ ...search, withVector: false }] };
  assert.deepEqual(decodeRequest('points-query', encodeBody(body)), body);
  assert.throws(
    () => decodeRequest('points-query', Buffer.alloc(1_000_000, 0x91)),
    /nested too deeply/,
  );
});

test('extensions, unknown keys and wrong types are refused', () => {
  const rich = new Packr({ useRecords: false, moreTypes: true, structuredClone: true });
  const refused: Uint8Array[] = [
    rich.pack({ exact: /(a+)+b/ }),
    rich.pack({ exact: new Date(0) }),
    rich.pack({ exact: new Set([1]) }),
    rich.pack({ exact: new Error('x') }),
    rich.pack({ exact: Float32Array.of(1) }),
    pack({ exact: true, filter: undefined }),
    pack({ exact: 1 }),
    pack({}),
    pack({ exact: true, more: 1 }),
    pack([]),
    pack(null),
    Buffer.concat([pack({ exact: true }), Buffer.of(0xc0)]),
    pack({ exact: true }).subarray(0, 5),
    Buffer.of(0x81, 0x01, 0x02),
    Buffer.of(0xc1),
    Buffer.of(),
    // lengths far beyond the bytes: must fail before anything of that size is made
    Buffer.of(0xdd, 0xff, 0xff, 0xff, 0xff),
    Buffer.of(0xdf, 0xff, 0xff, 0xff, 0xff),
    Buffer.of(0xc6, 0xff, 0xff, 0xff, 0xff),
    Buffer.of(0xdb, 0xff, 0xff, 0xff, 0xff),
  ];
  for (const [i, structure] of refused.entries()) {
    assert.throws(() => decodeRequest('points-count', structure), ProtocolError, `case ${i}`);
  }
});

test('random bodies of a schema survive, random bytes never do harm', () => {
  const seed = (process.pid * 40_503) >>> 0;
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 300; round += 1) {
    const count = random.below(40);
    const body = {
      results: [
        {
          scores: Array.from({ length: count }, () => random.normal()),
          records: {
            ids: Array.from({ length: count }, () => BigInt(random.below(2 ** 32)) + 2n ** 60n),
            versions: Array.from({ length: count }, () => random.below(2 ** 52)),
            vectors: false,
          },
        },
      ],
    };
    const structure = Buffer.from(encodeBody(body));
    assert.deepEqual(decodeReply('points-query', structure), body);
    for (let i = 0; i < 40; i += 1) {
      structure[random.below(structure.byteLength)] = random.below(256);
      try {
        decodeReply('points-query', structure);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }
  }
});

test('each message has a number of its own', () => {
  for (const [name, { number }] of Object.entries(MESSAGES))
    assert.equal(messageName(number), name);
  assert.equal(messageName(0), undefined);
});

test('a failure keeps code and public text, and no detail', () => {
  const error = new AppError('point_not_found', 'no point 7', { detail: 'secret' });
  const structure = encodeFailure(error);
  assert(!Buffer.from(structure).includes('secret'));
  const read = decodeFailure(structure);
  assert.deepEqual(
    [read.code, read.message, read.detail],
    ['point_not_found', 'no point 7', undefined],
  );
  assert.equal(
    decodeFailure(encodeFailure(new AppError('internal', 'x'.repeat(9_999)))).message.length,
    4_096,
  );
  assert.throws(() => decodeFailure(pack({ code: 'toString', message: '' })), ProtocolError);
});
