import Type from 'typebox';
import { closed } from '../schema.ts';

/** What the worker takes of its machine, and what is left there. It names no shard. */
export const workerStatus = {
  number: 7,
  writes: false,
  aboutWorker: true,
  request: closed({}),
  reply: closed({
    /** That it has in its folder, whatever the coordinator knows of them. */
    shards: Type.Integer({ minimum: 0 }),
    /** Processors in use, as an average over the last seconds. */
    cpu: Type.Number({ minimum: 0 }),
    /** Of the whole process, files that are mapped into it too. */
    memoryBytes: Type.Integer({ minimum: 0 }),
    /** Of the file system that its data folder is on. */
    diskFreeBytes: Type.Integer({ minimum: 0 }),
    diskBytes: Type.Integer({ minimum: 0 }),
  }),
};
