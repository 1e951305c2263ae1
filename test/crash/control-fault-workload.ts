/**
 * A watched program: makes the changes of a plan while a call fails, repeats each that was refused, and
 * looks at the rows after each refusal. ROOT MARKS SETTINGS, which are JSON of `ControlFaultSettings`.
 * It goes on from whatever is in the folder.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ControlStore } from '../../coordinator/store/control-store.ts';
import { must } from '../../shared/base/assert.ts';
import { controlPlanOf, openControl } from './control-plan.ts';
import { Marks } from './marks.ts';

export interface ControlFaultSettings {
  seed: number;
  rounds: number;
  /** An order of the shim; none: the disk is well. */
  fault?: string;
  /** The process kills itself as soon as a change was refused. */
  dies: boolean;
}

const PAGE = 1_000;

const [root = '', marksPath = '', settings = ''] = process.argv.slice(2);
const { seed, rounds, fault, dies }: ControlFaultSettings = JSON.parse(settings);
const marks = new Marks(marksPath);
const changes = controlPlanOf(seed, rounds);
const views = viewsOf();
const file = join(root, 'data', 'coordinator', 'control.db');
marks.say({ restarted: true });
let wasReached = false;
let store = openControl(file);
const found = views.indexOf(view(store));
assert.ok(found >= 0, 'it is as after some number of changes');
if (fault !== undefined) marks.order(fault);
for (let number = found; number < changes.length; number += 1) await makeForSure(number);
store.close();
// A coordinator that can not start is started again.
heal();
store = openControl(file);
assert.equal(view(store), views.at(-1));
store.close();
process.stdout.write(JSON.stringify({ wasReached }));

function heal(): void {
  wasReached = marks.order('heal') || wasReached;
}

async function makeForSure(number: number): Promise<void> {
  const change = must(changes[number], 'the plan has it');
  marks.say({ began: number });
  try {
    change(store);
  } catch (error) {
    marks.say({ refused: number, code: codeOf(error) });
    if (dies) process.kill(process.pid, 'SIGKILL');
    assert.equal(view(store), views[number], 'what was refused is not there');
    if (!fault?.endsWith('once')) heal();
    change(store);
  }
  marks.say({ acknowledged: number });
  assert.equal(view(store), views[number + 1]);
}

/** The rows before the first change and after each, from a disk that is not watched. */
function viewsOf(): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-control-'));
  const model = openControl(join(folder, 'control.db'));
  const seen = [view(model)];
  for (const change of changes) {
    change(model);
    seen.push(view(model));
  }
  model.close();
  rmSync(folder, { recursive: true });
  return seen;
}

function view(from: ControlStore): string {
  const clients = from.clients.page({}, PAGE);
  return JSON.stringify([
    clients.map((client) => ({
      ...client,
      keys: from.apiKeys.page(client.clientId, undefined, PAGE),
    })),
    from.collections.all(),
    from.workers.all(),
    from.adminAudit.page(0, PAGE),
    changes.map((_, at) => from.idempotentReplies.get(Buffer.alloc(32, at), 0)?.request.toString()),
  ]);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'none';
}
