/** Entry of the ledger's thread, the only one that has `ledger.db` open. */
import { parentPort, workerData } from 'node:worker_threads';
import { must } from '../../shared/base/assert.ts';
import type { LedgerRequest, LedgerThreadData } from './entries.ts';
import { LedgerLoop } from './ledger-loop.ts';

const port = must(parentPort, 'this file runs as a worker thread');
const loop = new LedgerLoop(workerData as LedgerThreadData, (message) => port.postMessage(message));

port.on('message', (request: LedgerRequest) => {
  if (request.kind !== 'close') return loop.accept(request);
  loop.close();
  port.close();
});
loop.start();
