/**
 * A watched program: finds what another one left that died, says what it sees there, and writes to it.
 * ROOT MARKS RUN
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describeShard, NEW_IDS } from './fault-run.ts';
import { Marks } from './marks.ts';
import { type Action, shardIdOf, type Write } from './shard-plan.ts';
import { ShardWorker, warmShard } from './shard-worker.ts';

/** Above the numbers of the actions before, and above the versions of their writes. */
const LATER = 1_000;
const SHARDS = 2;

const [root = '', marksPath = '', run = ''] = process.argv.slice(2);
const marks = new Marks(marksPath);
marks.say({ restarted: true });
const worker = new ShardWorker(join(root, run));
await worker.open();
let next = LATER;
for (let shard = 0; shard < SHARDS; shard += 1) {
  if (!worker.registry.has(shardIdOf(shard))) continue;
  const opened = await warmShard(worker.registry, shardIdOf(shard));
  const saw = await describeShard(opened);
  marks.say({ saw, shard });
  await write(shard, { kind: 'upsert', ids: NEW_IDS, round: 1 });
  await write(shard, { kind: 'delete', ids: NEW_IDS.slice(1) });
  assert.notEqual(await describeShard(opened), saw);
}
await worker.close(true);

async function write(shard: number, change: Write): Promise<void> {
  const number = next;
  next += 1;
  const action: Action = { kind: 'write', shard, version: number, write: change };
  marks.say({ began: number, action });
  await worker.perform(action);
  marks.say({ acknowledged: number });
}
