/** The writer of one shard of its own, for tests of what it writes. */
import type { ShardId } from '../../shared/base/ids.ts';
import { PointsReader } from '../../worker/points/points-reader.ts';
import { createPointsDb } from '../../worker/points/schema.ts';
import { type OpResult, ShardWriter } from '../../worker/points/shard-writer.ts';
import type { WriteOp } from '../../worker/points/write-op.ts';
import { type Cleanup, cleanUp } from '../harness/cleanup.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

const OPTIONS = { diskReserveBytes: 0 };

export class WriterRig {
  readonly folder: string;
  readonly reader: PointsReader;
  #writer: ShardWriter;

  /** An empty shard, removed when the test ends. */
  constructor(t: Cleanup, dimension: number) {
    this.folder = temporaryFolder(t);
    createPointsDb(this.folder, { shardId: 'shard' as ShardId, dimension });
    this.#writer = new ShardWriter(this.folder, OPTIONS);
    this.reader = new PointsReader(this.folder);
    cleanUp(t, () => {
      this.reader.close();
      this.#writer.close();
    });
  }

  readonly commit = (...ops: WriteOp[]): OpResult[] => this.#writer.commit(ops);

  /** As after the death of its process. */
  readonly reopen = (): void => {
    this.#writer.close();
    this.#writer = new ShardWriter(this.folder, OPTIONS);
  };
}
