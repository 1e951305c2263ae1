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
  1: 'f9b7b86035475c7ab21dda0154cd345738654725af433f3fb8cfbb374ce58d51',
  2: 'e482cd21981458a596ad3faff939bf792cf38d62d202e9c6a3135c2b1396ef01',
  3: '40e6c4c5602cf52a0c548b1232fcb407f4e912fd2ce66aa76670bedd8bc89d0d',
  4: 'ef5de408ec001ff45e0a27817d9efddd6a61de7eec987dd850f5eb1519dc89e2',
  5: 'a218aaf1bd7b89ef8615f5aa79a13eaf19fe8d022167b6572a20e7cedb7a762d',
  6: 'f8b2dee4c8d68820efed5578143e35e42f0aa7dab437cf65858f9dc8a407fb2d',
  7: '9c1a7d683948eda891c653201cd88a070634836ba89118897929741c83c9a084',
  8: 'c24786790bda66a233cde6788dff9e7ea6bcc406db02e2ebdd2fdbcb17dbb7e7',
  9: 'edc183f114ee0ca1c8b489ba3c8939e797a14743dbb6ef32cf95a4edf135fd4d',
  10: '077a40e9e42961a6dec7421e5303e1c4070366dbb058fdfa6b51e4f927ef4431',
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
