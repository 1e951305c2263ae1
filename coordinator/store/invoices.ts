/**
 * Invoices and credit notes that are final: numbered in one series a year, of both kinds together, from 1 and
 * without gaps. A row is never changed and never removed, also by whoever writes SQL (triggers), and its number is
 * given in the transaction that inserts it, so one that is undone leaves no gap.
 *
 *   invoice       at most one a client and month       lines: as they were, and what they come to
 *   credit note   of one invoice, no lines             together not above what the invoice comes to
 *
 * Amounts and quantities are texts of decimal digits: they may pass what SQLite and JSON hold exactly. The
 * client's name is that at the time of the invoice; rows stay when the client is erased, without anything
 * else of it.
 */
import type Database from 'better-sqlite3';
import { assert, must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { guarded } from './sql-errors.ts';

export const INVOICE_KINDS = ['invoice', 'credit_note'] as const;
export type InvoiceKind = (typeof INVOICE_KINDS)[number];

/** `2028-000001`: the year in which it became final, and its number in that year. */
export type InvoiceNumber = string;

/** A line as it was when the invoice became final; `StatementLine` says what its fields are. */
export interface InvoiceLine {
  item: string;
  planId: string | null;
  from: number;
  until: number;
  quantity: string;
  unitPriceMicros: number;
  per: string;
  amountMicros: string;
}

export interface InvoiceRecord {
  number: InvoiceNumber;
  kind: InvoiceKind;
  clientId: ClientId;
  clientName: string;
  /** Months since 1970; of a credit note that of its invoice. */
  month: number;
  /** ISO 4217. */
  currency: string;
  lines: InvoiceLine[];
  totalMicros: bigint;
  /** Of a credit note: the invoice, and why. */
  credits: InvoiceNumber | null;
  reason: string | null;
  issuedAt: number;
}

interface Row {
  year: number;
  sequence: number;
  kind: InvoiceKind;
  clientId: ClientId;
  clientName: string;
  month: number;
  currency: string;
  lines: string;
  total: string;
  creditsYear: number | null;
  creditsSequence: number | null;
  reason: string | null;
  issuedAt: number;
}

interface Place {
  year: number;
  sequence: number;
}

const COLUMNS = `year, sequence, kind, client_id AS clientId, client_name AS clientName, month, currency,
  lines, total, credits_year AS creditsYear, credits_sequence AS creditsSequence, reason,
  issued_at AS issuedAt`;
const FORM = /^(\d{4})-([1-9]\d{6,8}|\d{6})$/;

export class InvoicesTable {
  readonly #clock: Clock;
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#sql = prepareStatements(database);
  }

  /** Makes it final, with the next number. To be called in a transaction. */
  add(invoice: Omit<InvoiceRecord, 'number' | 'issuedAt'>): InvoiceRecord {
    const { lines, totalMicros, credits, ...rest } = invoice;
    assert(totalMicros >= 0n, 'nobody is owed anything by an invoice');
    const issuedAt = this.#clock.now();
    const year = new Date(issuedAt).getUTCFullYear();
    const sequence = (this.#sql.last.get(year) ?? 0) + 1;
    const credited = credits === null ? undefined : must(placeOf(credits), 'it was read before');
    const texts = { lines: JSON.stringify(lines), total: String(totalMicros) };
    const creditsPlace = {
      creditsYear: credited?.year ?? null,
      creditsSequence: credited?.sequence ?? null,
    };
    const row = { ...rest, ...texts, ...creditsPlace, year, sequence, issuedAt };
    guarded(() => this.#sql.insert.run(row));
    return fromRow(row);
  }

  get(number: string): InvoiceRecord | undefined {
    const place = placeOf(number);
    const row = place && this.#sql.get.get(place);
    return row && fromRow(row);
  }

  /** The invoice of a month. */
  ofMonth(clientId: ClientId, month: number): InvoiceRecord | undefined {
    const row = this.#sql.ofMonth.get({ clientId, month });
    return row && fromRow(row);
  }

  /** A client's invoices of that month and of later ones, without credit notes. */
  since(clientId: ClientId, month: number): InvoiceRecord[] {
    return this.#sql.since.all({ clientId, month }).map(fromRow);
  }

  /** What the credit notes of an invoice come to. */
  creditedMicros(number: InvoiceNumber): bigint {
    const place = must(placeOf(number), 'it was read before');
    return this.#sql.credits.all(place).reduce((sum, total) => sum + BigInt(total), 0n);
  }

  /** Up to `limit` of all or of a client by number, after that one if it is given. */
  page({
    clientId = null,
    after,
    limit,
  }: {
    clientId?: ClientId | null | undefined;
    after?: string | undefined;
    limit: number;
  }): InvoiceRecord[] {
    const { year, sequence } = (after && placeOf(after)) || { year: 0, sequence: 0 };
    const statement = clientId === null ? this.#sql.page : this.#sql.pageOf;
    return statement.all({ clientId, year, sequence, limit }).map(fromRow);
  }
}

function placeOf(number: string): Place | undefined {
  const [, year, sequence] = FORM.exec(number) ?? [];
  return year === undefined ? undefined : { year: Number(year), sequence: Number(sequence) };
}

function numberOf({ year, sequence }: Place): InvoiceNumber {
  return `${year}-${String(sequence).padStart(6, '0')}`;
}

function fromRow(row: Row): InvoiceRecord {
  const { year, sequence, creditsYear, creditsSequence, lines, total, ...rest } = row;
  const isCredit = creditsYear !== null && creditsSequence !== null;
  return {
    ...rest,
    number: numberOf({ year, sequence }),
    lines: JSON.parse(lines) as InvoiceLine[],
    totalMicros: BigInt(total),
    credits: isCredit ? numberOf({ year: creditsYear, sequence: creditsSequence }) : null,
  };
}

interface PageBound extends Place {
  clientId: ClientId | null;
  limit: number;
}

function prepareStatements(database: Database.Database) {
  const after = '(year, sequence) > (@year, @sequence) ORDER BY year, sequence LIMIT @limit';
  return {
    last: database
      .prepare<[number], number>('SELECT max(sequence) FROM invoices WHERE year = ?')
      .pluck(),
    insert: database.prepare<[Row]>(
      `INSERT INTO invoices (year, sequence, kind, client_id, client_name, month, currency, lines,
          total, credits_year, credits_sequence, reason, issued_at)
        VALUES (@year, @sequence, @kind, @clientId, @clientName, @month, @currency, @lines,
          @total, @creditsYear, @creditsSequence, @reason, @issuedAt)`,
    ),
    get: database.prepare<[Place], Row>(
      `SELECT ${COLUMNS} FROM invoices WHERE year = @year AND sequence = @sequence`,
    ),
    ofMonth: database.prepare<[{ clientId: ClientId; month: number }], Row>(
      `SELECT ${COLUMNS} FROM invoices
        WHERE client_id = @clientId AND month = @month AND kind = 'invoice'`,
    ),
    since: database.prepare<[{ clientId: ClientId; month: number }], Row>(
      `SELECT ${COLUMNS} FROM invoices
        WHERE client_id = @clientId AND month >= @month AND kind = 'invoice' ORDER BY month`,
    ),
    credits: database
      .prepare<[Place], string>(
        'SELECT total FROM invoices WHERE credits_year = @year AND credits_sequence = @sequence',
      )
      .pluck(),
    page: database.prepare<[PageBound], Row>(`SELECT ${COLUMNS} FROM invoices WHERE ${after}`),
    pageOf: database.prepare<[PageBound], Row>(
      `SELECT ${COLUMNS} FROM invoices WHERE client_id = @clientId AND ${after}`,
    ),
  };
}
