/**
 * Hands what somebody gathers in memory over to the ledger, one entry at a time:
 *
 *   soon() --500 ms, or now()--> take() --> append --> on disk --> what was gathered meanwhile: soon()
 *                                            |
 *                                            +-- refused, the ledger can not keep up: back to who gathers, who
 *                                                has it in the next entry --> soon()
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { LedgerEntry } from './entries.ts';
import type { Ledger } from './ledger.ts';

export interface Gathered {
  entry: LedgerEntry;
  /** It was not taken: it comes with the next. */
  keep: () => void;
}

export interface HandoverDeps {
  ledger: Pick<Ledger, 'append'>;
  clock: Clock;
  /** All that was gathered; undefined when there is nothing. */
  take: () => Gathered | undefined;
  /** Whether the ledger need not gather others before it writes. */
  urgent: boolean;
}

const FLUSH_MS = 500;

export class Handover {
  readonly #deps: HandoverDeps;
  #cancel: (() => void) | undefined;
  #sinceMs: number | undefined;
  #sent: Promise<'taken' | 'refused' | 'ended'> = Promise.resolve('taken');
  #closed = false;

  constructor(deps: HandoverDeps) {
    this.#deps = deps;
  }

  /** From when on an entry is under way, in monotonic time; undefined: none is. */
  get sinceMs(): number | undefined {
    return this.#sinceMs;
  }

  /** There is something to hand over. */
  soon(): void {
    if (this.#closed) return;
    this.#cancel ??= this.#deps.clock.after(FLUSH_MS, () => this.now());
  }

  /** Hands over at once what is there, unless an entry is under way: what came meanwhile follows that. */
  now(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#sinceMs !== undefined) return;
    const { clock, take } = this.#deps;
    const gathered = take();
    if (gathered === undefined) return;
    this.#sinceMs = clock.monotonicMs();
    this.#sent = this.#append(gathered);
  }

  /**
   * Hands over what is left; what is refused is tried again after a pause, as far as the time goes. Nothing may be
   * gathered any more.
   */
  async close(deadline?: Deadline): Promise<void> {
    this.#closed = true;
    for (;;) {
      this.now();
      if (this.#sinceMs === undefined) return;
      const outcome = await this.#sent;
      if (outcome === 'ended' || deadline?.expired === true) return;
      if (outcome === 'refused') await this.#pause();
    }
  }

  async #append({ entry, keep }: Gathered): Promise<'taken' | 'refused' | 'ended'> {
    const { ledger, urgent } = this.#deps;
    try {
      await ledger.append(entry, { urgent });
      return 'taken';
    } catch (error) {
      // A ledger that has ended takes nothing any more: it is lost as in a process that is killed.
      if (error instanceof AppError && error.code === 'shutting_down') return 'ended';
      if (!(error instanceof AppError) || error.code !== 'overloaded') throw error;
      keep();
      return 'refused';
    } finally {
      this.#sinceMs = undefined;
      this.soon();
    }
  }

  #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#deps.clock.after(FLUSH_MS, resolve);
    return promise;
  }
}
