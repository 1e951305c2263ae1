/**
 * Invoices: the statement of a month, at first a draft that is computed each time it is looked at, then final.
 *
 *   draft (computed) ---- the month is over: an operator, or by itself some time later ----> final (stored)
 *                                                                                   \
 *                                                                                    +--> credit notes
 *
 * What reaches the ledger after a month's invoice became final is billed with the next one: its lines of
 * earlier months are what the ledger has of these beyond what invoices have billed. So all invoices of a client
 * together come to all that the ledger has, but for what is later than three months. A month that came to nothing has
 * no invoice, but what of it comes late is billed the same way.
 */
import type { Clock } from '../../../shared/base/clock.ts';
import type { ClientId } from '../../../shared/base/ids.ts';
import { InvalidInput } from '../../../shared/base/invalid.ts';
import { LIMITS } from '../../../shared/domain/limits.ts';
import type { Notice } from '../../../shared/domain/notices.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import { hourOf } from '../../../shared/protocol/meter.ts';
import { lateLines } from '../../billing/late-lines.ts';
import { formatMonth, monthOfHour, monthStart, parseMonth } from '../../billing/months.ts';
import { type BilledLine, totalOf } from '../../billing/statement.ts';
import type { Origin } from '../../store/admin-audit.ts';
import type { ControlStore } from '../../store/control-store.ts';
import type { InvoiceLine, InvoiceRecord } from '../../store/invoices.ts';
import { parseName } from '../name.ts';
import { type Page, pageOf } from '../page.ts';
import type { Statements } from './statements.ts';

type Store = Pick<
  ControlStore,
  'invoices' | 'priceHistory' | 'audited' | 'transaction' | 'afterCommit'
>;

export interface InvoicesDeps {
  store: Store;
  statements: Statements;
  clock: Clock;
  currency: string;
  /** Told of what has become final, in its transaction; absent where nobody is told. */
  tell: (notice: Notice) => void;
}

/** What a month comes to as far as it is known; `null` is what it has when it is final. */
export interface Draft extends Omit<InvoiceRecord, 'number' | 'issuedAt' | 'lines'> {
  number: null;
  issuedAt: null;
  lines: readonly BilledLine[];
}

/** An invoice with what was credited of it. */
export interface Shown {
  invoice: Draft | InvoiceRecord;
  creditedMicros: bigint;
}

/** Months before one whose late usage it has. */
const LATE_MONTHS = 3;

export class Invoices {
  readonly #deps: InvoicesDeps;
  /** One becomes final after the other: each has to know what the one before has billed. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: InvoicesDeps) {
    this.#deps = deps;
  }

  /** The month that a text names. Throws `InvalidInput` for one that is none or has not begun. */
  monthOf(text: string): number {
    const month = parseMonth(text);
    if (month === undefined) {
      throw new InvalidInput('month', 'must be a year and a month, for example 2028-02');
    }
    if (month > this.#monthNow()) throw new InvalidInput('month', 'has not begun yet');
    return month;
  }

  /** The invoice of a month, a draft until it is final. */
  async ofMonth(clientId: ClientId, month: number): Promise<Shown> {
    const final = this.#deps.store.invoices.ofMonth(clientId, month);
    if (final !== undefined) return this.#withCredits(final);
    return { invoice: await this.draft(clientId, month), creditedMicros: 0n };
  }

  /** What it would be now. */
  async draft(clientId: ClientId, month: number): Promise<Draft> {
    const { store, currency } = this.#deps;
    const clientName = store.priceHistory.account(clientId)?.name ?? '';
    const lines = [
      ...(await this.#late(clientId, month)),
      ...(await this.#unbilled(clientId, month)),
    ];
    const whose = { clientId, clientName, month, currency, lines, totalMicros: totalOf(lines) };
    const none = { number: null, issuedAt: null, credits: null, reason: null };
    return { kind: 'invoice', ...whose, ...none };
  }

  /**
   * Makes the invoice of a month final, or answers the one that is. Throws `conflict` before the month is
   * over.
   */
  finalise(origin: Origin, clientId: ClientId, month: number): Promise<InvoiceRecord> {
    const made = this.#turn.then(() => this.#finalise(origin, clientId, month));
    // Whoever waits for it hears of a failure; the next one does not.
    this.#turn = made.catch(() => undefined);
    return made;
  }

  /** Throws `not_found`, also for another client's where one is named. */
  show(number: string, clientId?: ClientId): Shown {
    const invoice = this.#deps.store.invoices.get(number);
    if (invoice === undefined || (clientId !== undefined && invoice.clientId !== clientId)) {
      throw new AppError('not_found', 'there is no such invoice');
    }
    return this.#withCredits(invoice);
  }

  /** Final ones by number, credit notes too. */
  list(from: {
    clientId?: ClientId | undefined;
    after?: string | undefined;
    limit?: number | undefined;
  }): Page<Shown> {
    const { clientId, after, limit = LIMITS.adminPageMax } = from;
    const found = this.#deps.store.invoices.page({ clientId, after, limit: limit + 1 });
    const page = pageOf(found, limit, ({ number }) => number);
    return { items: page.items.map((one) => this.#withCredits(one)), next: page.next };
  }

  /**
   * Takes back a part of an invoice, or all of it. Throws `not_found`, `InvalidInput` for no reason or more
   * than is left.
   */
  credit(
    origin: Origin,
    number: string,
    { amountMicros, reason }: { amountMicros: bigint; reason: string },
  ): InvoiceRecord {
    const { store } = this.#deps;
    const why = parseName(reason, 'reason');
    return store.transaction(() => {
      const { invoice, creditedMicros } = this.show(number);
      if (invoice.kind !== 'invoice' || invoice.number === null) {
        throw new AppError('conflict', 'it is a credit note: name the invoice that it is of');
      }
      const left = invoice.totalMicros - creditedMicros;
      if (amountMicros < 1n || amountMicros > left) {
        throw new InvalidInput('amount_micros', `must be from 1 to ${left}, what is left`);
      }
      const { clientId, clientName, month, currency } = invoice;
      const whose = { clientId, clientName, month, currency };
      const what = { totalMicros: amountMicros, credits: invoice.number, reason: why };
      return this.#issue(origin, { kind: 'credit_note', ...whose, ...what, lines: [] });
    });
  }

  async #finalise(origin: Origin, clientId: ClientId, month: number): Promise<InvoiceRecord> {
    const { store } = this.#deps;
    const known = store.invoices.ofMonth(clientId, month);
    if (known !== undefined) return known;
    if (month >= this.#monthNow()) {
      throw new AppError(
        'conflict',
        `${formatMonth(month)} is not over yet: its invoice is a draft`,
      );
    }
    const { lines, ...draft } = await this.draft(clientId, month);
    return this.#issue(origin, { ...draft, lines: lines.map(snapshotOf) });
  }

  #issue(origin: Origin, invoice: Omit<InvoiceRecord, 'number' | 'issuedAt'>): InvoiceRecord {
    const { store, tell } = this.#deps;
    return store.audited(origin, () => {
      const result = store.invoices.add(invoice);
      const { number, clientId, totalMicros, credits, reason } = result;
      const month = formatMonth(result.month);
      const total_micros = String(totalMicros);
      tell({
        type: 'invoice.issued',
        clientId,
        key: number,
        data: { invoice: number, month, total_micros },
      });
      const after = { client_id: clientId, month, total_micros, credits, reason };
      const action = `${result.kind}.issue`;
      return { action, target: number, before: null, after, result };
    });
  }

  async #used(clientId: ClientId, month: number): Promise<BilledLine[]> {
    const end = Math.min(monthStart(month + 1), hourOf(this.#deps.clock.now()) + 1);
    const hours = { from: monthStart(month), until: end };
    return (await this.#deps.statements.of(clientId, hours)).lines;
  }

  /** Of earlier months, what is not on their invoices nor on later ones. */
  async #late(clientId: ClientId, month: number): Promise<BilledLine[]> {
    const { store } = this.#deps;
    const late: BilledLine[] = [];
    for (let of = month - LATE_MONTHS; of < month; of += 1) {
      const hasInvoice = store.invoices.ofMonth(clientId, of) !== undefined;
      if (!hasInvoice && !this.#cameToNothing(clientId, of)) continue;
      const lines = await this.#unbilled(clientId, of);
      if (hasInvoice || totalOf(lines) > 0n) late.push(...lines);
    }
    return late;
  }

  /** Whether a month without an invoice was looked at, and is not left to operators. */
  #cameToNothing(clientId: ClientId, month: number): boolean {
    const account = this.#deps.store.priceHistory.account(clientId);
    return account !== undefined && month >= account.since && month < account.settled;
  }

  /** Of a month, what is not on its invoice nor on later ones. */
  async #unbilled(clientId: ClientId, month: number): Promise<BilledLine[]> {
    const used = await this.#used(clientId, month);
    const invoices = this.#deps.store.invoices.since(clientId, month);
    const billed = invoices.flatMap(({ lines }) => lines.map(lineOf));
    // Else as the statement has them.
    const isNew = !billed.some((line) => monthOfHour(line.from) === month);
    return isNew ? used : lateLines(used, billed);
  }

  #withCredits(invoice: InvoiceRecord): Shown {
    const { store } = this.#deps;
    const isInvoice = invoice.kind === 'invoice';
    return {
      invoice,
      creditedMicros: isInvoice ? store.invoices.creditedMicros(invoice.number) : 0n,
    };
  }

  #monthNow(): number {
    return monthOfHour(hourOf(this.#deps.clock.now()));
  }
}

function snapshotOf(line: BilledLine): InvoiceLine {
  return {
    item: line.item,
    planId: line.planId,
    from: line.from,
    until: line.until,
    quantity: String(line.quantity),
    unitPriceMicros: line.unitPriceMicros,
    per: String(line.per),
    amountMicros: String(line.amountMicros),
  };
}

/** The same, to be reckoned with. */
export function lineOf(line: InvoiceLine | BilledLine): BilledLine {
  return {
    ...line,
    item: line.item as BilledLine['item'],
    quantity: BigInt(line.quantity),
    per: BigInt(line.per),
    amountMicros: BigInt(line.amountMicros),
  };
}
