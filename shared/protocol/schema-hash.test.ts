import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalJson, schemaHash } from './schema-hash.ts';
import { PROTOCOL_VERSION } from './version.ts';

/**
 * What each version promised. When this test fails, a message, the hello or the frame has changed:
 * raise `PROTOCOL_VERSION`, describe the change in `version.ts`, and add a line here. Never change
 * the hash of a version that was released.
 */
const HASHES: Record<number, string> = {
  1: 'c14f5f0ec4b02ca83561401601f1db4ab7c563794637af44b434d19b3f00c84f',
  2: 'd69e04de1bcd260b8e54c04759581417b012e51c7e727914cec8268fee140454',
};

test('the schemas are those that the protocol version promises', () => {
  assert.equal(schemaHash(), HASHES[PROTOCOL_VERSION]);
});

test('the canonical form does not depend on the order of keys', () => {
  assert.equal(
    canonicalJson({ b: [1, { d: 1, c: 2 }], a: null }),
    '{"a":null,"b":[1,{"c":2,"d":1}]}',
  );
  assert.notEqual(canonicalJson({ a: [1, 2] }), canonicalJson({ a: [2, 1] }));
});
