/**
 * Webhooks: where notices are posted to, by clients and by operators. Their secrets are needed in clear
 * to sign with; here they are sealed (`notify/webhook-secrets.ts`). Changes are made in a transaction of the
 * caller (`ControlStore.audited`).
 */
import type Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId, WebhookId } from '../../shared/base/ids.ts';
import type { NoticeType } from '../../shared/domain/notices.ts';
import { guarded } from './sql-errors.ts';

/** Why one gets nothing: its owner said so, its receiver did (410), or it has failed for days. */
export const DISABLED_REASONS = ['owner', 'gone', 'failing'] as const;
export type DisabledReason = (typeof DISABLED_REASONS)[number];

export interface WebhookTerms {
  url: string;
  /** What it hears of; null: all that its owner may. */
  types: NoticeType[] | null;
  /** Null while it is enabled. */
  disabled: DisabledReason | null;
}

export interface WebhookRecord extends WebhookTerms {
  webhookId: WebhookId;
  /** Null: the operators'. */
  clientId: ClientId | null;
  /** Sealed. */
  secret: Buffer;
  /** Sealed; the one before, while it signs, too. */
  oldSecret: Buffer | null;
  oldEndsAt: number | null;
  /** Since when no call has succeeded; null when the last one has. */
  failingSince: number | null;
  /** Raised with each change by its owner. */
  version: number;
  createdAt: number;
}

export type NewWebhook = Pick<WebhookRecord, 'webhookId' | 'clientId' | 'url' | 'types' | 'secret'>;

type Row = Omit<WebhookRecord, 'types'> & { types: string | null };

const COLUMNS = `webhook_id AS webhookId, client_id AS clientId, url, types, disabled, secret,
  old_secret AS oldSecret, old_ends_at AS oldEndsAt, failing_since AS failingSince, version,
  created_at AS createdAt`;

export class WebhooksTable {
  readonly #clock: Clock;
  readonly #sql: ReturnType<typeof prepare>;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#sql = prepare(database);
  }

  /** Its client must exist. */
  create(webhook: NewWebhook): WebhookRecord {
    const types = jsonOf(webhook.types);
    const createdAt = this.#clock.now();
    guarded(() => this.#sql.insert.run({ ...webhook, types, createdAt }));
    return must(this.find(webhook.webhookId), 'an inserted webhook can be read');
  }

  find(webhookId: string): WebhookRecord | undefined {
    const row = this.#sql.find.get(webhookId);
    return row && fromRow(row);
  }

  /** Up to `limit` of an owner by id. */
  page(clientId: ClientId | null, after: string, limit: number): WebhookRecord[] {
    return this.#sql.page.all({ clientId, after, limit }).map(fromRow);
  }

  count(clientId: ClientId | null): number {
    return this.#sql.count.get({ clientId }) ?? 0;
  }

  change({ webhookId }: WebhookRecord, terms: WebhookTerms): WebhookRecord {
    guarded(() => this.#sql.change.run({ webhookId, ...terms, types: jsonOf(terms.types) }));
    return must(this.find(webhookId), 'a changed webhook can be read');
  }

  /** Gives it another secret; the current one signs until then, too, and any older one no more. */
  rotate({ webhookId }: WebhookRecord, secret: Buffer, endsAt: number): WebhookRecord {
    const isKept = endsAt > this.#clock.now();
    guarded(() => this.#sql.rotate.run({ webhookId, secret, endsAt: isKept ? endsAt : null }));
    return must(this.find(webhookId), 'a rotated webhook can be read');
  }

  remove({ webhookId }: WebhookRecord): void {
    guarded(() => this.#sql.remove.run(webhookId));
  }

  /** A call has failed, or succeeded. */
  noteCall(webhookId: WebhookId, succeeded: boolean): void {
    const since = succeeded ? null : this.#clock.now();
    guarded(() => this.#sql.note.run({ webhookId, since }));
  }

  disable(webhookId: WebhookId, reason: DisabledReason): void {
    guarded(() => this.#sql.disable.run(reason, webhookId));
  }
}

function prepare(database: Database.Database) {
  return {
    insert: database.prepare(
      `INSERT INTO webhooks VALUES (@webhookId, @clientId, @url, @types, NULL, @secret, NULL, NULL,
        NULL, 1, @createdAt)`,
    ),
    find: database.prepare<[string], Row>(`SELECT ${COLUMNS} FROM webhooks WHERE webhook_id = ?`),
    page: database.prepare<[object], Row>(
      `SELECT ${COLUMNS} FROM webhooks WHERE client_id IS @clientId AND webhook_id > @after
        ORDER BY webhook_id LIMIT @limit`,
    ),
    count: database
      .prepare<[object], number>('SELECT count(*) FROM webhooks WHERE client_id IS @clientId')
      .pluck(),
    change: database.prepare(
      `UPDATE webhooks SET url = @url, types = @types, disabled = @disabled, version = version + 1,
          failing_since = CASE WHEN url = @url AND disabled IS @disabled THEN failing_since END
        WHERE webhook_id = @webhookId`,
    ),
    rotate: database.prepare(
      `UPDATE webhooks SET old_secret = CASE WHEN @endsAt IS NULL THEN NULL ELSE secret END,
          old_ends_at = @endsAt, secret = @secret, version = version + 1
        WHERE webhook_id = @webhookId`,
    ),
    remove: database.prepare<[WebhookId]>('DELETE FROM webhooks WHERE webhook_id = ?'),
    note: database.prepare(
      `UPDATE webhooks SET
          failing_since = CASE WHEN @since IS NULL THEN NULL ELSE ifnull(failing_since, @since) END
        WHERE webhook_id = @webhookId`,
    ),
    disable: database.prepare<[DisabledReason, WebhookId]>(
      'UPDATE webhooks SET disabled = ?, version = version + 1 WHERE webhook_id = ?',
    ),
  };
}

function fromRow(row: Row): WebhookRecord {
  return { ...row, types: row.types === null ? null : (JSON.parse(row.types) as NoticeType[]) };
}

function jsonOf(types: readonly NoticeType[] | null): string | null {
  return types === null ? null : JSON.stringify(types);
}
