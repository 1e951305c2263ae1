/** Who of a client gets mail, and of what. */
import type Database from 'better-sqlite3';
import type { ClientId } from '../../shared/base/ids.ts';
import type { NoticeType } from '../../shared/domain/notices.ts';
import { guarded } from './sql-errors.ts';

export interface MailRecipient {
  address: string;
  /** What it hears of; null: all that a client may. */
  types: NoticeType[] | null;
}

export class MailRecipientsTable {
  readonly #of: Database.Statement<[ClientId], { address: string; types: string | null }>;
  readonly #insert: Database.Statement<[ClientId, string, string | null]>;
  readonly #clear: Database.Statement<[ClientId]>;

  constructor(database: Database.Database) {
    this.#of = database.prepare(
      'SELECT address, types FROM mail_recipients WHERE client_id = ? ORDER BY address',
    );
    this.#insert = database.prepare('INSERT INTO mail_recipients VALUES (?, ?, ?)');
    this.#clear = database.prepare('DELETE FROM mail_recipients WHERE client_id = ?');
  }

  of(clientId: ClientId): MailRecipient[] {
    return this.#of.all(clientId).map(({ address, types }) => {
      return { address, types: types === null ? null : (JSON.parse(types) as NoticeType[]) };
    });
  }

  /** Takes the place of all that were there; the client must exist. In a transaction of the caller. */
  replace(clientId: ClientId, recipients: readonly MailRecipient[]): void {
    guarded(() => {
      this.#clear.run(clientId);
      for (const { address, types } of recipients) {
        this.#insert.run(clientId, address, types && JSON.stringify(types));
      }
    });
  }
}
