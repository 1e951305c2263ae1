/**
 * The table `meta` of a shard: names and values, and under `check` a CRC-32 of all others, so that a
 * count that the disk has changed is known. It is written as a whole and read as a whole.
 *
 *   check = CRC-32 of "name=value\n" for each other row, in the order of the names
 */
import { crc32 } from 'node:zlib';
import type Database from 'better-sqlite3';
import { DamagedData } from './storage-errors.ts';

const CHECK = 'check';

export type Meta = ReadonlyMap<string, unknown>;

export class MetaTable {
  readonly #all: Database.Statement<[], [string, unknown]>;
  readonly #set: Database.Statement<[number, string]>;
  /** As it was read or written last. */
  #known = new Map<string, unknown>();

  constructor(db: Database.Database) {
    this.#all = db.prepare<[], [string, unknown]>('SELECT key, value FROM meta').raw();
    this.#set = db.prepare<[number, string]>('UPDATE meta SET value = ? WHERE key = ?');
  }

  /** Throws `DamagedData`. */
  read(): Meta {
    this.#known = new Map(this.#all.all());
    if (this.#known.get(CHECK) !== checkOf(this.#known)) throw new DamagedData('the counters');
    return this.#known;
  }

  /** Of numbers that are there. Within a transaction. */
  save(numbers: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(numbers)) {
      if (this.#known.get(name) === value) continue;
      this.#set.run(value, name);
      this.#known.set(name, value);
    }
    this.#set.run(checkOf(this.#known), CHECK);
  }
}

/** Writes the check of what is there, for a file that is made or brought up to date. */
export function writeCheck(db: Database.Database): void {
  const rows = db.prepare<[], [string, unknown]>('SELECT key, value FROM meta').raw().all();
  db.prepare('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)').run(
    CHECK,
    BigInt(checkOf(new Map(rows))),
  );
}

/** Throws `DamagedData`. */
export function numberIn(meta: Meta, name: string): number {
  const value = meta.get(name);
  if (typeof value !== 'number') throw new DamagedData('a counter');
  return value;
}

function checkOf(meta: Meta): number {
  const names = [...meta.keys()].filter((name) => name !== CHECK).toSorted();
  return crc32(names.map((name) => `${name}=${meta.get(name)}\n`).join(''));
}
