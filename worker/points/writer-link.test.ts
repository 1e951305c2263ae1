import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { Log } from '../../shared/log/log.ts';
import { WriterLink } from './writer-link.ts';

/** A thread that answers drops, and dies when it is asked for the folder `poison`. */
const MORTAL = `
  import { parentPort as port } from 'node:worker_threads';
  port.on('message', (request) => {
    if (request.kind === 'close') port.close();
    else if (request.folder === 'poison') throw new Error('died');
    else port.postMessage({ kind: 'replies', replies: [{ seq: request.seq, done: true }] });
  });
  port.postMessage({ kind: 'ready' });
`;
const STILLBORN = 'throw new Error("stillborn");';
const DEAF = `
  import { parentPort as port } from 'node:worker_threads';
  port.on('message', () => {});
  port.postMessage({ kind: 'ready' });
`;

function link(program: string) {
  const events: string[] = [];
  const log: Log = { event: (name) => void events.push(name) };
  const made = new WriterLink(
    { log, clock: systemClock },
    {
      writer: 0,
      loop: { handlesMax: 1, diskReserveBytes: 0 },
      entry: new URL(`data:text/javascript,${encodeURIComponent(program)}`),
    },
  );
  return { made, events };
}

const drop = (folder: string) => ({ kind: 'drop' as const, folder });
const soon = (ms = 5_000) => Deadline.after(systemClock, ms);

test('a thread that dies rejects what it had and is started again', async () => {
  const { made, events } = link(MORTAL);
  await made.start();
  await made.request(drop('a'), []);
  const lost = [made.request(drop('poison'), []), made.request(drop('b'), [])];
  for (const { status, reason } of (await Promise.allSettled(lost)) as PromiseRejectedResult[]) {
    assert.equal(status, 'rejected');
    assert.equal(reason.code, 'write_outcome_unknown');
  }
  assert.deepEqual(events, ['writer_failed']);
  assert.equal(await made.request(drop('c'), []), undefined);
  await made.close(soon());
  assert.deepEqual(events, ['writer_failed']);
});

test('a thread that can not start does not spin', async () => {
  const { made, events } = link(STILLBORN);
  await assert.rejects(made.start(), /stillborn/);
  await assert.rejects(made.request(drop('a'), []), { code: 'write_outcome_unknown' });
  assert.deepEqual(events, ['writer_failed', 'writer_failed']);
  await made.close(soon());
});

test('a thread that does not end is ended at the deadline, its requests are rejected', async () => {
  const { made } = link(DEAF);
  await made.start();
  const lost = assert.rejects(made.request(drop('a'), []), { code: 'write_outcome_unknown' });
  await made.close(soon(50));
  await lost;
});
