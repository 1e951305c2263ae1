/**
 * Every worker that ever proved itself, and what operators say of it. Whether it is connected now
 * only the link knows.
 */
import type Database from 'better-sqlite3';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId, WorkerId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { guarded } from './sql-errors.ts';

/** What an operator decides. */
export interface WorkerTerms {
  /** What fails together with it, for example a rack; null: nothing is known of that. */
  zone: string | null;
  /** The client whose data alone it holds; null: that of all who have no workers of their own. */
  dedicatedTo: ClientId | null;
  /** Whether it gives away what it holds, and gets nothing new. */
  draining: boolean;
}

export interface WorkerRecord extends WorkerTerms {
  workerId: WorkerId;
  firstSeenAt: number;
  lastSeenAt: number;
  /** Counts changes of its terms, from 1. */
  version: number;
}

type WorkerRow = Omit<WorkerRecord, 'draining'> & { draining: 0 | 1 };

const COLUMNS = `worker_id AS workerId, first_seen_at AS firstSeenAt, last_seen_at AS lastSeenAt,
  zone, dedicated_to AS dedicatedTo, draining, version`;

export class WorkersTable {
  readonly #clock: Clock;
  readonly #seen: Database.Statement<[WorkerId, number, number]>;
  readonly #setTerms: Database.Statement<[string | null, ClientId | null, 0 | 1, WorkerId]>;
  readonly #all: Database.Statement<[], WorkerRow>;
  readonly #get: Database.Statement<[string], WorkerRow>;
  readonly #dedicatedTo: Database.Statement<[ClientId], WorkerRow>;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#seen = database.prepare(
      `INSERT INTO workers (worker_id, first_seen_at, last_seen_at) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET last_seen_at = excluded.last_seen_at`,
    );
    this.#setTerms = database.prepare(
      `UPDATE workers SET zone = ?, dedicated_to = ?, draining = ?, version = version + 1
        WHERE worker_id = ?`,
    );
    this.#all = database.prepare(`SELECT ${COLUMNS} FROM workers ORDER BY worker_id`);
    this.#get = database.prepare(`SELECT ${COLUMNS} FROM workers WHERE worker_id = ?`);
    this.#dedicatedTo = database.prepare(
      `SELECT ${COLUMNS} FROM workers WHERE dedicated_to = ? ORDER BY worker_id`,
    );
  }

  /** Notes that the worker is there now. */
  seen(workerId: WorkerId): void {
    const now = this.#clock.now();
    guarded(() => this.#seen.run(workerId, now, now));
  }

  all(): WorkerRecord[] {
    return this.#all.all().map(fromRow);
  }

  get(workerId: string): WorkerRecord | undefined {
    const row = this.#get.get(workerId);
    return row && fromRow(row);
  }

  /** Those that hold the data of this client alone. */
  dedicatedTo(clientId: ClientId): WorkerRecord[] {
    return this.#dedicatedTo.all(clientId).map(fromRow);
  }

  /** The worker with these terms; a client that they name must exist. Throws `not_found`. */
  setTerms(workerId: WorkerId, { zone, dedicatedTo, draining }: WorkerTerms): WorkerRecord {
    guarded(() => this.#setTerms.run(zone, dedicatedTo, draining ? 1 : 0, workerId));
    const after = this.get(workerId);
    if (after === undefined) throw new AppError('not_found', 'there is no such worker');
    return after;
  }
}

function fromRow(row: WorkerRow): WorkerRecord {
  return { ...row, draining: row.draining === 1 };
}
