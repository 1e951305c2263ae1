/** Every edit of an archive, cut, addition or swap is found with the public key alone. */
import assert from 'node:assert/strict';
import { createHash, createPublicKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { auditKeyOf, auditSeedOf } from './audit-chain.ts';
import { censusSeedOf, readSeal, SEAL_BYTES, sealFrame, sealProblem } from './census-seal.ts';
import { digestSealedFile } from './sealed-file.ts';

const KEY = auditKeyOf(censusSeedOf('pepper'.repeat(8)));
const PUBLIC = createPublicKey(KEY);
const LINES = '{"census":"2026-11-27"}\n{"end":{}}\n';

function archiveOf(day: string, key = KEY, lines = LINES): Buffer {
  const content = zstdCompressSync(Buffer.from(lines));
  const sha256 = createHash('sha256').update(content).digest('hex');
  const seal = {
    at: `${day}T00:00:09.000Z`,
    day,
    file: `${day}.jsonl.zst`,
    kind: 'scheduled',
  } as const;
  return Buffer.concat([content, sealFrame({ ...seal, sha256 }, key)]);
}

function problemOf(bytes: Buffer, file: string): string | undefined {
  const at = Math.max(0, bytes.length - SEAL_BYTES);
  const sha256 = createHash('sha256').update(bytes.subarray(0, at)).digest('hex');
  return sealProblem({ frame: bytes.subarray(at), sha256, file }, PUBLIC);
}

const DAY = '2026-11-27';
const FILE = `${DAY}.jsonl.zst`;
const GOOD = archiveOf(DAY);

test('what was sealed is good, says what it is, and any zstd reads it', () => {
  assert.equal(problemOf(GOOD, FILE), undefined);
  assert.equal(readSeal(GOOD.subarray(-SEAL_BYTES))?.day, DAY);
  assert.equal(zstdDecompressSync(GOOD).toString(), LINES);
});

test('no byte can be changed, taken away or added', () => {
  for (let at = 0; at < GOOD.length; at += 1) {
    for (const bit of [1, 0x20, 0x80]) {
      const edited = Buffer.from(GOOD);
      edited[at] = (edited[at] ?? 0) ^ bit;
      assert.notEqual(problemOf(edited, FILE), undefined, `byte ${at}, bit ${bit}`);
    }
    assert.notEqual(problemOf(GOOD.subarray(0, at), FILE), undefined, `cut to ${at} bytes`);
    assert.notEqual(problemOf(GOOD.subarray(GOOD.length - at), FILE), undefined, `from there on`);
    const inserted = Buffer.concat([GOOD.subarray(0, at), Buffer.of(0x20), GOOD.subarray(at)]);
    assert.notEqual(problemOf(inserted, FILE), undefined, `one more at ${at}`);
  }
  assert.notEqual(problemOf(Buffer.concat([GOOD, Buffer.of(0x20)]), FILE), undefined);
});

test('an archive does not pass for that of another day, nor one seal for another content', () => {
  const next = archiveOf('2026-11-28');
  assert.match(problemOf(next, FILE) ?? '', /sealed as 2026-11-28.jsonl.zst/);
  const swapped = Buffer.concat([GOOD.subarray(0, -SEAL_BYTES), next.subarray(-SEAL_BYTES)]);
  assert.equal(swapped.equals(next), true, 'the content of both is the same');
  const other = archiveOf(DAY, KEY, LINES.replace('end', 'END'));
  const mixed = Buffer.concat([other.subarray(0, -SEAL_BYTES), GOOD.subarray(-SEAL_BYTES)]);
  assert.match(problemOf(mixed, FILE) ?? '', /content is not what was sealed/);
});

test('another key is not the one, that of audit chains neither', () => {
  const foreign = archiveOf(DAY, auditKeyOf(Buffer.alloc(32, 9)));
  assert.match(problemOf(foreign, FILE) ?? '', /not that of the key/);
  const audit = archiveOf(DAY, auditKeyOf(auditSeedOf('pepper'.repeat(8))));
  assert.match(problemOf(audit, FILE) ?? '', /not that of the key/);
});

test('a file is read for its seal, whatever its length', async (t) => {
  const file = join(temporaryFolder(t), FILE);
  for (const bytes of [GOOD, Buffer.alloc(0), GOOD.subarray(0, 100)]) {
    writeFileSync(file, bytes);
    const { sha256, content, frame } = await digestSealedFile(file);
    assert.equal(sha256, createHash('sha256').update(bytes).digest('hex'));
    const problem = sealProblem({ frame, sha256: content, file: FILE }, PUBLIC);
    assert.equal(problem === undefined, bytes === GOOD);
  }
});
