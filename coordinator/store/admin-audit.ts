/**
 * What operators changed: one row a change, written in the transaction of the change and never
 * touched again.
 */
import type Database from 'better-sqlite3';
import type { Clock } from '../../shared/base/clock.ts';

/** Who asked for a change, and in which request. */
export interface Origin {
  actor: string;
  requestId: string;
}

export interface AdminAuditEntry extends Origin {
  /** From 1, without gaps. */
  sequence: number;
  /** Milliseconds since 1970. */
  at: number;
  action: string;
  target: string;
  /** What could be shown of the target, null where there was nothing. */
  before: object | null;
  after: object | null;
}

export type NewAuditEntry = Pick<AdminAuditEntry, 'action' | 'target' | 'before' | 'after'>;

type Row = Omit<AdminAuditEntry, 'before' | 'after'> & {
  before: string | null;
  after: string | null;
};

const COLUMNS = 'sequence, at, actor, action, target, before, after, request_id AS requestId';

export class AdminAuditTable {
  readonly #clock: Clock;
  readonly #insert: Database.Statement<[Omit<Row, 'sequence'>]>;
  readonly #page: Database.Statement<
    [{ after: number; target: string | null; limit: number }],
    Row
  >;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#insert = database.prepare(
      `INSERT INTO admin_audit (at, actor, action, target, before, after, request_id)
        VALUES (@at, @actor, @action, @target, @before, @after, @requestId)`,
    );
    this.#page = database.prepare(
      `SELECT ${COLUMNS} FROM admin_audit
        WHERE sequence > @after AND (@target IS NULL OR target = @target)
        ORDER BY sequence LIMIT @limit`,
    );
  }

  /** To be called in the transaction of the change. */
  append(origin: Origin, { action, target, before, after }: NewAuditEntry): void {
    this.#insert.run({
      ...origin,
      at: this.#clock.now(),
      action,
      target,
      before: before && JSON.stringify(before),
      after: after && JSON.stringify(after),
    });
  }

  /** Up to `limit` entries after the one of that number, of that target if it is given, oldest first. */
  page(after: number, limit: number, target: string | null = null): AdminAuditEntry[] {
    return this.#page.all({ after, target, limit }).map((row) => ({
      ...row,
      before: parsed(row.before),
      after: parsed(row.after),
    }));
  }
}

/** What others than the store may do with it. */
export type AdminAudit = Pick<AdminAuditTable, 'page'>;

function parsed(text: string | null): object | null {
  return text === null ? null : (JSON.parse(text) as object);
}
