/** Entry of a writer thread. It owns the write connections of the shards that hash to it. */
import { parentPort, workerData } from 'node:worker_threads';
import { must } from '../../shared/base/assert.ts';
import { WriterLoop, type WriterLoopOptions, type WriterRequest } from './writer-loop.ts';

const port = must(parentPort, 'this file runs as a worker thread');

const loop = new WriterLoop(
  {
    send: (message, transfer) => port.postMessage(message, transfer),
    // The check phase comes after the poll phase has delivered all messages that are there.
    later: (action) => setImmediate(action),
  },
  workerData as WriterLoopOptions,
);

port.on('message', (request: WriterRequest | { kind: 'close' }) => {
  if (request.kind === 'close') loop.close(() => port.close());
  else loop.accept(request);
});
port.postMessage({ kind: 'ready' });
