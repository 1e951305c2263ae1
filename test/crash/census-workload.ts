/** A watched program: archives censuses, a draft among them that is written again and goes. ROOT MARKS SEED COUNT */
import { join } from 'node:path';
import { censusPlanOf, openArchive } from './census-plan.ts';
import { Marks } from './marks.ts';

const [root = '', marksPath = '', seed, count] = process.argv.slice(2);
const marks = new Marks(marksPath);
const archive = openArchive(join(root, 'data', 'coordinator'));
await archive.start();
for (const [number, step] of censusPlanOf(Number(seed), Number(count)).entries()) {
  marks.say({ began: number });
  if (step.lines === undefined) await archive.remove(step.seal.file);
  else await archive.write(step.seal, step.lines);
  marks.say({ acknowledged: number });
}
