import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parsePayloadPath } from './payload-path.ts';
import type { JsonObject } from './point.ts';
import { projectPayload, projectPayloadBytes } from './project-payload.ts';

const paths = (...texts: string[]) => texts.map((text) => parsePayloadPath(text, 'path'));
const include = (payload: JsonObject, ...texts: string[]) =>
  projectPayload(payload, 'include', paths(...texts));
const exclude = (payload: JsonObject, ...texts: string[]) =>
  projectPayload(payload, 'exclude', paths(...texts));

const PAYLOAD: JsonObject = {
  a: { b: { c: 1, d: 2 }, e: [{ f: 1, g: 2 }, { f: 3 }, 5] },
  list: [1, 2],
  name: 'x',
};

describe('include', () => {
  it('keeps what lies under a path and the way to it', () => {
    assert.deepEqual(include(PAYLOAD, 'name', 'a.b.c'), { a: { b: { c: 1 } }, name: 'x' });
    assert.deepEqual(include(PAYLOAD, 'a.b'), { a: { b: { c: 1, d: 2 } } });
    assert.deepEqual(include(PAYLOAD, 'list'), { list: [1, 2] });
  });

  it('goes through arrays only with []', () => {
    assert.deepEqual(include(PAYLOAD, 'a.e[].f'), { a: { e: [{ f: 1 }, { f: 3 }, 5] } });
    assert.deepEqual(include(PAYLOAD, 'a.e.f'), { a: { e: [] } });
    assert.deepEqual(include(PAYLOAD, 'list[0]'), { list: [] });
  });

  it('keeps nothing for paths that lead nowhere', () => {
    assert.deepEqual(include(PAYLOAD, 'zzz', 'a.zzz'), { a: {} });
    assert.deepEqual(include(PAYLOAD), {});
  });
});

describe('exclude', () => {
  it('drops what lies under a path', () => {
    assert.deepEqual(exclude(PAYLOAD, 'a', 'list'), { name: 'x' });
    assert.deepEqual(exclude(PAYLOAD, 'a.b.c', 'a.e', 'list[]'), {
      a: { b: { d: 2 } },
      list: [],
      name: 'x',
    });
  });

  it('goes through arrays only with []', () => {
    assert.deepEqual(exclude(PAYLOAD, 'a.e[].f', 'a.b'), {
      a: { e: [{ g: 2 }, {}, 5] },
      list: [1, 2],
      name: 'x',
    });
    assert.deepEqual(exclude(PAYLOAD, 'a.e.f', 'list[1]', 'name.x'), PAYLOAD);
    assert.deepEqual(exclude(PAYLOAD), PAYLOAD);
  });
});

describe('projectPayloadBytes', () => {
  const bytes = Buffer.from('{"id":18446744073709551615,"b":1}');

  it('passes bytes through unparsed where nothing is cut', () => {
    assert.equal(projectPayloadBytes(bytes, { kind: 'all' }), bytes);
    assert.equal(projectPayloadBytes(bytes, { kind: 'none' }), null);
    assert.equal(projectPayloadBytes(null, { kind: 'include', paths: paths('a') }), null);
  });

  it('keeps long integers exact', () => {
    const part = projectPayloadBytes(bytes, { kind: 'exclude', paths: paths('b') });
    assert.equal(String(part), '{"id":18446744073709551615}');
  });
});
