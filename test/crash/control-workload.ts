/** A watched program: makes the changes of a plan, with a new start half-way. ROOT MARKS SEED ROUNDS */
import { join } from 'node:path';
import { controlPlanOf, openControl } from './control-plan.ts';
import { Marks } from './marks.ts';

const [root = '', marksPath = '', seed, rounds] = process.argv.slice(2);
const marks = new Marks(marksPath);
const file = join(root, 'data', 'coordinator', 'control.db');
const changes = controlPlanOf(Number(seed), Number(rounds));
let store = openControl(file);
for (const [number, change] of changes.entries()) {
  if (number === Math.floor(changes.length / 2)) {
    store.close();
    store = openControl(file);
  }
  marks.say({ began: number });
  change(store);
  marks.say({ acknowledged: number });
}
store.close();
