/**
 * What a test has to undo, undone last first. The runner's own `after` hooks run in the order in
 * which they were added, so a folder would go before the service that works in it.
 */

/** The part of a test context that is needed here. */
export interface Cleanup {
  after(action: () => Promise<void>): void;
}

type Action = () => void | Promise<void>;

const stacks = new WeakMap<Cleanup, Action[]>();

/** Runs `action` when the test ends, before everything that was added earlier. */
export function cleanUp(t: Cleanup, action: Action): void {
  const known = stacks.get(t);
  if (known !== undefined) {
    known.push(action);
    return;
  }
  const actions = [action];
  stacks.set(t, actions);
  t.after(() => runAll(actions));
}

/** One that fails does not keep the others from running. */
async function runAll(actions: readonly Action[]): Promise<void> {
  const failures: unknown[] = [];
  for (const action of actions.toReversed()) {
    try {
      await action();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'cleaning up after the test failed');
}
