/**
 * Hours of clients that were far outside of their history, and which hour was looked at last.
 *
 *   anomalies          sequence, client_id, hour,     one a client, hour and measure; kept for 400 days
 *                      measure, value, usual, bound
 *   anomaly_progress   hour, after_client             of that hour the clients up to this one were looked at;
 *                                                     hour 0: none yet
 */
import type Database from 'better-sqlite3';
import type { ClientId } from '../../shared/base/ids.ts';
import { guarded } from './sql-errors.ts';

export interface AnomalyRecord {
  /** From 1, in the order in which they were found. */
  sequence: number;
  clientId: ClientId;
  /** Hours since 1970. */
  hour: number;
  measure: string;
  value: number;
  usual: number;
  /** The bound that was passed. */
  limit: number;
}

/** Where the looking has come to. */
export interface AnomalyProgress {
  hour: number;
  after: string;
}

export class AnomaliesTable {
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(database: Database.Database) {
    this.#sql = prepareStatements(database);
  }

  /** Whether it was not there before. */
  add(anomaly: Omit<AnomalyRecord, 'sequence'>): boolean {
    return guarded(() => this.#sql.add.run(anomaly)).changes === 1;
  }

  /** Whether there is one in that hour, above what is usual or below it. */
  has(clientId: ClientId, hour: number, measure: string, isAbove: boolean): boolean {
    return this.#sql.has.get(clientId, hour, measure, isAbove ? 1 : 0) !== undefined;
  }

  /** Up to `limit` after that sequence, of a client if it is given. */
  page(after: number, limit: number, clientId: ClientId | null = null): AnomalyRecord[] {
    return this.#sql.page.all({ after, limit, clientId });
  }

  /** Those of hours before that one. */
  forget(hour: number): void {
    this.#sql.forget.run(hour);
  }

  get progress(): AnomalyProgress {
    return this.#sql.progress.get() ?? { hour: 0, after: '' };
  }

  setProgress(progress: AnomalyProgress): void {
    guarded(() => this.#sql.setProgress.run(progress));
  }
}

function prepareStatements(database: Database.Database) {
  return {
    add: database.prepare<[Omit<AnomalyRecord, 'sequence'>]>(
      `INSERT OR IGNORE INTO anomalies (client_id, hour, measure, value, usual, bound)
         VALUES (@clientId, @hour, @measure, @value, @usual, @limit)`,
    ),
    has: database.prepare<[ClientId, number, string, 0 | 1], unknown>(
      `SELECT 1 FROM anomalies
        WHERE client_id = ? AND hour = ? AND measure = ? AND (value > usual) = ?`,
    ),
    page: database.prepare<
      [{ after: number; limit: number; clientId: ClientId | null }],
      AnomalyRecord
    >(
      `SELECT sequence, client_id AS clientId, hour, measure, value, usual, bound AS "limit"
         FROM anomalies
        WHERE sequence > @after AND (@clientId IS NULL OR client_id = @clientId)
        ORDER BY sequence LIMIT @limit`,
    ),
    forget: database.prepare<[number]>('DELETE FROM anomalies WHERE hour < ?'),
    progress: database.prepare<[], AnomalyProgress>(
      'SELECT hour, after_client AS "after" FROM anomaly_progress',
    ),
    setProgress: database.prepare<[AnomalyProgress]>(
      `INSERT OR REPLACE INTO anomaly_progress (id, hour, after_client)
         VALUES (1, @hour, @after)`,
    ),
  };
}
