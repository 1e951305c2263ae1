/**
 * What has become of each notice at each of its targets, a mail address or a webhook: one row for both,
 * so that each target has its own fate.
 *
 *                       a try failed (again at `next_at`)
 *                        +---------+
 *                        v         |
 *   told ------------> waiting ----+--> delivered                     webhook, mail
 *                        |   ^     |
 *     its target is gone |   |     +--> dead        nobody took it in time; `revive` takes it up again
 *                        v   |     +--> bounced     the mail server refused it for good
 *                     dropped|     |
 *                            +-- handing_over ----> unknown
 *
 * A mail is `handing_over` from before its end is sent until its server has answered. What dies or is cut
 * off in between may have been taken: it is `unknown`, and never sent again.
 */
import type Database from 'better-sqlite3';
import type { Clock } from '../../shared/base/clock.ts';
import { NOTICE_COLUMNS, type NoticeRecord, type NoticeRow, noticeOf } from './notices.ts';
import { guarded } from './sql-errors.ts';

export const DELIVERY_KINDS = ['mail', 'webhook'] as const;
export type DeliveryKind = (typeof DELIVERY_KINDS)[number];

export const DELIVERY_STATES = [
  'waiting',
  'handing_over',
  'delivered',
  'bounced',
  'unknown',
  'dead',
  'dropped',
] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** A target of notices. */
export interface Target {
  kind: DeliveryKind;
  /** Whose it is: id of a client, '' of the operators. */
  owner: string;
  /** A mail address, or the id of a webhook. */
  target: string;
}

export interface DeliveryRecord extends Target {
  deliveryId: number;
  /** Of the notice. */
  sequence: number;
  state: DeliveryState;
  attempts: number;
  /** When it was first to be delivered, or revived; milliseconds since 1970, as all times here. */
  since: number;
  nextAt: number;
  lastAt: number | null;
  /** What the other side answered last: a status of HTTP or SMTP. */
  code: number | null;
  /** In a word, what went wrong without an answer. */
  problem: string | null;
}

export interface DueDelivery extends DeliveryRecord {
  notice: NoticeRecord;
}

/** What became of a try. */
export interface Outcome {
  state: DeliveryState;
  /** When it is tried again, while it waits. */
  nextAt?: number;
  code?: number | null;
  problem?: string | null;
}

/** A target for which something waits. */
export interface WaitingTarget extends Target {
  /** When the first of it is due. */
  nextAt: number;
}

const COLUMNS = `d.delivery_id AS deliveryId, d.sequence, d.kind, d.owner, d.target, d.state,
  d.attempts, d.since, d.next_at AS nextAt, d.last_at AS lastAt, d.code, d.problem`;

export class NoticeDeliveriesTable {
  readonly #clock: Clock;
  readonly #sql: ReturnType<typeof prepare>;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#sql = prepare(database);
  }

  /** The notice is to reach this target, once. */
  add(sequence: number, target: Target): void {
    const now = this.#clock.now();
    guarded(() => this.#sql.insert.run({ ...target, sequence, now }));
  }

  /** Targets of a kind for which something waits, the most urgent first. */
  waiting(kind: DeliveryKind, limit: number): WaitingTarget[] {
    return this.#sql.waiting.all({ kind, limit });
  }

  /** Up to `limit` deliveries to a target that are due, the oldest first. */
  due({ kind, owner, target }: Target, limit: number): DueDelivery[] {
    const now = this.#clock.now();
    return this.#sql.due.all({ kind, owner, target, now, limit }).map(dueOf);
  }

  /** Notes what became of a try; a row that is gone meanwhile stays gone. */
  settle(deliveryId: number, outcome: Outcome): void {
    const now = this.#clock.now();
    const { state, nextAt = now, code = null, problem = null } = outcome;
    guarded(() => this.#sql.settle.run({ deliveryId, state, nextAt, code, problem, now }));
  }

  /** It waits longer, though nothing was tried. */
  defer({ kind, owner, target }: Target, nextAt: number): void {
    guarded(() => this.#sql.defer.run({ kind, owner, target, nextAt }));
  }

  /** From here on its mail server may have taken it. False when it does not wait any more. */
  handOver(deliveryId: number, messageId: string): boolean {
    const now = this.#clock.now();
    return guarded(() => this.#sql.handOver.run({ deliveryId, messageId, now })).changes === 1;
  }

  /** Of those that an earlier process was handing over nobody knows what became; how many. */
  loseHandedOver(): number {
    return guarded(() => this.#sql.lose.run()).changes;
  }

  /** When mails were handed over after `since`, the oldest first: of an owner, to one address, or all. */
  sentSince(
    since: number,
    to: { owner: string; target: string | null } | null,
    limit: number,
  ): number[] {
    const { owner = null, target = null } = to ?? {};
    return this.#sql.sentSince.all({ since, owner, target, limit });
  }

  /** What waits for a target that is not to get it any more ends as `state`. */
  end({ kind, target }: Pick<Target, 'kind' | 'target'>, state: 'dead' | 'dropped'): void {
    guarded(() => this.#sql.end.run({ kind, target, state }));
  }

  /** What waits for an address of an owner that is no recipient any more is dropped. */
  drop(owner: string, address: string): void {
    guarded(() => this.#sql.drop.run({ owner, address }));
  }

  /** What has waited since before that time is dead; how many. */
  endOld(since: number): number {
    return guarded(() => this.#sql.endOld.run(since)).changes;
  }

  /** Dead deliveries to a webhook, or the one of that number, wait again; how many. */
  revive(webhookId: string, deliveryId: number | null): number {
    const now = this.#clock.now();
    return guarded(() => this.#sql.revive.run({ webhookId, deliveryId, now })).changes;
  }

  /** Up to `limit` deliveries to a webhook older than the one of that number, the newest first. */
  page(webhookId: string, before: number | undefined, limit: number): DueDelivery[] {
    const from = before ?? Number.MAX_SAFE_INTEGER;
    return this.#sql.page.all({ webhookId, before: from, limit }).map(dueOf);
  }

  /** All of some notices. */
  of(sequences: readonly number[]): DeliveryRecord[] {
    return this.#sql.of.all(JSON.stringify(sequences));
  }
}

type DueRow = DeliveryRecord & NoticeRow;

function dueOf(row: DueRow): DueDelivery {
  const { deliveryId, sequence, kind, owner, target, state, attempts, since, ...rest } = row;
  const { nextAt, lastAt, code, problem, noticeId, type, clientId, key, data, at } = rest;
  const notice = noticeOf({ sequence, noticeId, type, clientId, key, data, at });
  const times = { since, nextAt, lastAt };
  return {
    ...{ deliveryId, sequence, kind, owner, target, state, attempts, code, problem },
    ...times,
    notice,
  };
}

const NOW_WAITING = `state = 'waiting', attempts = 0, since = @now, next_at = @now, problem = NULL`;

function prepare(database: Database.Database) {
  return {
    ...prepareReads(database),
    insert: database.prepare(
      `INSERT INTO notice_deliveries (sequence, kind, owner, target, state, since, next_at)
        VALUES (@sequence, @kind, @owner, @target, 'waiting', @now, @now) ON CONFLICT DO NOTHING`,
    ),
    settle: database.prepare(
      `UPDATE notice_deliveries SET state = @state, next_at = @nextAt, code = @code,
          problem = @problem, last_at = @now, attempts = attempts + 1,
          sent_at = CASE WHEN @state IN ('delivered', 'unknown') THEN sent_at END
        WHERE delivery_id = @deliveryId AND state IN ('waiting', 'handing_over')`,
    ),
    defer: database.prepare(
      `UPDATE notice_deliveries SET next_at = @nextAt
        WHERE kind = @kind AND owner = @owner AND target = @target AND state = 'waiting'
          AND next_at < @nextAt`,
    ),
    handOver: database.prepare(
      `UPDATE notice_deliveries SET state = 'handing_over', message_id = @messageId, sent_at = @now
        WHERE delivery_id = @deliveryId AND state = 'waiting'`,
    ),
    lose: database.prepare(
      `UPDATE notice_deliveries SET state = 'unknown', problem = 'lost', last_at = sent_at,
          attempts = attempts + 1 WHERE state = 'handing_over'`,
    ),
    end: database.prepare(
      `UPDATE notice_deliveries SET state = @state
        WHERE kind = @kind AND target = @target AND state = 'waiting'`,
    ),
    drop: database.prepare(
      `UPDATE notice_deliveries SET state = 'dropped'
        WHERE kind = 'mail' AND target = @address AND owner = @owner AND state = 'waiting'`,
    ),
    endOld: database.prepare<[number]>(
      `UPDATE notice_deliveries SET state = 'dead', problem = 'expired'
        WHERE state = 'waiting' AND since < ?`,
    ),
    revive: database.prepare(
      `UPDATE notice_deliveries SET ${NOW_WAITING}
        WHERE target = @webhookId AND kind = 'webhook' AND state = 'dead'
          AND (@deliveryId IS NULL OR delivery_id = @deliveryId)`,
    ),
  };
}

function prepareReads(database: Database.Database) {
  const from = 'FROM notice_deliveries d JOIN notices n ON n.sequence = d.sequence';
  return {
    // One step of the index a target, however much waits for each.
    waiting: database.prepare<[object], WaitingTarget>(
      `WITH RECURSIVE targets (owner, target, nextAt) AS (
          SELECT * FROM (SELECT owner, target, next_at FROM notice_deliveries
            WHERE kind = @kind AND state = 'waiting' ORDER BY owner, target, next_at LIMIT 1)
          UNION ALL
          SELECT d.owner, d.target, d.next_at FROM targets
            JOIN notice_deliveries d ON d.delivery_id = (
              SELECT delivery_id FROM notice_deliveries
                WHERE kind = @kind AND state = 'waiting'
                  AND (owner, target) > (targets.owner, targets.target)
                ORDER BY owner, target, next_at LIMIT 1))
        SELECT @kind AS kind, owner, target, nextAt FROM targets
          ORDER BY nextAt, target, owner LIMIT @limit`,
    ),
    due: database.prepare<[object], DueRow>(
      `SELECT ${COLUMNS}, ${NOTICE_COLUMNS} ${from}
        WHERE d.kind = @kind AND d.owner = @owner AND d.target = @target
          AND d.state = 'waiting' AND d.next_at <= @now
        ORDER BY d.next_at, d.delivery_id LIMIT @limit`,
    ),
    page: database.prepare<[object], DueRow>(
      `SELECT ${COLUMNS}, ${NOTICE_COLUMNS} ${from}
        WHERE d.target = @webhookId AND d.kind = 'webhook' AND d.delivery_id < @before
        ORDER BY d.delivery_id DESC LIMIT @limit`,
    ),
    of: database.prepare<[string], DeliveryRecord>(
      `SELECT ${COLUMNS} FROM notice_deliveries d
        WHERE d.sequence IN (SELECT value FROM json_each(?)) ORDER BY d.delivery_id`,
    ),
    // A digest is one mail for many rows.
    sentSince: database
      .prepare<[object], number>(
        `SELECT min(sent_at) FROM notice_deliveries
          WHERE sent_at > @since
            AND (@owner IS NULL OR owner = @owner) AND (@target IS NULL OR target = @target)
          GROUP BY message_id ORDER BY 1 LIMIT @limit`,
      )
      .pluck(),
  };
}
