/**
 * What operators and clients are told: one row a notice, written once for its type, client and key. What
 * it leads to stands in `notice-deliveries.ts`.
 */
import type Database from 'better-sqlite3';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId, NoticeId } from '../../shared/base/ids.ts';
import type { Notice, NoticeType } from '../../shared/domain/notices.ts';
import { guarded } from './sql-errors.ts';

export interface NoticeRecord extends Notice {
  /** Rises with each notice. */
  sequence: number;
  noticeId: NoticeId;
  /** Milliseconds since 1970. */
  at: number;
}

export interface NoticeFilter {
  type?: NoticeType | undefined;
  clientId?: ClientId | undefined;
}

export type NoticeRow = Omit<NoticeRecord, 'data'> & { data: string };

export const NOTICE_COLUMNS = `n.sequence, n.notice_id AS noticeId, n.type, n.client_id AS clientId,
  n.key, n.data, n.at`;

export class NoticesTable {
  readonly #clock: Clock;
  readonly #sql: ReturnType<typeof prepare>;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#sql = prepare(database);
  }

  /** Undefined when it was told before, or is about a client that is gone. In a transaction of the caller. */
  record(notice: Notice, noticeId: NoticeId): NoticeRecord | undefined {
    const at = this.#clock.now();
    const data = JSON.stringify(notice.data);
    const row = guarded(() => this.#sql.insert.get({ ...notice, data, noticeId, at }));
    return row && { ...notice, noticeId, at, sequence: row.sequence };
  }

  /** Whether one of no client was told. */
  has(type: NoticeType, key: string): boolean {
    return this.#sql.has.get(type, key) !== undefined;
  }

  /** The key of the last one of a type whose key begins so; undefined when there is none. */
  lastKey(type: NoticeType, prefix: string): string | undefined {
    return this.#sql.lastKey.get(type, prefix.length, prefix);
  }

  /** Up to `limit` notices older than the one of that number, the newest first. */
  page(before: number | undefined, limit: number, filter: NoticeFilter = {}): NoticeRecord[] {
    const { type = null, clientId = null } = filter;
    const from = before ?? Number.MAX_SAFE_INTEGER;
    return this.#sql.page.all({ before: from, limit, type, clientId }).map(noticeOf);
  }

  /** Forgets up to `limit` of those told before `at` of which nothing is left to do; how many. */
  forget(at: number, limit: number): number {
    return guarded(() => this.#sql.forget.run(at, limit)).changes;
  }
}

export function noticeOf({ data, ...row }: NoticeRow): NoticeRecord {
  return { ...row, data: JSON.parse(data) as Notice['data'] };
}

function prepare(database: Database.Database) {
  return {
    insert: database.prepare<[object], { sequence: number }>(
      `INSERT INTO notices (notice_id, type, client_id, key, data, at)
        SELECT @noticeId, @type, @clientId, @key, @data, @at
          WHERE @clientId IS NULL OR EXISTS (SELECT 1 FROM clients WHERE client_id = @clientId)
        ON CONFLICT DO NOTHING RETURNING sequence`,
    ),
    has: database.prepare<[string, string], object>(
      `SELECT 1 FROM notices WHERE type = ? AND key = ? AND ifnull(client_id, '') = ''`,
    ),
    lastKey: database
      .prepare<[string, number, string], string>(
        `SELECT key FROM notices WHERE type = ? AND substr(key, 1, ?) = ?
          ORDER BY sequence DESC LIMIT 1`,
      )
      .pluck(),
    page: database.prepare<[object], NoticeRow>(
      `SELECT ${NOTICE_COLUMNS} FROM notices n WHERE sequence < @before
          AND (@type IS NULL OR type = @type) AND (@clientId IS NULL OR client_id = @clientId)
        ORDER BY sequence DESC LIMIT @limit`,
    ),
    forget: database.prepare<[number, number]>(
      `DELETE FROM notices WHERE sequence IN (
        SELECT n.sequence FROM notices n WHERE n.at < ? AND NOT EXISTS (
          SELECT 1 FROM notice_deliveries d
            WHERE d.sequence = n.sequence AND d.state IN ('waiting', 'handing_over'))
        ORDER BY n.at LIMIT ?)`,
    ),
  };
}
