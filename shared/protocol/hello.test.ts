import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../domain/limits.ts';
import {
  type ProofParts,
  parseChallenge,
  parseHello,
  parseWelcome,
  proofMatches,
  proofOf,
} from './hello.ts';
import { ProtocolError } from './protocol-error.ts';

const PARTS: ProofParts = {
  coordinatorNonce: 'a'.repeat(64),
  workerNonce: 'b'.repeat(64),
  workerId: 'wk_aaaaaaaaaaaaaaaa',
  protocolVersion: 1,
  schemaHash: 'c'.repeat(64),
};
const HELLO = {
  protocolVersion: 1,
  schemaHash: PARTS.schemaHash,
  workerId: PARTS.workerId,
  nonce: PARTS.workerNonce,
  proof: 'd'.repeat(64),
};

test('a proof depends on the secret, the role and every part', () => {
  const proofs = [
    proofOf('worker', 'secret', PARTS),
    proofOf('coordinator', 'secret', PARTS),
    proofOf('worker', 'Secret', PARTS),
    proofOf('worker', 'secret', { ...PARTS, coordinatorNonce: PARTS.workerNonce }),
    proofOf('worker', 'secret', { ...PARTS, workerNonce: PARTS.coordinatorNonce }),
    proofOf('worker', 'secret', { ...PARTS, workerId: 'wk_aaaaaaaaaaaaaaab' }),
    proofOf('worker', 'secret', { ...PARTS, protocolVersion: 2 }),
    proofOf('worker', 'secret', { ...PARTS, schemaHash: 'd'.repeat(64) }),
    proofOf('worker', 'secret', { ...PARTS, epoch: 0 }),
    proofOf('worker', 'secret', { ...PARTS, epoch: 1 }),
  ];
  assert.equal(new Set(proofs).size, proofs.length);
});

test('parts can not be moved across their borders', () => {
  const moved = { ...PARTS, workerId: `${PARTS.workerId}1`, protocolVersion: 0 };
  const other = { ...PARTS, workerId: PARTS.workerId, protocolVersion: 10 };
  assert.notEqual(proofOf('worker', 's', moved), proofOf('worker', 's', other));
});

test('only the same proof matches', () => {
  const proof = proofOf('worker', 'secret', PARTS);
  assert(proofMatches(proof, proof));
  assert(!proofMatches(proof, proof.slice(1)));
  assert(!proofMatches(proof, ''));
  assert(!proofMatches(proof, proofOf('coordinator', 'secret', PARTS)));
});

test('well-formed messages are read', () => {
  assert.deepEqual(parseChallenge(JSON.stringify({ nonce: 'a'.repeat(64) })).nonce, 'a'.repeat(64));
  assert.deepEqual(parseHello(JSON.stringify(HELLO)), HELLO);
  const welcome = { epoch: 7, proof: 'e'.repeat(64) };
  assert.deepEqual(parseWelcome(JSON.stringify(welcome)), welcome);
});

test('anything else is a protocol error', () => {
  const refused = [
    '',
    'null',
    '[]',
    '{',
    '"x"',
    JSON.stringify({ ...HELLO, more: 1 }),
    JSON.stringify({ ...HELLO, nonce: 'a' }),
    JSON.stringify({ ...HELLO, nonce: 'A'.repeat(64) }),
    JSON.stringify({ ...HELLO, workerId: '../../etc' }),
    JSON.stringify({ ...HELLO, workerId: 'cl_aaaaaaaaaaaaaaaa' }),
    JSON.stringify({ ...HELLO, protocolVersion: '1' }),
    JSON.stringify({ ...HELLO, proof: undefined }),
    `{"__proto__":{},${JSON.stringify(HELLO).slice(1)}`,
    ' '.repeat(LIMITS.helloBytesMax + 1),
    '['.repeat(LIMITS.helloBytesMax),
  ];
  for (const text of refused) {
    assert.throws(() => parseHello(text), ProtocolError, text.slice(0, 40));
    assert.throws(() => parseChallenge(text), ProtocolError, text.slice(0, 40));
    assert.throws(() => parseWelcome(text), ProtocolError, text.slice(0, 40));
  }
});
