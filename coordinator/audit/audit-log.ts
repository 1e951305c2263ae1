/**
 * What happens, on its way to the audit chains (`ledger/audit-table.ts`):
 *
 *   request() of a client ----> its chain, of its searches and reads as many as its plan says
 *   refusedKey() -------------> the operators' chain, a minute's of one address in one entry
 *
 * Records are gathered for half a second and handed to the ledger together (`ledger/handover.ts`); a process that is killed
 * loses those. They wait when the ledger is slow, and when too many do, requests are refused (`isBehind`).
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import { entryText } from '../../shared/crypto/audit-chain.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { type AuditTexts, auditTextOf, OPERATORS_CHAIN } from '../ledger/entries.ts';
import { type Gathered, Handover } from '../ledger/handover.ts';
import type { Ledger } from '../ledger/ledger.ts';

export interface AuditLogDeps {
  ledger: Pick<Ledger, 'append'>;
  clock: Clock;
}

/** One request that has ended. */
export interface AuditedRequest {
  clientId: ClientId;
  keyId: KeyId;
  mode: Mode;
  namespace: string;
  /** Method and path, with names in place of what varies. */
  endpoint: string;
  /** '' when it is about none. */
  collection: string;
  status: number;
  units: number;
  /** Points that it deleted; undefined of what deletes none, or when nobody could say. */
  deleted: number | undefined;
  requestId: string;
  /** Only one in so many is noted, the first of them, and says so; 1: each. */
  sample: number;
}

const FLUSH_RECORDS = 1_000;
const MINUTE_MS = 60_000;
/** Beyond so many addresses of one minute, the others are one. */
const ADDRESSES_MAX = 1_000;
/** Beyond so many clients counting begins anew: each has a record more. */
const SAMPLED_CLIENTS_MAX = 100_000;
const OTHER_ADDRESSES = 'others';

export class AuditLog {
  readonly #deps: AuditLogDeps;
  /** By chain, as texts (`ledger/entries.ts`). */
  #records = new Map<string, string[]>();
  #count = 0;
  readonly #handover: Handover;
  /** Of clients whose queries are sampled. */
  readonly #queries = new Map<ClientId, number>();
  readonly #refused = new Map<string, number>();
  #cancelMinute: (() => void) | undefined;
  #closed = false;
  #timeMs = -1;
  #timeText = '';

  constructor(deps: AuditLogDeps) {
    this.#deps = deps;
    this.#handover = new Handover({ ...deps, take: () => this.#take(), urgent: true });
  }

  /** Whether too many records wait. */
  get isBehind(): boolean {
    return this.#count >= LIMITS.ledgerEntriesMax;
  }

  /** Of each request: so its text is made here, as `entryText` would make it, in a tenth of the time. */
  request(request: AuditedRequest): void {
    const { sample } = request;
    if (sample > 1 && !this.#isTurn(request.clientId, sample)) return;
    const { clientId, endpoint, keyId, mode, namespace, collection, status, units } = request;
    const target = collection === '' ? namespace : `${namespace}/${collection}`;
    const who = `{"action":"${endpoint}","actor":"${keyId}","at":"${this.#time()}"`;
    const deleted = request.deleted === undefined ? '' : `"deleted":${request.deleted},`;
    const what = `"chain":"${clientId}",${deleted}"mode":"${mode}","outcome":${status}`;
    const sampled = sample > 1 ? `"sample":${sample},` : '';
    const head = `${who},${what},"request":"${request.requestId}",${sampled}"sequence":`;
    this.#add(clientId, `${head}\0,"target":${quoted(target)},"units":${units}}`);
  }

  /** Counted, not drawn: so many queries have so many records, whatever else happens. */
  #isTurn(clientId: ClientId, sample: number): boolean {
    const count = this.#queries.get(clientId) ?? 0;
    if (count === 0 && this.#queries.size >= SAMPLED_CLIENTS_MAX) this.#queries.clear();
    this.#queries.set(clientId, count + 1 >= sample ? 0 : count + 1);
    return count === 0;
  }

  /** RFC 3339, made once a millisecond. */
  #time(): string {
    const now = this.#deps.clock.now();
    if (now !== this.#timeMs) {
      this.#timeMs = now;
      this.#timeText = new Date(now).toISOString();
    }
    return this.#timeText;
  }

  /** Somebody at this address has shown a key that is none. */
  refusedKey(address: string): void {
    if (this.#closed) return;
    const isKnown = this.#refused.has(address) || this.#refused.size < ADDRESSES_MAX;
    const place = isKnown ? address : OTHER_ADDRESSES;
    this.#refused.set(place, (this.#refused.get(place) ?? 0) + 1);
    this.#cancelMinute ??= this.#deps.clock.after(MINUTE_MS, () => this.#endMinute());
  }

  /** Hands over all that was noted; after it nothing is. */
  async close(deadline?: Deadline): Promise<void> {
    this.#endMinute();
    this.#closed = true;
    await this.#handover.close(deadline);
  }

  #endMinute(): void {
    this.#cancelMinute?.();
    this.#cancelMinute = undefined;
    const own = { action: 'key.refused', at: this.#time(), chain: OPERATORS_CHAIN, outcome: 401 };
    for (const [address, count] of this.#refused) {
      this.#add(OPERATORS_CHAIN, auditTextOf(entryText({ ...own, actor: address, count })));
    }
    this.#refused.clear();
  }

  #add(chain: string, text: string): void {
    if (this.#closed) return;
    const known = this.#records.get(chain);
    if (known === undefined) this.#records.set(chain, [text]);
    else known.push(text);
    this.#count += 1;
    if (this.#count >= FLUSH_RECORDS) this.#handover.now();
    else this.#handover.soon();
  }

  #take(): Gathered | undefined {
    if (this.#count === 0) return undefined;
    const texts = [...this.#records].map(([chain, own]) => [chain, own.join('\n')] as const);
    const count = this.#count;
    this.#records = new Map();
    this.#count = 0;
    return { entry: { kind: 'audit', texts }, keep: () => this.#keep(texts, count) };
  }

  /** They were not taken: they come first with the next. */
  #keep(texts: AuditTexts, count: number): void {
    for (const [chain, text] of texts) {
      this.#records.set(chain, [text, ...(this.#records.get(chain) ?? [])]);
    }
    this.#count += count;
  }
}

/** Nothing that JSON escapes, and nothing beyond ASCII. */
const PLAIN = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text.toWellFormed());
}
