/** Every worker that ever proved itself. Whether it is connected now only the link knows. */
import type Database from 'better-sqlite3';
import type { Clock } from '../../shared/base/clock.ts';
import type { WorkerId } from '../../shared/base/ids.ts';
import { guarded } from './sql-errors.ts';

export interface WorkerRecord {
  workerId: WorkerId;
  firstSeenAt: number;
  lastSeenAt: number;
}

export class WorkersTable {
  readonly #clock: Clock;
  readonly #seen: Database.Statement<[WorkerId, number, number]>;
  readonly #all: Database.Statement<[], WorkerRecord>;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#seen = database.prepare(
      `INSERT INTO workers VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET last_seen_at = excluded.last_seen_at`,
    );
    this.#all = database.prepare(
      `SELECT worker_id AS workerId, first_seen_at AS firstSeenAt, last_seen_at AS lastSeenAt
        FROM workers ORDER BY worker_id`,
    );
  }

  /** Notes that the worker is there now. */
  seen(workerId: WorkerId): void {
    const now = this.#clock.now();
    guarded(() => this.#seen.run(workerId, now, now));
  }

  all(): WorkerRecord[] {
    return this.#all.all();
  }
}
