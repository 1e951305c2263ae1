/** Versions for changes of tests that have no coordinator. */
import type { PointsStore } from '../../worker/points/points-store.ts';
import type { OpResult, ShardWriter } from '../../worker/points/shard-writer.ts';
import type { Change, WriteOp, WriteOutcome } from '../../worker/points/write-op.ts';

/** Gives each change the next version, whatever becomes of it. */
export function numbering(): (change: Change) => WriteOp {
  let last = 0;
  return (change) => {
    last += 1;
    return { ...change, version: last };
  };
}

const numberings = new Map<string, (change: Change) => WriteOp>();

/** `store.write` under the next version of the folder. */
export function write(store: PointsStore, folder: string, change: Change): Promise<WriteOutcome> {
  const numbered = numberings.get(folder) ?? numbering();
  numberings.set(folder, numbered);
  return store.write(folder, numbered(change));
}

/** A writer that numbers what it commits. */
export class NumberingWriter {
  readonly #writer: ShardWriter;
  readonly #numbered: (change: Change) => WriteOp;

  constructor(writer: ShardWriter, numbered = numbering()) {
    this.#writer = writer;
    this.#numbered = numbered;
  }

  commit(changes: readonly Change[]): OpResult[] {
    return this.#writer.commit(changes.map(this.#numbered));
  }

  close(): void {
    this.#writer.close();
  }
}
