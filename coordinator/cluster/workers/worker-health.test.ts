import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../shared/base/clock.ts';
import type { WorkerId } from '../../../shared/base/ids.ts';
import { recordingLog } from '../../../test/harness/recording-log.ts';
import { HEALTH_TIMING, WorkerHealth } from './worker-health.ts';

const WORKER = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const { lookMs, probationMs } = HEALTH_TIMING;

function start() {
  const clock = new ManualClock();
  const { log, saw } = recordingLog();
  const line = { silent: false, answered: false };
  const health = new WorkerHealth({
    isSilent: () => line.silent,
    hasAnswered: () => line.answered,
    timing: HEALTH_TIMING,
    clock,
    log,
  });
  health.start();
  /** Time for it to be looked at. */
  const look = () => clock.advance(lookMs);
  const state = () => health.stateOf(WORKER);
  const doubtful = () => health.isDoubtful(WORKER);
  return { health, clock, line, look, state, doubtful, saw };
}

test('a worker that has connected is healthy after a sign of life, and not by time alone', () => {
  const { health, line, look, state, doubtful } = start();
  assert.deepEqual([state(), doubtful()], ['down', true]);
  health.connected(WORKER);
  for (let i = 0; i < 4; i += 1) look();
  assert.deepEqual([state(), doubtful()], ['joining', true]);
  line.answered = true;
  look();
  assert.deepEqual([state(), doubtful()], ['healthy', false]);
});

test('an answer is a sign of life at once', () => {
  const { health, state } = start();
  health.connected(WORKER);
  health.answered(WORKER);
  assert.equal(state(), 'healthy');
});

test('a worker that is silent before its first sign of life is a suspect until it gives one', () => {
  const { health, line, look, state } = start();
  health.connected(WORKER);
  line.silent = true;
  look();
  assert.equal(state(), 'suspect');
  Object.assign(line, { silent: false, answered: true });
  look();
  assert.equal(state(), 'healthy');
});

test('a worker that is silent or slow is a suspect until it is good again', () => {
  const { health, clock, line, look, state } = start();
  health.connected(WORKER);
  line.answered = true;
  look();
  line.silent = true;
  look();
  assert.equal(state(), 'suspect');
  line.silent = false;
  look();
  assert.equal(state(), 'healthy');
  for (let race = 0; race < 3; race += 1) health.lostRace(WORKER);
  assert.equal(state(), 'suspect');
  clock.advance(probationMs + lookMs);
  assert.equal(state(), 'healthy');
});

test('a worker that is draining serves, but not first while it is silent or slow', () => {
  const { health, clock, line, look, state, doubtful } = start();
  health.connected(WORKER);
  line.answered = true;
  look();
  health.drain(WORKER);
  assert.deepEqual([state(), doubtful()], ['draining', false]);
  line.silent = true;
  look();
  assert.deepEqual([state(), doubtful()], ['draining', true]);
  line.silent = false;
  assert.equal(doubtful(), false);
  for (let race = 0; race < 3; race += 1) health.lostRace(WORKER);
  assert.deepEqual([state(), doubtful()], ['draining', true]);
  clock.advance(probationMs);
  assert.deepEqual([state(), doubtful()], ['draining', false]);
});

test('a worker that is draining and has just come back is asked last until it has answered', () => {
  const { health, line, doubtful } = start();
  health.drain(WORKER);
  health.connected(WORKER);
  assert.equal(doubtful(), true);
  line.answered = true;
  assert.equal(doubtful(), false);
});

test('a worker that is released is what it looks like then', () => {
  const { health, line, state, look, saw } = start();
  health.connected(WORKER);
  health.drain(WORKER);
  Object.assign(line, { answered: true, silent: true });
  health.release(WORKER);
  assert.equal(state(), 'suspect');
  line.silent = false;
  look();
  const seen = saw('worker_health').map(({ fields }) => fields.state);
  assert.deepEqual(seen, ['joining', 'draining', 'suspect', 'healthy']);
});
