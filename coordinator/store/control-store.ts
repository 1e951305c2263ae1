/**
 * `control.db`: clients, keys, collections and where their shards are. The coordinator's only
 * SQL. One process at a time: the connection takes an exclusive lock and keeps it, so a second
 * coordinator on the same folder is refused at once instead of serving from stale memory, and the
 * kernel frees the lock when the holder dies, however it dies.
 *
 * Every commit is on disk when the call returns (WAL with `synchronous=FULL`; better-sqlite3's
 * own default under WAL is NORMAL, which loses acknowledged commits in a power cut).
 *
 * Calls block the event loop for the time of the statement and, when they write, of one fsync.
 * That is meant for administration; the data path makes at most one indexed read per unknown key.
 */
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import type { Clock } from '../../shared/base/clock.ts';
import { makeFolderDurably, syncFolder } from '../../shared/base/durable-folder.ts';
import { InUse } from '../../shared/base/in-use.ts';
import { type AdminAudit, AdminAuditTable, type Origin } from './admin-audit.ts';
import { AnomaliesTable } from './anomalies.ts';
import { ApiKeysTable } from './api-keys.ts';
import { BudgetsTable } from './budgets.ts';
import { CensusRequestsTable } from './census-requests.ts';
import { ClientsTable } from './clients.ts';
import { CollectionUsesTable } from './collection-uses.ts';
import { CollectionsTable } from './collections.ts';
import { IdempotentRepliesTable } from './idempotent-replies.ts';
import { InvoicesTable } from './invoices.ts';
import { MailRecipientsTable } from './mail-recipients.ts';
import { migrate } from './migrations.ts';
import { NoticeDeliveriesTable } from './notice-deliveries.ts';
import { NoticesTable } from './notices.ts';
import { PlansTable } from './plans.ts';
import { PriceHistoryTable } from './price-history.ts';
import { ReplicasTable } from './replicas.ts';
import { ReshardingTable } from './resharding.ts';
import { guarded, isLocked } from './sql-errors.ts';
import { WebhooksTable } from './webhooks.ts';
import { WorkersTable } from './workers.ts';
import { WriteKeysTable } from './write-keys.ts';

/** How long a start waits for the lock of a coordinator that is just going down. */
const LOCK_WAIT_MS = 500;

/** A change, and what the audit log says of it. */
export interface Change<T> {
  action: string;
  /** Id of what was changed. */
  target: string;
  /** What may be shown of it; null: it was not there, or is no more. */
  before: object | null;
  after: object | null;
  result: T;
}

export class ControlStore {
  readonly plans: PlansTable;
  readonly priceHistory: PriceHistoryTable;
  readonly invoices: InvoicesTable;
  readonly budgets: BudgetsTable;
  readonly anomalies: AnomaliesTable;
  readonly adminAudit: AdminAudit;
  readonly clients: ClientsTable;
  readonly apiKeys: ApiKeysTable;
  readonly collections: CollectionsTable;
  readonly collectionUses: CollectionUsesTable;
  readonly replicas: ReplicasTable;
  readonly resharding: ReshardingTable;
  readonly workers: WorkersTable;
  readonly idempotentReplies: IdempotentRepliesTable;
  readonly writeKeys: WriteKeysTable;
  readonly censusRequests: CensusRequestsTable;
  readonly notices: NoticesTable;
  readonly noticeDeliveries: NoticeDeliveriesTable;
  readonly webhooks: WebhooksTable;
  readonly mailRecipients: MailRecipientsTable;
  readonly #database: Database.Database;
  readonly #audit: AdminAuditTable;
  #afterCommit: (() => void)[] = [];

  private constructor(database: Database.Database, clock: Clock) {
    this.#database = database;
    this.#audit = new AdminAuditTable(database, clock);
    this.adminAudit = this.#audit;
    this.priceHistory = new PriceHistoryTable(database, clock);
    this.invoices = new InvoicesTable(database, clock);
    this.anomalies = new AnomaliesTable(database);
    this.budgets = new BudgetsTable(database);
    this.plans = new PlansTable(database, clock, this.priceHistory);
    this.clients = new ClientsTable(database, clock, this.priceHistory);
    this.apiKeys = new ApiKeysTable(database, clock);
    this.collections = new CollectionsTable(database, clock);
    this.collectionUses = new CollectionUsesTable(database);
    this.replicas = new ReplicasTable(database, clock);
    this.resharding = new ReshardingTable(database, clock);
    this.workers = new WorkersTable(database, clock);
    this.idempotentReplies = new IdempotentRepliesTable(database);
    this.writeKeys = new WriteKeysTable(database);
    this.censusRequests = new CensusRequestsTable(database);
    this.notices = new NoticesTable(database, clock);
    this.noticeDeliveries = new NoticeDeliveriesTable(database, clock);
    this.webhooks = new WebhooksTable(database, clock);
    this.mailRecipients = new MailRecipientsTable(database);
  }

  /**
   * Opens or makes the database file and its folder, durable on return. Throws `InUse` when
   * another process has it open, and an `Error` for the operator when it is of a newer release.
   */
  static open(path: string, deps: { clock: Clock }): ControlStore {
    makeFolderDurably(dirname(path));
    const database = new Database(path, { timeout: LOCK_WAIT_MS });
    try {
      guarded(() => prepare(database));
      // SQLite syncs its files; the folder's entry for a new one is ours to sync.
      syncFolder(dirname(path));
      return new ControlStore(database, deps.clock);
    } catch (error) {
      database.close();
      if (!isLocked(error)) throw error;
      throw new InUse(path, 'coordinator', { cause: error });
    }
  }

  /**
   * Makes a change and writes its audit row in one transaction: after a crash both are there or
   * neither is. What `change` throws undoes both.
   */
  audited<T>(origin: Origin, change: () => Change<T>): T {
    return this.transaction(() => {
      const { result, ...entry } = change();
      this.#audit.append(origin, entry);
      return result;
    });
  }

  /** All of `work` or nothing. One within another is part of it. */
  transaction<T>(work: () => T): T {
    const run = this.#database.transaction(work);
    if (this.#database.inTransaction) return run();
    this.#afterCommit = [];
    const result = guarded(() => run.immediate());
    for (const action of this.#afterCommit.splice(0)) action();
    return result;
  }

  /** Whether what is called now is part of a transaction. */
  get inTransaction(): boolean {
    return this.#database.inTransaction;
  }

  /** Calls it when what is under way has committed, and not at all when it has not; else at once. */
  afterCommit(action: () => void): void {
    if (this.#database.inTransaction) this.#afterCommit.push(action);
    else action();
  }

  /** Gives the lock back. No call is allowed afterwards; closing twice is. */
  close(): void {
    this.#database.close();
  }
}

function prepare(database: Database.Database): void {
  // Before the first access: in this mode WAL needs no shared memory file, and the lock that the
  // first transaction takes stays with the connection.
  database.pragma('locking_mode = EXCLUSIVE');
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.pragma('secure_delete = ON');
  // What a process that died of a failed sync left in the log may be in the system's memory only, where
  // it can be read and no later sync brings it to the disk: nothing may be appended to it. Folding
  // writes its pages anew, with a sync that covers them. (Within a process, the next commit overwrites
  // what a failed one left.)
  database.pragma('wal_checkpoint(TRUNCATE)');
  migrate(database);
}
