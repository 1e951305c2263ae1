/** Audit chains as those see them whom they are about: pages of entries, and exports that can be verified. */
import type { Clock } from '../../shared/base/clock.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { parseDatetime } from '../../shared/domain/datetime.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { AuditFilter, AuditPage, ExportPart, ExportStart } from '../ledger/entries.ts';
import type { Ledger } from '../ledger/ledger.ts';

export interface AuditTrailDeps {
  ledger: Pick<Ledger, 'ask'>;
  clock: Clock;
  /** PEM (SPKI) of the key that verifies exports. */
  publicKey: string;
}

export interface AuditWanted extends Omit<AuditFilter, 'from' | 'until' | 'limit'> {
  limit?: number | undefined;
  /** RFC 3339. */
  from?: string | undefined;
  until?: string | undefined;
}

/** Lines of an export, each with its end. */
export interface AuditExportPart {
  /** The first lines, with the first part. */
  heads: ExportStart['lines'];
  text: string;
  /** What to go on after; null: that was all. */
  next: number | null;
  /** The last entry of the whole export. */
  until: number;
}

const GONE = 'the entries after that one were pruned meanwhile; begin anew';

export class AuditTrail {
  readonly publicKey: string;
  readonly #ledger: Pick<Ledger, 'ask'>;
  readonly #clock: Clock;

  constructor({ ledger, clock, publicKey }: AuditTrailDeps) {
    this.publicKey = publicKey;
    this.#ledger = ledger;
    this.#clock = clock;
  }

  /** Throws `InvalidInput`. A page may be empty although there are more. */
  list(chain: string, { from, until, limit, ...wanted }: AuditWanted): Promise<AuditPage> {
    const span = { from: timeOf(from, 'from'), until: timeOf(until, 'until') };
    const filter = { ...wanted, ...span, limit: limit ?? LIMITS.adminPageMax };
    return this.#ledger.ask('audit-list', { chain, ...filter });
  }

  /**
   * The entries of a chain after one as the lines of an export (`shared/crypto/audit-chain.ts`), some at a time.
   * Throws `InvalidInput` when there is no such entry.
   */
  async export(chain: string, after: number): Promise<AsyncIterable<string>> {
    const { lines, ...span } = await this.#start(chain, after);
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    return this.#lines(chain, { text, ...span });
  }

  /** The same a part at a time; the first one, without `until`, has the signed lines, and says where it ends. */
  async exportPart(
    chain: string,
    { after, until }: { after: number; until?: number | undefined },
  ): Promise<AuditExportPart> {
    const going = until === undefined ? undefined : { lines: [], after, until };
    const { lines, ...span } = going ?? (await this.#start(chain, after));
    const part = await this.#ledger.ask('audit-export', { chain, ...span });
    if (part === undefined) throw new InvalidInput('after', GONE);
    return { heads: lines, ...part, until: span.until };
  }

  async #start(chain: string, after: number): Promise<ExportStart> {
    const now = this.#clock.now();
    const start = await this.#ledger.ask('audit-export-start', { chain, after, now });
    if (!('keptFrom' in start)) return start;
    const kept = `the log is kept from entry ${start.keptFrom} on`;
    throw new InvalidInput('after', `there is no entry of that number; ${kept}`);
  }

  async *#lines(
    chain: string,
    { text, after, until }: { text: string; after: number; until: number },
  ): AsyncIterable<string> {
    yield text;
    for (let next: number | null = after; next !== null; ) {
      const part: ExportPart | undefined = await this.#ledger.ask('audit-export', {
        chain,
        after: next,
        until,
      });
      if (part === undefined) throw new AppError('conflict', GONE);
      yield part.text;
      next = part.next;
    }
  }
}

/** Milliseconds since 1970. */
function timeOf(text: string | undefined, field: string): number | undefined {
  if (text === undefined) return undefined;
  const micros = parseDatetime(text);
  if (micros !== undefined) return Math.floor(micros / 1_000);
  throw new InvalidInput(field, 'must be a time as in RFC 3339, for example 2026-11-01T00:00:00Z');
}
