import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { LedgerEntry } from './entries.ts';
import { Handover } from './handover.ts';

const settle = async () => {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
};

/** Letters that are gathered; an entry of the ledger is what was gathered, as the ids of shards. */
function start() {
  const clock = new ManualClock();
  const sent: string[] = [];
  let gathered = '';
  let refusal: AppError | undefined;
  const append = async (entry: LedgerEntry) => {
    assert.ok(entry.kind === 'forget');
    if (refusal !== undefined) throw refusal;
    sent.push(entry.shardIds.join());
  };
  const take = () => {
    if (gathered === '') return undefined;
    const own = gathered;
    gathered = '';
    const entry = { kind: 'forget', shardIds: [own] } as unknown as LedgerEntry;
    const keep = () => {
      gathered = own + gathered;
    };
    return { entry, keep };
  };
  const handover = new Handover({ ledger: { append }, clock, take, urgent: false });
  const note = (letter: string) => {
    gathered += letter;
    handover.soon();
  };
  const refuse = (code?: 'overloaded' | 'shutting_down') => {
    refusal = code && new AppError(code);
  };
  return { clock, sent, handover, note, refuse, left: () => gathered };
}

test('what is gathered in half a second goes together, and again what came meanwhile', async () => {
  const { clock, sent, handover, note } = start();
  note('a');
  note('b');
  clock.advance(499);
  assert.deepEqual(sent, []);
  clock.advance(1);
  assert.ok(handover.sinceMs !== undefined);
  note('c');
  handover.now();
  await settle();
  assert.deepEqual([sent, handover.sinceMs], [['ab'], undefined]);
  clock.advance(500);
  await settle();
  assert.deepEqual(sent, ['ab', 'c']);
});

test('what is refused is first in the next', async () => {
  const { clock, sent, note, refuse } = start();
  refuse('overloaded');
  note('a');
  clock.advance(500);
  await settle();
  note('b');
  refuse();
  clock.advance(500);
  await settle();
  assert.deepEqual(sent, ['ab']);
});

test('the end tries again with a pause, as long as there is time', async () => {
  const { clock, sent, handover, note, refuse, left } = start();
  refuse('overloaded');
  note('a');
  let ended = false;
  const closing = handover.close(Deadline.after(clock, 60_000)).then(() => {
    ended = true;
  });
  await settle();
  assert.deepEqual([sent, ended], [[], false]);
  // It waits for the clock, and does not run in circles.
  await new Promise(setImmediate);
  clock.advance(500);
  await settle();
  refuse();
  clock.advance(500);
  await closing;
  assert.deepEqual(sent, ['a']);

  const late = start();
  late.refuse('overloaded');
  late.note('b');
  const deadline = Deadline.after(late.clock, 700);
  const over = late.handover.close(deadline);
  for (let i = 0; i < 3; i += 1) {
    await settle();
    late.clock.advance(500);
  }
  await over;
  assert.deepEqual([late.sent, late.left()], [[], 'b']);
  assert.equal(left(), '');
});

test('of a ledger that has ended nothing more is wanted', async () => {
  const { handover, note, refuse } = start();
  refuse('shutting_down');
  note('a');
  await handover.close();
  assert.equal(handover.sinceMs, undefined);
});
