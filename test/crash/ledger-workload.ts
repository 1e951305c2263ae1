/** A watched program: takes the steps of a plan, with a new start half-way. ROOT MARKS SEED STEPS */
import { join } from 'node:path';
import { ledgerPlanOf, openLedgerDb, takeStep } from './ledger-plan.ts';
import { Marks } from './marks.ts';

const [root = '', marksPath = '', seed, count] = process.argv.slice(2);
const marks = new Marks(marksPath);
const file = join(root, 'data', 'coordinator', 'ledger.db');
const steps = ledgerPlanOf(Number(seed), Number(count));
let db = openLedgerDb(file);
for (const [number, step] of steps.entries()) {
  if (number === Math.floor(steps.length / 2)) {
    db.close();
    db = openLedgerDb(file);
  }
  marks.say({ began: number });
  takeStep(db, step, number);
  marks.say({ acknowledged: number });
}
db.close();
