/** What one request has come to so far, added up by whoever does a part of it. */
import type { ClientId, RequestId } from '../../shared/base/ids.ts';

export class Tally {
  /** Of work; what one is says `data-plane/cost.ts`. */
  units = 0;
  /** Searches, each of a batch, counts, pages, and lists of points by id. */
  queries = 0;
  /** Bytes of payloads and vectors that were read out. */
  payloadRead = 0;
  vectorRead = 0;
  /** The same of those that were stored. */
  payloadWritten = 0;
  vectorWritten = 0;
  /** Points that were deleted, or whose payload was taken away; undefined: that was not asked for, or it is
   * not known (yet) how many. */
  deleted: number | undefined = undefined;
}

/** Whole units; every request that is done costs one at least. */
export function unitsOf({ units }: Tally): number {
  return Math.max(1, Math.round(units));
}

/** Whose work it is, and in which request. */
export interface Payer {
  readonly clientId: ClientId;
  readonly tally: Tally;
  readonly requestId: RequestId;
}
