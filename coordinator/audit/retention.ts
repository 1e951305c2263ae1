/**
 * Has audit chains pruned that hold more than they are kept for: once an hour each chain is looked at, a
 * step at a time (`ledger/audit-pruning.ts`), with a pause after each step that had something to do, in which the
 * ledger's thread writes what has come.
 *
 * A client's chain is kept as long as its plan says; that of operators, and those of clients that are gone, as
 * long as the configuration says.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { SteadyClock } from '../../shared/base/steady-clock.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Ledger } from '../ledger/ledger.ts';

export interface RetentionDeps {
  ledger: Pick<Ledger, 'ask' | 'prune'>;
  /** Nothing is pruned by a clock that was just set. */
  steady: Pick<SteadyClock, 'isSteady'>;
  /** Days for which a chain is kept. */
  daysOf: (chain: string) => number;
  clock: Clock;
  log: Log;
}

const DAY_MS = 24 * 3_600_000;
const LOOK_MS = 3_600_000;
const PAUSE_MS = 20;
const CHAINS_AT_ONCE = 500;

export class Retention {
  readonly #deps: RetentionDeps;
  #running: Promise<void> = Promise.resolve();
  #cancel: (() => void) | undefined;
  /** Ends the pause that is under way. */
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(deps: RetentionDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running = this.#look();
  }

  /** A step that is under way is waited for. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    this.#wake?.();
    await this.#running;
  }

  async #look(): Promise<void> {
    try {
      if (this.#deps.steady.isSteady()) await this.#pruneAll();
    } catch (error) {
      this.#failed('all', error);
    }
    if (this.#closed) return;
    this.#cancel = this.#deps.clock.after(LOOK_MS, () => this.start());
  }

  async #pruneAll(): Promise<void> {
    for (let after = ''; ; ) {
      const chains = await this.#deps.ledger.ask('audit-chains', { after, limit: CHAINS_AT_ONCE });
      for (const chain of chains) {
        if (this.#closed) return;
        await this.#prune(chain).catch((error: unknown) => this.#failed(chain, error));
      }
      const last = chains.at(-1);
      if (last === undefined) return;
      after = last;
    }
  }

  async #prune(chain: string): Promise<void> {
    const { ledger, daysOf, clock, log } = this.#deps;
    const now = clock.now();
    const before = now - daysOf(chain) * DAY_MS;
    let entries = 0;
    for (let more = true; more && !this.#closed; ) {
      const step = await ledger.prune({ chain, before, now });
      entries += step.entries;
      more = step.more;
      if (more) await this.#pause();
    }
    if (entries > 0) log.event('audit_pruned', { chain, entries });
  }

  #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#deps.clock.after(PAUSE_MS, resolve);
    this.#wake = () => {
      cancel();
      resolve();
    };
    return promise;
  }

  /** What is left waits for the next hour. */
  #failed(chain: string, error: unknown): void {
    if (!this.#closed) this.#deps.log.event('audit_prune_failed', { chain, error });
  }
}
