/**
 * A watched program: makes the changes of a plan while a call fails, repeats each that was refused, and
 * looks at the rows after each refusal; again and again, in a folder of its own each time, with another
 * call that fails. ROOT MARKS SETTINGS, which are JSON of `ControlFaultSettings`; prints how many calls
 * failed. It goes on from whatever is in a folder.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ControlStore } from '../../coordinator/store/control-store.ts';
import { must } from '../../shared/base/assert.ts';
import { controlDumpsOf, controlPlanOf, dumpControl, openControl } from './control-plan.ts';
import { Marks } from './marks.ts';

export interface ControlFaultSettings {
  seed: number;
  rounds: number;
  /** An order of the shim with `N` where the number of the call stands; none: the disk is well. */
  fault?: string;
  /** The calls that fail: this one and then each so many further, until there is no such call. */
  from: number;
  step: number;
  /** The process kills itself as soon as a change was refused. */
  dies: boolean;
}

const PAGE = 1_000;

const [root = '', marksPath = '', settings = ''] = process.argv.slice(2);
const { seed, rounds, fault, from, step, dies }: ControlFaultSettings = JSON.parse(settings);
const marks = new Marks(marksPath);
const changes = controlPlanOf(seed, rounds);
const { views, dumps } = statesOf();
let runs = 0;
for (let call = from; live(call); call += step) runs += 1;
process.stdout.write(String(runs));

/** One life of a coordinator's store; false when no call failed in it. */
function live(call: number): boolean {
  const file = join(root, `run-${call}`, 'control.db');
  marks.say({ run: `run-${call}` });
  let wasReached = false;
  const heal = () => {
    wasReached = marks.order('heal') || wasReached;
  };
  // All tables say how far an earlier life has come: what `view` shows is not touched by each change.
  openControl(file).close();
  const found = dumps.indexOf(dumpControl(file));
  assert.ok(found >= 0, 'it is as after some number of changes');
  let store = openControl(file);
  if (fault !== undefined) marks.order(fault.replace('N', String(call)));
  for (let number = found; number < changes.length; number += 1) makeForSure(store, number, heal);
  store.close();
  // A coordinator that can not start is started again.
  heal();
  store = openControl(file);
  assert.equal(view(store), views.at(-1));
  store.close();
  return wasReached;
}

function makeForSure(store: ControlStore, number: number, heal: () => void): void {
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

/** What is shown, and all tables, before the first change and after each, from a disk that is not watched. */
function statesOf(): { views: string[]; dumps: string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-control-'));
  const model = openControl(join(folder, 'control.db'));
  const seen = [view(model)];
  for (const change of changes) {
    change(model);
    seen.push(view(model));
  }
  model.close();
  const dumps = controlDumpsOf(join(folder, 'other.db'), seed, rounds);
  rmSync(folder, { recursive: true });
  return { views: seen, dumps };
}

function view(of: ControlStore): string {
  const clients = of.clients.page({}, PAGE);
  return JSON.stringify([
    clients.map((client) => ({
      ...client,
      keys: of.apiKeys.page(client.clientId, undefined, PAGE),
    })),
    of.collections.all(),
    of.workers.all(),
    of.adminAudit.page(0, PAGE),
    changes.map((_, at) => of.idempotentReplies.get(Buffer.alloc(32, at), 0)?.request.toString()),
  ]);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'none';
}
