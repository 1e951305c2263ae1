import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { decodeReply, encodeBody } from '../../shared/protocol/body.ts';
import { OwnStatus, processUsage } from './own-status.ts';

function statusOver(clock: ManualClock, used: { cpuMicros: number; memoryBytes: number }) {
  const deps = { clock, registry: { size: 3 }, usage: () => used };
  return new OwnStatus(deps, { dataDir: tmpdir() });
}

test('processors in use are an average since the last look, of a second at least', async () => {
  const clock = new ManualClock();
  const used = { cpuMicros: 5_000_000, memoryBytes: 1_000 };
  const status = statusOver(clock, used);
  const cpu = async () => (await status.read()).cpu;
  assert.equal(await cpu(), 0);
  clock.advance(2_000);
  used.cpuMicros += 3_000_000;
  assert.equal(await cpu(), 1.5);
  clock.advance(999);
  used.cpuMicros += 9_000_000;
  assert.equal(await cpu(), 1.5, 'too short a span says nothing');
  clock.advance(5_001);
  assert.equal(await cpu(), 1.5);
  clock.advance(1_000);
  assert.equal(await cpu(), 0);
});

test('the status has what the process and its disk have, in the form of the message', async () => {
  const status = statusOver(new ManualClock(), processUsage());
  const read = await status.read();
  assert.deepEqual(decodeReply('worker-status', encodeBody(read)), read);
  assert.equal(read.shards, 3);
  assert.ok(read.memoryBytes > 2 ** 20, `${read.memoryBytes}`);
  assert.ok(read.diskBytes >= read.diskFreeBytes && read.diskFreeBytes > 0);
});
