/** Entry of the thread that looks through databases (`inspector.ts`): one folder a message. */
import { parentPort } from 'node:worker_threads';
import { must } from '../../shared/base/assert.ts';
import { PointsReader } from './points-reader.ts';
import { isDamage } from './storage-errors.ts';

const port = must(parentPort, 'this file runs as a worker thread');

/** What is wrong; undefined when nothing is, or when the disk did not let us look. */
function inspect(folder: string): string | undefined {
  try {
    const reader = new PointsReader(folder);
    try {
      reader.checkWhole();
    } finally {
      reader.close();
    }
    return undefined;
  } catch (error) {
    return isDamage(error) && error instanceof Error ? error.message : undefined;
  }
}

port.on('message', (folder: string) => port.postMessage(inspect(folder)));
