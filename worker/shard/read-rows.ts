/**
 * Reading many rows on the thread that searches: the reader answers for a part at a time, and
 * between two parts others get their turn.
 */
import { LIMITS } from '../../shared/domain/limits.ts';
import { replyTooLarge } from '../../shared/protocol/reply-bound.ts';
import type { PointRow } from '../points/points-reader.ts';
import type { Slices } from './slices.ts';

/**
 * One entry a key, in order. `read` gives entries for the first keys of those it is handed, one at
 * least. Throws when the rows would not fit one reply.
 */
export async function readAll<Key>(
  keys: readonly Key[],
  read: (keys: readonly Key[]) => (PointRow | undefined)[],
  slices: Slices,
): Promise<(PointRow | undefined)[]> {
  const budget = new ReplyBudget();
  let entries = read(keys);
  budget.spend(entries);
  while (entries.length < keys.length) {
    if (slices.due) await slices.rest();
    const more = read(keys.slice(entries.length));
    budget.spend(more);
    entries = entries.concat(more);
  }
  return entries;
}

/** What is left of the largest reply. */
export class ReplyBudget {
  #bytes: number = LIMITS.replyBytesMax;

  /** Throws when the rows are more than what is left. */
  spend(rows: readonly (PointRow | undefined)[]): void {
    for (const row of rows) {
      if (row !== undefined) this.#bytes -= (row.payload?.length ?? 0) + row.vector.byteLength;
    }
    if (this.#bytes < 0) throw replyTooLarge();
  }
}
