/**
 * What a reader may see while others write. Time is a count of what the test itself does: sending a
 * write, hearing of its acknowledgement, sending a read, hearing its answer. Each point has one
 * writer, so its versions follow each other:
 *
 *   version 1   sent --- acknowledged ..................| replaced
 *   version 2                           sent --- acknowledged ....
 *   read                      sent ------------ answered
 *
 * The read above may show version 1 or 2, for neither write was over. A version is ruled out when
 * its successor was acknowledged before the read was sent, or when it was sent after the answer. A
 * point with one version left is settled: the read must show that one, whatever else goes on.
 */
import { assert } from '../../shared/base/assert.ts';
import type { Id, ModelPoint } from './model.ts';

/** `undefined` stands for a point that is not there. Points are never changed in place. */
export type Version = ModelPoint | undefined;
export type Changes = ReadonlyMap<Id, Version>;

interface Entry {
  point: Version;
  ackedAt: number;
}

/** The versions of every point that one read may show. */
export interface View {
  /** Points of which only this version is possible. */
  settled: ReadonlyMap<Id, ModelPoint>;
  /** Points with several possible versions. */
  unsettled: ReadonlyMap<Id, readonly Version[]>;
}

export class Timeline {
  #now = 0;
  /** Of each point the versions that an open or coming read may show, oldest first. */
  readonly #entries = new Map<Id, Entry[]>();
  /** When the open reads were sent. */
  readonly #reads = new Set<number>();

  /** Notes that a write is being sent; call the result when it was acknowledged. */
  send(changes: Changes): () => void {
    const added: Entry[] = [];
    for (const [id, point] of changes) {
      const entry = { point, ackedAt: Number.POSITIVE_INFINITY };
      const known = this.#entries.get(id) ?? [{ point: undefined, ackedAt: 0 }];
      assert(known.at(-1)?.ackedAt !== entry.ackedAt, 'a point has one write under way');
      this.#entries.set(id, [...known, entry]);
      added.push(entry);
    }
    return () => {
      const now = this.#tick();
      for (const entry of added) entry.ackedAt = now;
      this.#forget(changes);
    };
  }

  /** Notes that a read is being sent; call the result as soon as its answer is there. */
  read(): () => View {
    const sentAt = this.#tick();
    this.#reads.add(sentAt);
    return () => {
      this.#reads.delete(sentAt);
      return this.#viewSince(sentAt);
    };
  }

  #viewSince(sentAt: number): View {
    const settled = new Map<Id, ModelPoint>();
    const unsettled = new Map<Id, readonly Version[]>();
    for (const [id, entries] of this.#entries) {
      const possible = possibleSince(entries, sentAt);
      if (possible.length > 1)
        unsettled.set(
          id,
          possible.map((entry) => entry.point),
        );
      else if (possible[0]?.point !== undefined) settled.set(id, possible[0].point);
    }
    return { settled, unsettled };
  }

  /** Drops what no read can show any more. */
  #forget(changes: Changes): void {
    const oldest = Math.min(this.#now, ...this.#reads);
    for (const id of changes.keys()) {
      const entries = this.#entries.get(id) ?? [];
      this.#entries.set(id, possibleSince(entries, oldest));
    }
  }

  #tick(): number {
    this.#now += 1;
    return this.#now;
  }
}

/** Without those whose successor was acknowledged before. */
function possibleSince(entries: Entry[], sentAt: number): Entry[] {
  return entries.filter((_, i) => {
    const successor = entries[i + 1];
    return successor === undefined || successor.ackedAt > sentAt;
  });
}
