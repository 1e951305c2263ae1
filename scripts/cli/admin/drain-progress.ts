/** Waits until a worker that is being drained holds nothing, and tells how far it is. */
import { holdProcessOpen, systemClock } from '../../../shared/base/clock.ts';
import { CommandError } from '../command-error.ts';
import { printJson } from '../output.ts';
import type { AdminParts } from './admin-options.ts';
import type { WorkerRow } from './admin-replies.ts';

const LOOK_MS = 1_000;
/** Workers that start again are there within seconds, and may take what nobody could before. */
const PATIENCE_MS = 10_000;

/**
 * Resolves to the worker when no replica and no file of one is left on it. Throws a `CommandError`
 * when the drain is taken back, or when nobody may take what is left.
 */
export async function untilEmpty(parts: AdminParts, workerId: string): Promise<WorkerRow> {
  // Between two looks nothing is under way.
  const release = holdProcessOpen();
  try {
    return await watch(parts, workerId);
  } finally {
    release();
  }
}

async function watch({ admin, output }: AdminParts, workerId: string): Promise<WorkerRow> {
  const clock = systemClock;
  let told = '';
  let movedMs = clock.monotonicMs();
  for (;;) {
    const worker = await admin.showWorker(workerId);
    const progress = progressOf(worker);
    if (progress !== told) {
      told = progress;
      if (output.json) printJson(output, { ...worker });
      else output.write(`${progress}\n`);
    }
    if (worker.shards === 0 && worker.erasing === 0) return worker;
    if (!worker.draining) {
      throw new CommandError('the drain was taken back', { exit: 'refused' });
    }
    const isStuck = worker.stranded > 0 && worker.stranded === worker.shards;
    if (!isStuck) movedMs = clock.monotonicMs();
    if (clock.monotonicMs() - movedMs > PATIENCE_MS) throw stuck(worker);
    const { promise, resolve } = Promise.withResolvers<void>();
    clock.after(LOOK_MS, resolve);
    await promise;
  }
}

function progressOf({ shards, stranded, erasing, connected }: WorkerRow): string {
  const parts = [`${shards} ${shards === 1 ? 'shard' : 'shards'} left`];
  if (stranded > 0) parts.push(`${stranded} that no other worker may take`);
  if (erasing > 0) parts.push(`${erasing} to erase`);
  if (!connected) parts.push('it is away, and what only it holds waits for it');
  return parts.join(', ');
}

function stuck({ worker_id, stranded, dedicated_to }: WorkerRow): CommandError {
  const client = dedicated_to === null ? 'their clients' : `the client ${dedicated_to}`;
  const what = stranded === 1 ? 'its last shard' : `its last ${stranded} shards`;
  const text =
    `${worker_id} can not be emptied: no other worker may take ${what}. Start one more worker for ` +
    `${client}, or lower their replication factor; the drain goes on`;
  return new CommandError(text, { exit: 'refused' });
}
