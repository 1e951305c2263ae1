/**
 * Carries what operators and keys have changed to the audit chains. The change and its row are one transaction of
 * `control.db` (`store.audited`), made before anybody is answered; from there the rows go, in their order and each
 * once, to the operators' chain and to that of the client that a change was about:
 *
 *   control.db: change + row --> ledger.db: entries + number of the last row, in one transaction
 *
 * A row that is there is in the chains in the end, whatever dies.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { isId } from '../../shared/base/ids.ts';
import { entryText } from '../../shared/crypto/audit-chain.ts';
import type { Log } from '../../shared/log/log.ts';
import { type AuditRecord, auditTextsOf, OPERATORS_CHAIN } from '../ledger/entries.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { AdminAudit, AdminAuditEntry } from '../store/admin-audit.ts';

export interface ChangeLogDeps {
  store: { adminAudit: AdminAudit };
  ledger: Pick<Ledger, 'append' | 'ask'>;
  clock: Clock;
  log: Log;
}

const PAGE = 500;
const LOOK_MS = 1_000;

export class ChangeLog {
  readonly #deps: ChangeLogDeps;
  /** The last row that is in the chains; unknown until the ledger was asked. */
  #carried: number | undefined;
  #cancel: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();
  #isFailing = false;
  #closed = false;

  constructor(deps: ChangeLogDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running = this.#look();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#running;
    await this.#carry().catch((error: unknown) => this.#failed(error));
  }

  async #look(): Promise<void> {
    try {
      await this.#carry();
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#failed(error);
      this.#isFailing = true;
    }
    if (this.#closed) return;
    this.#cancel = this.#deps.clock.after(LOOK_MS, () => {
      this.#running = this.#look();
    });
  }

  /** All rows that are there. */
  async #carry(): Promise<void> {
    const { store, ledger } = this.#deps;
    for (;;) {
      const after = this.#carried ?? (await ledger.ask('changes', undefined));
      const rows = store.adminAudit.page(after, PAGE);
      const last = rows.at(-1);
      this.#carried = last?.sequence ?? after;
      if (last === undefined) return;
      const texts = auditTextsOf(rows.flatMap(recordsOf));
      const entry = { kind: 'changes' as const, after, upTo: last.sequence, texts };
      try {
        await ledger.append(entry, { urgent: true });
      } catch (error) {
        this.#carried = undefined;
        throw error;
      }
    }
  }

  #failed(error: unknown): void {
    this.#deps.log.event('change_log_failed', { error });
  }
}

function recordsOf(row: AdminAuditEntry): AuditRecord[] {
  const { at, action, actor, target, before, after, requestId, sequence } = row;
  const what = { action, actor, after, before, change: sequence, outcome: 'done', target };
  const fields = { ...what, at: new Date(at).toISOString(), request: requestId };
  const client = clientOf(row);
  const chains = client === undefined ? [OPERATORS_CHAIN] : [OPERATORS_CHAIN, client];
  return chains.map((chain) => ({ chain, ...entryText({ ...fields, chain }) }));
}

/** Whom a change is about. */
function clientOf({ target, before, after }: AdminAuditEntry): string | undefined {
  if (isId('cl_', target)) return target;
  const shown = after ?? before ?? {};
  return 'client_id' in shown && typeof shown.client_id === 'string' ? shown.client_id : undefined;
}
