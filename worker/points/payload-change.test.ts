import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../shared/domain/limits.ts';
import { type PayloadPath, parsePayloadPath } from '../../shared/domain/payload-path.ts';
import type { PayloadChange } from '../../shared/protocol/messages/payload-update.ts';
import { compilePayloadChange } from './payload-change.ts';

const bytes = (text: string) => Buffer.from(text);
const at = (text: string): PayloadPath => parsePayloadPath(text, 'key');

function change(stored: string | null, op: PayloadChange): string | null {
  const changed = compilePayloadChange(op)(stored === null ? null : bytes(stored));
  return changed === null ? null : Buffer.from(changed).toString();
}

const set = (payload: string, key?: string): PayloadChange => ({
  kind: 'set',
  payload: bytes(payload),
  ...(key !== undefined && { at: at(key) }),
});
const deleteKeys = (...keys: string[]): PayloadChange => ({
  kind: 'delete-keys',
  paths: keys.map(at),
});

test('set merges top-level keys, replaces nested objects and removes with null', () => {
  assert.equal(change('{"a":1,"b":{"c":2}}', set('{"b":{"d":3}}')), '{"a":1,"b":{"d":3}}');
  assert.equal(change('{"a":1,"b":2}', set('{"a":null}')), '{"b":2}');
  assert.equal(change(null, set('{"a":1}')), '{"a":1}');
});

test('set at a path merges inside the object there, making it when absent', () => {
  assert.equal(change('{"a":{"b":{"x":1}}}', set('{"y":2}', 'a.b')), '{"a":{"b":{"x":1,"y":2}}}');
  assert.equal(change('{}', set('{"y":2}', 'a.b')), '{"a":{"b":{"y":2}}}');
  assert.equal(change(null, set('{"y":2}', 'a')), '{"a":{"y":2}}');
  assert.equal(change('{"a":7}', set('{"y":2}', 'a')), '{"a":{"y":2}}');
  assert.equal(
    change('{"a":[{"b":1},{"b":2}]}', set('{"y":2}', 'a[]')),
    '{"a":[{"b":1,"y":2},{"b":2,"y":2}]}',
  );
  assert.equal(
    change('{"a":[{"b":1},{"b":2}]}', set('{"b":9}', 'a[1]')),
    '{"a":[{"b":1},{"b":9}]}',
  );
  assert.equal(change('{"a":[1]}', set('{"b":9}', 'a[4]')), '{"a":[1]}');
  assert.equal(change('{"a":5}', set('{"b":9}', 'a[]')), '{"a":[]}');
  assert.equal(
    change('{"constructor":1}', set('{"b":9}', 'toString')),
    '{"constructor":1,"toString":{"b":9}}',
  );
});

test('overwrite, clear and delete-keys', () => {
  assert.equal(change('{"a":1}', { kind: 'overwrite', payload: bytes('{"z":0}') }), '{"z":0}');
  assert.equal(change('{"a":1}', { kind: 'clear' }), null);
  assert.equal(change('{"a":1,"b":{"c":2,"d":3}}', deleteKeys('a', 'b.c')), '{"b":{"d":3}}');
  assert.equal(change('{"a":[1,2,3],"b":[1,2]}', deleteKeys('a[1]', 'b[]')), '{"a":[1,3],"b":[]}');
  assert.equal(
    change('{"a":[{"x":1,"y":2},{"x":3},4]}', deleteKeys('a[].x')),
    '{"a":[{"y":2},{},4]}',
  );
  assert.equal(change('{"a":[1]}', deleteKeys('a[5]', 'a.b', 'q.r', 'toString')), '{"a":[1]}');
  assert.equal(change(null, deleteKeys('a')), null);
});

test('long integers stay exact through a change', () => {
  assert.equal(
    change('{"id":18446744073709551615,"n":-9007199254740993}', set('{"m":9007199254740993}')),
    '{"id":18446744073709551615,"n":-9007199254740993,"m":9007199254740993}',
  );
});

test('what is no payload, grows too large or nests too deep is refused', () => {
  assert.throws(() => change('{}', set('[1]')), /JSON object/);
  assert.throws(() => change('{}', set('{"a":')), /not valid/);
  assert.throws(() => change('{}', set('{"__proto__":{}}')), /__proto__/);
  assert.throws(() => change('{}', { kind: 'overwrite', payload: bytes('7') }), /JSON object/);
  const half = 'x'.repeat(LIMITS.payloadBytesMax / 2);
  assert.throws(() => change(`{"a":"${half}"}`, set(`{"b":"${half}"}`)), /larger than/);
  const deep = Array.from({ length: LIMITS.jsonDepthMax }, () => 'a').join('.');
  assert.throws(() => change('{}', set('{"b":1}', deep)), /deeper/);
});
