/**
 * Clients and their states:
 *
 *   active <--> suspended (by an operator, with a reason): no key holds
 *      ^  <--> paused (by an operator, or since the budget is spent): keys hold, and say so
 *      |            |
 *      +--> deleting, until `erase_at` --> deleting, `erase_at` < 0 --> (gone, with all it has)
 *
 * A negative `erase_at` says that the erasure has begun: from then on nothing takes it back, whatever
 * becomes of the system's clock.
 *
 * Every change raises `version`; one that takes a right away raises `epoch` too, in the same
 * statement. Each is in the history of what a client pays (`price-history.ts`) in the same transaction.
 */
import type Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { PLAN_DEFAULT, type PlanLimits } from '../../shared/domain/plan.ts';
import type { PriceHistoryTable } from './price-history.ts';
import { guarded } from './sql-errors.ts';

export type ClientState = 'active' | 'paused' | 'suspended' | 'deleting';

/** Of a client that is paused: why, and what is refused. Its data is kept. */
export interface ClientPause {
  pause: 'budget' | 'manual';
  scope: 'writes' | 'all';
}

export interface ClientRecord {
  clientId: ClientId;
  name: string;
  state: ClientState;
  /** Why it is not active, in an operator's words. */
  stateReason: string | null;
  planId: string;
  /** Limits that differ from the plan's. */
  overrides: Partial<PlanLimits>;
  /** Raised with everything that takes a right away; a cached key of an older epoch is void. */
  epoch: number;
  /** Raised with each change. */
  version: number;
  createdAt: number;
  /** When everything of a client that is `deleting` is erased; negative once that has begun. */
  eraseAt: number | null;
  /** Kept while it is being deleted. */
  paused: ClientPause | null;
}

/** What an operator may change. */
export type ClientChange = Partial<
  Pick<
    ClientRecord,
    'name' | 'state' | 'stateReason' | 'planId' | 'overrides' | 'eraseAt' | 'paused'
  >
>;

/** States in which the client's keys are valid, whatever they may do. */
const KEYS_HOLD: ReadonlySet<ClientState> = new Set(['active', 'paused']);

type ClientRow = Omit<ClientRecord, 'overrides' | 'paused'> & {
  overrides: string;
  pause: ClientPause['pause'] | null;
  scope: ClientPause['scope'] | null;
};

const COLUMNS = `client_id AS clientId, name, state, state_reason AS stateReason,
  plan_id AS planId, overrides, epoch, version, created_at AS createdAt, erase_at AS eraseAt,
  pause, pause_scope AS scope`;

export class ClientsTable {
  readonly #clock: Clock;
  readonly #database: Database.Database;
  readonly #priceHistory: PriceHistoryTable;
  readonly #insert: Database.Statement<[ClientRow]>;
  readonly #update: Database.Statement<[ClientRow]>;
  readonly #byId: Database.Statement<[ClientId], ClientRow>;
  readonly #page: Database.Statement<
    [{ after: string; name: string | null; limit: number }],
    ClientRow
  >;
  readonly #count: Database.Statement<[], number>;
  readonly #toErase: Database.Statement<[], { clientId: ClientId; eraseAt: number }>;
  readonly #beginErasure: Database.Statement<[ClientId]>;
  readonly #remove: Database.Statement<[ClientId]>;
  readonly #forgetGenerations: Database.Statement<[ClientId]>;
  readonly #forgetBudget: Database.Statement<[ClientId]>;
  readonly #forgetAnomalies: Database.Statement<[ClientId]>;

  constructor(database: Database.Database, clock: Clock, priceHistory: PriceHistoryTable) {
    this.#clock = clock;
    this.#database = database;
    this.#priceHistory = priceHistory;
    this.#insert = database.prepare(
      `INSERT INTO clients VALUES (@clientId, @name, @state, @stateReason, @planId, @overrides,
        @epoch, @version, @createdAt, @eraseAt, @pause, @scope)`,
    );
    this.#update = database.prepare(
      `UPDATE clients SET name = @name, state = @state, state_reason = @stateReason,
        plan_id = @planId, overrides = @overrides, epoch = @epoch, version = @version,
        erase_at = @eraseAt, pause = @pause, pause_scope = @scope
        WHERE client_id = @clientId`,
    );
    this.#byId = database.prepare(`SELECT ${COLUMNS} FROM clients WHERE client_id = ?`);
    this.#page = database.prepare(
      `SELECT ${COLUMNS} FROM clients WHERE client_id > @after AND (@name IS NULL OR name = @name)
        ORDER BY client_id LIMIT @limit`,
    );
    this.#count = database.prepare<[], number>('SELECT count(*) FROM clients').pluck();
    this.#toErase = database.prepare(
      `SELECT client_id AS clientId, erase_at AS eraseAt FROM clients
        WHERE erase_at IS NOT NULL ORDER BY erase_at`,
    );
    this.#beginErasure = database.prepare(
      `UPDATE clients SET erase_at = -abs(erase_at), version = version + (erase_at > 0)
        WHERE client_id = ? AND state = 'deleting'`,
    );
    this.#remove = database.prepare('DELETE FROM clients WHERE client_id = ?');
    this.#forgetBudget = database.prepare('DELETE FROM budgets WHERE client_id = ?');
    this.#forgetAnomalies = database.prepare('DELETE FROM anomalies WHERE client_id = ?');
    this.#forgetGenerations = database.prepare('DELETE FROM generations WHERE client_id = ?');
  }

  /** The plan must exist. */
  create(client: { clientId: ClientId; name: string; planId?: string }): ClientRecord {
    const record: ClientRecord = {
      planId: PLAN_DEFAULT,
      ...client,
      state: 'active',
      stateReason: null,
      overrides: {},
      epoch: 1,
      version: 1,
      createdAt: this.#clock.now(),
      eraseAt: null,
      paused: null,
    };
    this.#atOnce(() => {
      this.#insert.run(toRow(record));
      this.#priceHistory.noteClient(record);
    });
    return record;
  }

  get(clientId: ClientId): ClientRecord | undefined {
    const row = this.#byId.get(clientId);
    return row && fromRow(row);
  }

  /** The client with the change; it must exist, and so must its plan. */
  change(clientId: ClientId, change: ClientChange): ClientRecord {
    const before = must(this.get(clientId), 'a client that is changed exists');
    const after = { ...before, ...change, version: before.version + 1 };
    if (KEYS_HOLD.has(before.state) && after.state !== before.state) after.epoch += 1;
    this.#atOnce(() => {
      this.#update.run(toRow(after));
      this.#priceHistory.noteClient(after);
    });
    return after;
  }

  /** Up to `limit` clients by id: those after `after` and of that name, where they are given. */
  page(
    {
      after = '' as ClientId,
      name = null,
    }: { after?: ClientId | undefined; name?: string | null | undefined },
    limit: number,
  ): ClientRecord[] {
    return this.#page.all({ after, name, limit }).map(fromRow);
  }

  /** Clients that are being deleted, the next to be erased first. */
  toErase(): { clientId: ClientId; eraseAt: number }[] {
    return this.#toErase.all();
  }

  /** The erasure of a client begins, or goes on. False when it is not `deleting`. */
  beginErasure(clientId: ClientId): boolean {
    return guarded(() => this.#beginErasure.run(clientId)).changes === 1;
  }

  /** Forgets a client that has neither keys nor collections. */
  remove(clientId: ClientId): void {
    this.#atOnce(() => {
      this.#forgetGenerations.run(clientId);
      this.#forgetBudget.run(clientId);
      this.#forgetAnomalies.run(clientId);
      this.#remove.run(clientId);
      this.#priceHistory.noteRemoval(clientId);
    });
  }

  /** All of it or nothing; part of the transaction that is under way, if one is. */
  #atOnce(change: () => void): void {
    guarded(this.#database.transaction(change));
  }

  count(): number {
    return this.#count.get() ?? 0;
  }
}

function toRow({ overrides, paused, ...record }: ClientRecord): ClientRow {
  const { pause, scope } = paused ?? { pause: null, scope: null };
  return { ...record, overrides: JSON.stringify(overrides), pause, scope };
}

function fromRow({ overrides, pause, scope, ...row }: ClientRow): ClientRecord {
  const paused = pause === null || scope === null ? null : { pause, scope };
  return { ...row, overrides: JSON.parse(overrides) as Partial<PlanLimits>, paused };
}
