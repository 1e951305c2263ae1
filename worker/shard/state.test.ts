import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import { quietLog } from '../../shared/log/log.ts';
import { descriptor, INDEX_OPTIONS, SHARD } from '../../test/shard/shard-rig.ts';
import { PayloadIndexes } from '../filter/payload-indexes.ts';
import type { WriteOp } from '../points/write-op.ts';
import { GuardedIndex } from './guarded-index.ts';
import { emptyIndex } from './rebuild.ts';
import { Slices } from './slices.ts';
import { ShardState } from './state.ts';

function stateAt(appliedVersion: number): ShardState {
  const described = descriptor();
  const index = new GuardedIndex(emptyIndex(described, INDEX_OPTIONS), {
    shardId: SHARD,
    log: quietLog,
  });
  const payloads = new PayloadIndexes({});
  return new ShardState({ descriptor: described, index, payloads, appliedVersion, levellings: 0 });
}

test('rows that a levelling may have written are not settled, when it began before or after', () => {
  const state = stateAt(100);
  const before = state.mark();
  assert.deepEqual(
    [100, 101].map((version) => state.isSettled(version, before)),
    [true, false],
  );
  const ended = state.startLevelling(50);
  assert.ok(state.levelling);
  assert.equal(state.trustedVersion, 49);
  assert.deepEqual(
    [49, 50, 100].map((version) => state.isSettled(version, before)),
    [true, false, false],
  );
  const during = state.mark();
  assert.deepEqual(
    [49, 50].map((version) => state.isSettled(version, during)),
    [true, false],
  );
  ended();
  assert.equal(state.trustedVersion, 100);
  assert.deepEqual(
    [49, 50].map((version) => state.isSettled(version, before)),
    [true, false],
  );
  assert.deepEqual(
    [49, 50].map((version) => state.isSettled(version, during)),
    [true, false],
  );
  assert.ok(state.isSettled(100, state.mark()), 'what was applied is settled again');
});

test('a levelling that was lost track of is caught up with from its oldest row on', async () => {
  const state = stateAt(100);
  const ended = state.startLevelling(50);
  state.lostTrack();
  ended();
  assert.deepEqual([state.behind, state.trustedVersion], [true, 49]);
  let replayedSince = -1;
  await state.catchUp({ version: 120, levellings: 1 }, async (since) => {
    replayedSince = since;
  });
  assert.deepEqual([replayedSince, state.trustedVersion, state.levellings], [49, 120, 1]);
});

test('a write in parts is there with its last part', async () => {
  const state = stateAt(4);
  const outcome = { version: 9, points: 0, bytes: 0, digest: 0, labels: new Uint32Array() };
  for (const [part, version] of [
    ['first', 8],
    ['middle', 8],
    ['last', 9],
  ] as const) {
    const op: WriteOp = { kind: 'delete', version: 9, ids: [], part };
    await state.apply(op, outcome, new Slices(systemClock));
    assert.equal(state.appliedVersion, version, part);
  }
});
