/**
 * Censuses that operators have asked for beside those of each day. A request stands here before it is answered,
 * so that the census is taken whatever dies; its row stays, so that its number is not given again.
 *
 *   add() -> waiting -- done() --> done
 */
import type Database from 'better-sqlite3';
import { guarded } from './sql-errors.ts';

export interface CensusRequest {
  /** `2026-11-27`, UTC. */
  day: string;
  /** Of those of that day, from 1. */
  number: number;
  /** Milliseconds since 1970. */
  at: number;
}

export class CensusRequestsTable {
  readonly #insert: Database.Statement<[string, string, number], number>;
  readonly #waiting: Database.Statement<[], CensusRequest>;
  readonly #count: Database.Statement<[string], number>;
  readonly #done: Database.Statement<[string, number]>;

  constructor(database: Database.Database) {
    this.#insert = database
      .prepare<[string, string, number], number>(
        `INSERT INTO census_requests (day, number, at)
          VALUES (?, (SELECT ifnull(max(number), 0) + 1 FROM census_requests WHERE day = ?), ?)
          RETURNING number`,
      )
      .pluck();
    this.#waiting = database.prepare(
      'SELECT day, number, at FROM census_requests WHERE done = 0 ORDER BY at, day, number',
    );
    this.#count = database
      .prepare<[string], number>('SELECT count(*) FROM census_requests WHERE day = ?')
      .pluck();
    this.#done = database.prepare(
      'UPDATE census_requests SET done = 1 WHERE day = ? AND number = ?',
    );
  }

  /** The next one of that day. */
  add(day: string, at: number): CensusRequest {
    // Not `get`: it ends after the first row, and hears nothing of a commit that fails then.
    const [number = 1] = guarded(() => this.#insert.all(day, day, at));
    return { day, number, at };
  }

  /** How many were asked for on that day. */
  count(day: string): number {
    return this.#count.get(day) ?? 0;
  }

  /** Those that are still to be taken, the oldest first. */
  waiting(): CensusRequest[] {
    return this.#waiting.all();
  }

  /** It was taken; repeating it is harmless. */
  done({ day, number }: Pick<CensusRequest, 'day' | 'number'>): void {
    guarded(() => this.#done.run(day, number));
  }
}
