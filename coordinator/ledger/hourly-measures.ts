/** What a client's hours came to, of live data, all keys and namespaces together. */
import type Database from 'better-sqlite3';
import type { ClientId } from '../../shared/base/ids.ts';

export interface MeasuresQuestion {
  clientId: ClientId;
  /** From one hour on and before another. */
  from: number;
  until: number;
}

/** Of one hour in which there was something. */
export interface HourMeasures {
  hour: number;
  requests: number;
  /** Requests that were answered with 4xx or 5xx. */
  errors: number;
  queries: number;
  units: number;
  bytesOut: number;
  written: number;
}

export interface Measures {
  /** The first hour of the client in the ledger; null when there is none. */
  first: number | null;
  hours: HourMeasures[];
}

const LIVE = `client_id = @clientId AND mode = 'live'`;

export class HourlyMeasures {
  readonly #requests: Database.Statement<[MeasuresQuestion], Omit<HourMeasures, 'written'>>;
  readonly #written: Database.Statement<[MeasuresQuestion], Pick<HourMeasures, 'hour' | 'written'>>;
  readonly #first: Database.Statement<[MeasuresQuestion], number | null>;

  constructor(db: Database.Database) {
    const within = `WHERE ${LIVE} AND hour >= @from AND hour < @until GROUP BY hour`;
    this.#requests = db.prepare(
      `SELECT hour, sum(requests) AS requests, sum(iif(status >= 400, requests, 0)) AS errors,
              sum(queries) AS queries, sum(units) AS units, sum(bytes_out) AS bytesOut
         FROM request_usage ${within}`,
    );
    this.#written = db.prepare(`SELECT hour, sum(written) AS written FROM write_usage ${within}`);
    this.#first = db
      .prepare<[MeasuresQuestion], number | null>(
        `SELECT min(hour) FROM (SELECT min(hour) AS hour FROM request_usage WHERE ${LIVE}
           UNION ALL SELECT min(hour) FROM write_usage WHERE ${LIVE})`,
      )
      .pluck();
  }

  measures(about: MeasuresQuestion): Measures {
    const hours = new Map<number, HourMeasures>();
    for (const row of this.#requests.all(about)) hours.set(row.hour, { ...row, written: 0 });
    for (const { hour, written } of this.#written.all(about)) {
      const known = hours.get(hour) ?? { ...NOTHING, hour };
      hours.set(hour, { ...known, written });
    }
    return { first: this.#first.get(about) ?? null, hours: [...hours.values()] };
  }
}

const NOTHING = { requests: 0, errors: 0, queries: 0, units: 0, bytesOut: 0, written: 0 };
