/**
 * What requests come to, added up in memory and handed to the ledger twice a second: it costs the
 * path of a request one look into a map.
 *
 *   note() --> sums by client, key, hour, class and status --500 ms--> one entry --> on disk
 *                ^                                               |
 *                +---- what comes meanwhile is the next one's ---+
 *
 * A process that is killed loses what was noted in its last moments, a second of it at most; nothing is
 * ever counted twice (`ledger/ledger.ts`). Writes are not billed by this but by what shards have noted
 * (`cluster/metering.ts`). When an entry does not get to the disk the sums wait, and after a while requests are
 * refused instead (`isBehind`), so that what they came to is not lost.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { hourOf } from '../../shared/protocol/meter.ts';
import type { RequestSum } from '../ledger/entries.ts';
import { type Gathered, Handover } from '../ledger/handover.ts';
import type { Ledger } from '../ledger/ledger.ts';

export interface RequestMeterDeps {
  ledger: Pick<Ledger, 'append' | 'isFull'>;
  clock: Clock;
}

/** One request that has ended. */
export interface RequestNote {
  clientId: ClientId;
  mode: Mode;
  namespace: string;
  keyId: KeyId;
  /** What kind of request it was. */
  route: string;
  status: number;
  queries: number;
  units: number;
  bytesIn: number;
  bytesOut: number;
}

/** So long may an entry take until requests are refused. */
const PATIENCE_MS = 5_000;
/** And so many different sums may wait. */
const SUMS_MAX = 50_000;

export class RequestMeter {
  readonly #deps: RequestMeterDeps;
  #sums = new Map<string, RequestSum>();
  /** Of `#sums`: the last one of each key. */
  readonly #last = new Map<KeyId, RequestSum>();
  readonly #handover: Handover;
  #closed = false;

  constructor(deps: RequestMeterDeps) {
    this.#deps = deps;
    this.#handover = new Handover({ ...deps, take: () => this.#take(), urgent: false });
  }

  /** Whether the ledger can not keep up. */
  get isBehind(): boolean {
    const { ledger, clock } = this.#deps;
    if (ledger.isFull || this.#sums.size >= SUMS_MAX) return true;
    const { sinceMs } = this.#handover;
    return sinceMs !== undefined && clock.monotonicMs() - sinceMs > PATIENCE_MS;
  }

  /** After the end nothing is noted: what still comes are connections that were cut. */
  note(note: RequestNote): void {
    if (this.#closed) return;
    const hour = hourOf(this.#deps.clock.now());
    // Mostly a key asks for the same as before.
    const last = this.#last.get(note.keyId);
    const sum = last !== undefined && isFor(last, note, hour) ? last : this.#sumOf(note, hour);
    sum.requests += 1;
    sum.queries += note.queries;
    sum.units += note.units;
    sum.bytesIn += note.bytesIn;
    sum.bytesOut += note.bytesOut;
  }

  #sumOf(
    { clientId, mode, namespace, keyId, route, status }: RequestNote,
    hour: number,
  ): RequestSum {
    const place = `${keyId} ${hour} ${status} ${route} ${namespace}`;
    let sum = this.#sums.get(place);
    if (sum === undefined) {
      const amounts = { requests: 0, queries: 0, units: 0, bytesIn: 0, bytesOut: 0 };
      sum = { clientId, mode, namespace, keyId, hour, route, status, ...amounts };
      this.#sums.set(place, sum);
      this.#handover.soon();
    }
    this.#last.set(keyId, sum);
    return sum;
  }

  /** Hands over what is left. */
  async close(deadline?: Deadline): Promise<void> {
    this.#closed = true;
    await this.#handover.close(deadline);
  }

  #take(): Gathered | undefined {
    if (this.#sums.size === 0) return undefined;
    const sums = this.#sums;
    this.#sums = new Map();
    this.#last.clear();
    return { entry: { kind: 'requests', sums: [...sums.values()] }, keep: () => this.#keep(sums) };
  }

  /** It was not taken: it is the next one's, too. */
  #keep(sums: ReadonlyMap<string, RequestSum>): void {
    this.#last.clear();
    for (const [place, sum] of sums) {
      const other = this.#sums.get(place);
      this.#sums.set(place, other === undefined ? sum : sumOf(sum, other));
    }
  }
}

function isFor(sum: RequestSum, note: RequestNote, hour: number): boolean {
  const { status, route, namespace } = sum;
  if (status !== note.status || route !== note.route || sum.hour !== hour) return false;
  return namespace === note.namespace;
}

function sumOf(a: RequestSum, b: RequestSum): RequestSum {
  return {
    ...a,
    requests: a.requests + b.requests,
    queries: a.queries + b.queries,
    units: a.units + b.units,
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
  };
}
