/** A watched program: does a plan to its end. ROOT MARKS SEED ROUNDS */
import { join } from 'node:path';
import { Marks } from './marks.ts';
import { type Action, planOf } from './shard-plan.ts';
import { ShardWorker } from './shard-worker.ts';

const [root = '', marksPath = '', seed, rounds] = process.argv.slice(2);
const marks = new Marks(marksPath);
const worker = new ShardWorker(join(root, 'data'));
await worker.open();
let next = 0;
for (const step of planOf(Number(seed), Number(rounds)).steps) await Promise.all(step.map(perform));
await worker.close(true);

/** The order in which actions begin is that of the plan. */
async function perform(action: Action): Promise<void> {
  const number = next;
  next += 1;
  marks.say({ began: number });
  const written = await worker.perform(action);
  marks.say({ acknowledged: number, ...(written && { version: written.version }) });
}
