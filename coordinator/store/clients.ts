import type Database from 'better-sqlite3';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { guarded } from './sql-errors.ts';

export type ClientState = 'active' | 'paused' | 'suspended';

export interface ClientRecord {
  clientId: ClientId;
  name: string;
  state: ClientState;
  /** Raised with everything that takes a right away; a cached key of an older epoch is void. */
  epoch: number;
  createdAt: number;
}

const COLUMNS = 'client_id AS clientId, name, state, epoch, created_at AS createdAt';

export class ClientsTable {
  readonly #clock: Clock;
  readonly #insert: Database.Statement<[ClientRecord]>;
  readonly #byId: Database.Statement<[ClientId], ClientRecord>;
  readonly #page: Database.Statement<[string, number], ClientRecord>;
  readonly #count: Database.Statement<[], number>;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#insert = database.prepare(
      'INSERT INTO clients VALUES (@clientId, @name, @state, @epoch, @createdAt)',
    );
    this.#byId = database.prepare(`SELECT ${COLUMNS} FROM clients WHERE client_id = ?`);
    this.#page = database.prepare(
      `SELECT ${COLUMNS} FROM clients WHERE client_id > ? ORDER BY client_id LIMIT ?`,
    );
    this.#count = database.prepare<[], number>('SELECT count(*) FROM clients').pluck();
  }

  create(client: { clientId: ClientId; name: string }): ClientRecord {
    const record: ClientRecord = {
      ...client,
      state: 'active',
      epoch: 1,
      createdAt: this.#clock.now(),
    };
    guarded(() => this.#insert.run(record));
    return record;
  }

  get(clientId: ClientId): ClientRecord | undefined {
    return this.#byId.get(clientId);
  }

  /** Up to `limit` clients in the order of their ids, those after `after` when it is given. */
  page(after: ClientId | undefined, limit: number): ClientRecord[] {
    return this.#page.all(after ?? '', limit);
  }

  count(): number {
    return this.#count.get() ?? 0;
  }
}
