/** What an acknowledgement is worth: syncs counted from outside, and death by SIGKILL. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import type { ShardId } from '../../shared/base/ids.ts';
import { PointsReader } from './points-reader.ts';
import { createPointsDb, openForReads } from './schema.ts';

const root = mkdtempSync(path.join(tmpdir(), 'bulkhead-durability-'));
after(() => rmSync(root, { recursive: true }));

const DIMENSION = 64;
const SOURCES = JSON.stringify({
  store: new URL('./points-store.ts', import.meta.url).href,
  clock: new URL('../../shared/base/clock.ts', import.meta.url).href,
  deadline: new URL('../../shared/base/deadline.ts', import.meta.url).href,
});

/** Writes ids `first`, `first + 1`, ... from some concurrent callers; prints those acknowledged. */
const CHILD = `
  const [sources, folder, first, count, callers] = process.argv.slice(1);
  const urls = JSON.parse(sources);
  const { PointsStore } = await import(urls.store);
  const { systemClock } = await import(urls.clock);
  const { Deadline } = await import(urls.deadline);
  const options = { writerThreads: 1, handlesMax: 4, diskReserveBytes: 0 };
  const store = new PointsStore({ log: { event() {} }, clock: systemClock }, options);
  await store.start();
  let next = Number(first);
  const end = next + Number(count);
  async function write() {
    while (next < end) {
      const id = next++;
      const vectors = new Float32Array(${DIMENSION}).fill(id);
      const payloads = [Buffer.from(JSON.stringify({ id }))];
      await store.write(folder, { kind: 'upsert', version: id + 1, ids: [id], vectors, payloads });
      process.stdout.write(id + '\\n');
    }
  }
  await Promise.all(Array.from({ length: Number(callers) }, write));
  await store.close(Deadline.after(systemClock, 10000));
`;

function makeShard(name: string): string {
  const folder = path.join(root, name);
  createPointsDb(folder, { shardId: name as ShardId, dimension: DIMENSION });
  return folder;
}

function childArgs(folder: string, load: { first: number; count: number; callers: number }) {
  const numbers = [load.first, load.count, load.callers].map(String);
  return ['--input-type=module', '-e', CHILD, SOURCES, folder, ...numbers];
}

/** Syncs of the write-ahead log during the load. */
function countSyncs(folder: string, load: { count: number; callers: number }): number {
  const trace = `${folder}.trace`;
  const options = ['-f', '-y', '--seccomp-bpf', '-e', 'trace=fsync,fdatasync', '-o', trace, '--'];
  const args = childArgs(folder, { first: 0, ...load });
  const result = spawnSync('strace', [...options, process.execPath, ...args]);
  assert.equal(result.status, 0, String(result.stderr));
  assert.equal(String(result.stdout).trim().split('\n').length, load.count, 'all acknowledged');
  const lines = readFileSync(trace, 'utf8').split('\n');
  return lines.filter((line) => /sync\([0-9]+<.*points\.db-wal>/.test(line)).length;
}

test('each commit syncs the log, and concurrent writes share one', (t) => {
  if (spawnSync('strace', ['-V']).status !== 0) {
    t.skip('strace is not installed, so syncs can not be counted');
    return;
  }
  const alone = countSyncs(makeShard('alone'), { count: 25, callers: 1 });
  assert.ok(alone >= 25, `25 commits in turn made ${alone} syncs`);
  const together = countSyncs(makeShard('together'), { count: 400, callers: 100 });
  assert.ok(together >= 4 && together <= 100, `400 writes of 100 callers made ${together} syncs`);
});

test('kill -9 at any moment loses no acknowledged write', async () => {
  const folder = makeShard('killed');
  const acknowledged: number[] = [];
  for (const acksBeforeKill of [1, 100, 300]) {
    const load = { first: acknowledged.length * 10, count: 1_000_000, callers: 8 };
    const child = spawn(process.execPath, childArgs(folder, load));
    after(() => child.kill('SIGKILL'));
    const exited = once(child, 'exit');
    let acks = 0;
    for await (const line of createInterface(child.stdout)) {
      acknowledged.push(Number(line));
      acks += 1;
      if (acks === acksBeforeKill) child.kill('SIGKILL');
    }
    const [, signal] = await exited;
    assert.equal(signal, 'SIGKILL', 'it was killed while it wrote');
    assert.ok(acks >= acksBeforeKill);
    checkAcknowledged(folder, acknowledged);
  }
});

function checkAcknowledged(folder: string, ids: number[]): void {
  const reader = new PointsReader(folder);
  const rows = reader.byIds(ids, { payload: true, vector: true });
  const { count, version } = reader.stats();
  reader.close();
  for (const [i, row] of rows.entries()) {
    assert.equal(String(row?.payload), `{"id":${ids[i]}}`);
    assert.ok(row?.vector.every((x) => x === ids[i]) && row.vector.length === DIMENSION);
  }
  assert.ok(count >= ids.length && version >= count);
  const db = openForReads(folder);
  assert.equal(db.pragma('integrity_check', { simple: true }), 'ok');
  db.close();
}
