/**
 * What a client owes for any interval of hours: what the ledger has of it, at the prices that were in force
 * (`billing/statement.ts` says how it is added up and rounded).
 */
import type { Clock } from '../../../shared/base/clock.ts';
import type { ClientId } from '../../../shared/base/ids.ts';
import { InvalidInput } from '../../../shared/base/invalid.ts';
import { LIMITS } from '../../../shared/domain/limits.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import { hourOf } from '../../../shared/protocol/meter.ts';
import {
  groupOf,
  linesOf,
  type StatementBy,
  type StatementLine,
  spansOf,
  totalOf,
} from '../../billing/statement.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { ControlStore } from '../../store/control-store.ts';
import { type Hours, parseHours, type WantedHours } from '../hours.ts';

export interface StatementWanted extends WantedHours {
  by: StatementBy;
}

export interface Statement extends Hours {
  clientId: ClientId;
  /** ISO 4217; amounts are millionths of it. */
  currency: string;
  by: StatementBy;
  lines: StatementLine[];
  totalMicros: bigint;
}

export interface StatementsDeps {
  store: Pick<ControlStore, 'priceHistory'>;
  ledger: Pick<Ledger, 'ask'>;
  clock: Clock;
  currency: string;
}

export class Statements {
  readonly #deps: StatementsDeps;

  constructor(deps: StatementsDeps) {
    this.#deps = deps;
  }

  /** One that is or was there. Throws `not_found`. */
  clientOf(text: string): ClientId {
    const account = this.#deps.store.priceHistory.account(text as ClientId);
    if (account === undefined) throw new AppError('not_found', 'there is no such client');
    return account.clientId;
  }

  /** Up to the hour that it is now. Throws `InvalidInput`, also for more lines than are answered. */
  async report(clientId: ClientId, { by, ...wanted }: StatementWanted): Promise<Statement> {
    const now = this.#deps.clock.now();
    const { from, until } = parseHours(wanted, now);
    const end = Math.min(until, hourOf(now) + 1);
    if (end <= from) throw new InvalidInput('from', 'must not be after the current hour');
    return this.of(clientId, { from, until: end }, by);
  }

  /** The same for hours that are known to be good. */
  async of(clientId: ClientId, hours: Hours, by: StatementBy = 'none'): Promise<Statement> {
    const { store, ledger, currency } = this.#deps;
    const terms = store.priceHistory.termsOf(clientId);
    const spans = spansOf(terms, { ...hours, byDay: by === 'day' });
    checkCount(spans.length);
    const used = await ledger.ask('billed', { clientId, spans, by: groupOf(by) });
    const lines = linesOf(spans, used);
    checkCount(lines.length);
    return { clientId, currency, ...hours, by, lines, totalMicros: totalOf(lines) };
  }
}

function checkCount(count: number): void {
  if (count <= LIMITS.statementLinesMax) return;
  const problem = `these are more than ${LIMITS.statementLinesMax} lines: ask for a shorter time or for fewer`;
  throw new InvalidInput('by', problem);
}
