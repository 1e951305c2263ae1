import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import { quietLog } from '../../shared/log/log.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { PointsStore } from './points-store.ts';
import { createPointsDb, POINTS_FILE } from './schema.ts';
import { ShardWriter } from './shard-writer.ts';

const DIMENSION = 256;
const POINTS = 3_000;

/** A database of some 4 MB. */
function makeLarge(folder: string): void {
  createPointsDb(folder, { shardId: path.basename(folder) as ShardId, dimension: DIMENSION });
  const writer = new ShardWriter(folder, { diskReserveBytes: 0 });
  const ids = Array.from({ length: POINTS }, (_, id) => id);
  const vectors = new Float32Array(POINTS * DIMENSION).fill(1);
  writer.commit([{ kind: 'upsert', version: 1, ids, vectors, payloads: ids.map(() => null) }]);
  writer.close();
}

/** Changes an id in the index of ids, so that nobody finds the point by it. */
function damageIndex(folder: string): void {
  const file = path.join(folder, POINTS_FILE);
  const db = new Database(file);
  const leaf = db
    .prepare<[], number>(
      `SELECT pageno FROM dbstat WHERE name LIKE 'sqlite_autoindex_points%'
         AND pagetype = 'leaf' LIMIT 1 OFFSET 2`,
    )
    .pluck()
    .get();
  db.close();
  const bytes = readFileSync(file);
  const at = bytes.indexOf(
    Buffer.alloc(6),
    (must(leaf, 'the index has leaves') - 1) * 4_096 + 2_000,
  );
  bytes.writeUInt8(1, at);
  writeFileSync(file, bytes);
}

test('a large database is looked through after it was opened, and damage is told', async (t) => {
  const root = temporaryFolder(t);
  const [good, bad] = ['good', 'bad'].map((name) => path.join(root, name)) as [string, string];
  for (const folder of [good, bad]) makeLarge(folder);
  damageIndex(bad);
  const options = { writerThreads: 1, handlesMax: 4, diskReserveBytes: 0 };
  const store = new PointsStore({ log: quietLog, clock: systemClock }, options);
  await store.start();
  cleanUp(t, () => store.close(Deadline.after(systemClock, 10_000)));
  const told = Promise.withResolvers<string>();
  const problems: string[] = [];
  store.onDamage((folder, problem) => {
    problems.push(problem);
    told.resolve(folder);
  });
  for (const folder of [good, bad]) assert.equal(store.reader(folder).stats().count, POINTS);
  assert.equal(await told.promise, bad);
  assert.match(problems.join(), /^the structure: /);
});
