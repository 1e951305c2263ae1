import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../shared/base/clock.ts';
import type { Deadline } from '../../../shared/base/deadline.ts';
import type { WorkerId } from '../../../shared/base/ids.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import { recordingLog } from '../../../test/harness/recording-log.ts';
import { type WorkerLoad, WorkerLoads } from './worker-loads.ts';

const W1 = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const W2 = 'wk_bbbbbbbbbbbbbbbb' as WorkerId;

function loadOf(cpu: number): WorkerLoad {
  return { shards: 1, cpu, memoryBytes: 2, diskFreeBytes: 3, diskBytes: 4 };
}

interface Asked {
  workerId: WorkerId;
  deadline: Deadline;
  resolve(load: WorkerLoad): void;
  reject(error: unknown): void;
}

/** Loads over a link that a test drives; what was asked is answered by the test. */
function startLoads() {
  const clock = new ManualClock();
  const logged = recordingLog();
  const asked: Asked[] = [];
  const connected = new Set<WorkerId>();
  let onConnect: (workerId: WorkerId) => void = () => undefined;
  let onLoss = onConnect;
  const link = {
    connected: () => [...connected],
    onConnect: (listener: typeof onConnect) => {
      onConnect = listener;
    },
    onLoss: (listener: typeof onConnect) => {
      onLoss = listener;
    },
    askWorker: (workerId: WorkerId, _name: string, _body: object, deadline: Deadline) => {
      const { promise, resolve, reject } = Promise.withResolvers<WorkerLoad>();
      asked.push({ workerId, deadline, resolve, reject });
      return promise;
    },
  };
  const loads = new WorkerLoads({ link: link as never, clock, log: logged.log });
  loads.start();
  const connect = (workerId: WorkerId) => {
    connected.add(workerId);
    onConnect(workerId);
  };
  const lose = (workerId: WorkerId) => {
    connected.delete(workerId);
    onLoss(workerId);
  };
  return { clock, loads, asked, connect, lose, logged };
}

const settled = () => new Promise(setImmediate);

test('a worker is asked when it comes and every five seconds, for two at most', async () => {
  const { clock, loads, asked, connect } = startLoads();
  assert.equal(loads.of(W1), undefined);
  connect(W1);
  assert.deepEqual(
    asked.map(({ workerId, deadline }) => [workerId, deadline.remainingMs()]),
    [[W1, 2_000]],
  );
  asked[0]?.resolve(loadOf(1));
  await settled();
  assert.deepEqual(loads.of(W1), loadOf(1));
  connect(W2);
  clock.advance(5_000);
  clock.advance(5_000);
  assert.deepEqual(
    asked.map(({ workerId }) => workerId),
    [W1, W2, W1, W2, W1, W2],
  );
  loads.close();
  clock.advance(60_000);
  assert.equal(asked.length, 6);
});

test('who does not answer keeps what it said last; who is lost is forgotten', async () => {
  const { clock, loads, asked, connect, lose, logged } = startLoads();
  connect(W1);
  asked[0]?.resolve(loadOf(1));
  await settled();
  clock.advance(5_000);
  asked[1]?.reject(new AppError('deadline_exceeded'));
  await settled();
  assert.deepEqual(loads.of(W1), loadOf(1));
  clock.advance(5_000);
  lose(W1);
  assert.equal(loads.of(W1), undefined);
  asked[2]?.resolve(loadOf(2));
  await settled();
  assert.equal(loads.of(W1), undefined, 'an answer of a connection that is gone');
  connect(W1);
  asked[3]?.resolve(loadOf(3));
  await settled();
  assert.deepEqual(loads.of(W1), loadOf(3));
  assert.equal(logged.saw('unexpected_error').length, 0);
});
