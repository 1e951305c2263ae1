/**
 * Whether a shard's database is sound as a whole: what the checksums of rows and counters can not tell,
 * since it is about which rows there are and how they are found.
 *
 *   its schema is ours, word for word: a letter in it can have changed
 *   its trees are in order, and each index has exactly the entries of the rows (SQLite's own check)
 *   a label is not free that a point has
 *   the counters are those of the rows: points, and the digest of ids and versions
 *
 * It reads all pages but those that rows continue on, and takes about a millisecond a megabyte.
 */
import type Database from 'better-sqlite3';
import { MetaTable } from './meta-table.ts';
import { movedDigest, rowDigest } from './row-digest.ts';
import { expectedSchema, schemaOf } from './schema.ts';
import { DamagedData } from './storage-errors.ts';

/** Throws `DamagedData`, or the error of SQLite. */
export function checkDatabase(db: Database.Database): void {
  if (schemaOf(db) !== expectedSchema()) throw new DamagedData('the schema');
  const found = db.pragma('integrity_check(1)', { simple: true });
  if (found !== 'ok') throw new DamagedData(`the structure: ${String(found).slice(0, 100)}`);
  const taken = db.prepare('SELECT 1 FROM free_labels JOIN points USING (label) LIMIT 1');
  if (taken.get() !== undefined) throw new DamagedData('the free labels');
  // In one transaction, since a writer may be at work.
  db.transaction(() => checkCounters(db))();
}

function checkCounters(db: Database.Database): void {
  const meta = new MetaTable(db).read();
  let points = 0;
  let digest = 0;
  const rows = db.prepare<[], [Buffer, number]>('SELECT id, version FROM points').raw();
  for (const [key, version] of rows.iterate()) {
    points += 1;
    digest = movedDigest(digest, 0, rowDigest(key, version));
  }
  const isCounted = points === meta.get('point_count') && digest === meta.get('digest');
  if (!isCounted) throw new DamagedData('the number of rows');
}
