/** Copies of shards come, move and go while they are used, against the real processes. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { systemClock } from '../../shared/base/clock.ts';
import { runCommand, runJson } from '../harness/run-command.ts';
import { type Service, startService } from '../harness/service.ts';

const DIMENSION = 8;
const POINTS = 3_000;
const DEADLINE_MS = 60_000;

interface Made {
  shards: number;
  copies: number;
}

/** The collection `c` with all points; the vector of a point tells its id. */
async function fill(service: Service, { shards, copies }: Made): Promise<void> {
  const vectors = { size: DIMENSION, distance: 'Euclid' };
  const body = { vectors, shard_number: shards, replication_factor: copies };
  const made = await service.fetch('PUT', '/collections/c', body);
  assert.equal(made.status, 200, await made.text());
  const ids = Array.from({ length: POINTS }, (_, id) => id);
  for (let at = 0; at < POINTS; at += 500) {
    const points = ids.slice(at, at + 500).map(pointOf);
    const { status } = await service.fetch('PUT', '/collections/c/points', { points });
    assert.equal(status, 200);
  }
}

function pointOf(id: number) {
  const vector = Array.from({ length: DIMENSION }, (_, i) => (i === 0 ? id : 1));
  return { id, vector, payload: { id } };
}

/** Every point is there, as it was written, and is found by its vector. */
async function allThere(service: Service, count = POINTS): Promise<void> {
  const read = { limit: count + 1, with_payload: true, with_vector: true };
  const page = await service.fetch('POST', '/collections/c/points/scroll', read);
  const { result } = (await page.json()) as { result: { points: object[] } };
  assert.deepEqual(
    result.points,
    Array.from({ length: count }, (_, id) => pointOf(id)),
  );
  for (const id of [0, 1, POINTS / 2, count - 1]) {
    const query = { query: pointOf(id).vector, limit: 1 };
    const answer = await service.fetch('POST', '/collections/c/points/query', query);
    const found = (await answer.json()) as { result: { points: { id: number }[] } };
    assert.equal(found.result.points[0]?.id, id);
  }
}

/** Folders of workers by their ids. */
function foldersOf(service: Service): Map<string, string> {
  const folders = service.workerNames.map((name) => path.join(service.dataFolder, name));
  return new Map(
    folders.map((folder) => [readFileSync(path.join(folder, 'worker.id'), 'utf8').trim(), folder]),
  );
}

/** Files of shards in the folder of a worker. */
function filesIn(folder: string): string[] {
  if (!existsSync(path.join(folder, 'clients'))) return [];
  return globSync(path.join(folder, 'clients/**/*'), { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
}

/**
 * Writes points, one after the other, from `POINTS` on, until it is told to stop; none may fail.
 * Resolves to how many there are.
 */
function keepWriting(service: Service): { stop: () => Promise<number> } {
  let isOn = true;
  const write = async () => {
    let id = POINTS;
    for (; isOn; id += 1) {
      const body = { points: [pointOf(id)] };
      const answer = await service.fetch('PUT', '/collections/c/points', body);
      assert.equal(answer.status, 200, await answer.text());
      const read = await service.fetch('GET', `/collections/c/points/${id}`);
      assert.equal(read.status, 200, await read.text());
    }
    return id;
  };
  const written = write();
  // What fails is thrown by `stop`.
  written.catch(() => undefined);
  return {
    stop: () => {
      isOn = false;
      return written;
    },
  };
}

/** The collection is to have so many copies from now on. */
async function change(service: Service, replication_factor: number): Promise<void> {
  const body = { params: { replication_factor } };
  const answer = await service.fetch('PATCH', '/collections/c', body);
  assert.equal(answer.status, 200, await answer.text());
}

/** Copies by worker, in sync or not. */
async function copiesOf(service: Service): Promise<{ worker: string; state: string }[]> {
  const rows = await runJson(service, ['replicas']);
  return rows.map((row) => ({ worker: String(row.worker_id), state: String(row.state) }));
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const endMs = systemClock.monotonicMs() + DEADLINE_MS;
  while (!(await isSo())) {
    assert.ok(systemClock.monotonicMs() < endMs, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** So many copies, all of them in sync. */
function level(service: Service, count: number): Promise<void> {
  return until(`${count} copies in sync`, async () => {
    const copies = await copiesOf(service);
    return copies.length === count && copies.every(({ state }) => state === 'in_sync');
  });
}

test('a drained worker ends with nothing, on its disk too, and every point is somewhere else', async (t) => {
  const service = await startService(t, { workers: 3 });
  await fill(service, { shards: 3, copies: 2 });
  const [leaving = ''] = (await copiesOf(service)).map(({ worker }) => worker);
  const folder = foldersOf(service).get(leaving) ?? '';
  assert.ok(filesIn(folder).includes('points.db'));

  const writing = keepWriting(service);
  const drain = ['worker', 'drain', leaving, '--wait'];
  const where = ['--env-file', service.envFile, '--admin-url', service.adminUrl];
  const { code, stdout, stderr } = await runCommand([...drain, ...where]);
  const count = await writing.stop();
  assert.equal(code, 0, stderr);
  assert.ok(count > POINTS, `${count} points`);
  assert.match(stdout, /[1-9] shards? left[\s\S]*0 shards left/);
  const [shown] = await runJson(service, ['worker', 'show', leaving]);
  assert.deepEqual([shown?.shards, shown?.erasing, shown?.draining], [0, 0, true]);
  assert.deepEqual(filesIn(folder), []);
  const copies = await copiesOf(service);
  assert.equal(copies.length, 6);
  assert.ok(copies.every(({ worker, state }) => worker !== leaving && state === 'in_sync'));
  await allThere(service, count);

  await runJson(service, ['worker', 'resume', leaving]);
  assert.deepEqual((await service.fetch('DELETE', '/collections/c')).status, 200);
  for (const left of foldersOf(service).values()) assert.deepEqual(filesIn(left), []);
});

test('a collection gets one more copy, loses it again, and is erased wherever it was', async (t) => {
  const service = await startService(t, { workers: 3 });
  await fill(service, { shards: 2, copies: 1 });
  await change(service, 2);
  await level(service, 4);
  await allThere(service);
  await change(service, 1);
  await level(service, 2);
  await until('files of copies that are gone', async () => {
    const workers = await runJson(service, ['worker', 'list']);
    return workers.every(({ erasing }) => erasing === 0);
  });
  const databases = [...foldersOf(service).values()].flatMap(filesIn);
  assert.equal(databases.filter((name) => name === 'points.db').length, 2);
  await allThere(service);

  await change(service, 2);
  await level(service, 4);
  assert.equal((await service.fetch('DELETE', '/collections/c')).status, 200);
  for (const folder of foldersOf(service).values()) assert.deepEqual(filesIn(folder), []);
});

test('of two copies the one is kept whose worker answers', async (t) => {
  const service = await startService(t, { workers: 3 });
  await fill(service, { shards: 1, copies: 2 });
  await level(service, 2);
  const [{ worker: kept } = { worker: '' }] = await copiesOf(service);
  // Once with a copy that was made with the shard, and once with one that was added to it.
  for (let i = 0; i < 2; i += 1) {
    const workers = (await copiesOf(service)).map(({ worker }) => worker);
    const gone = workers.find((worker) => worker !== kept) ?? '';
    const folder = foldersOf(service).get(gone) ?? '';
    const pid = service.pidOf(path.basename(folder));
    process.kill(pid, 'SIGSTOP');
    try {
      await until('the worker counts as gone', async () => {
        return (await runJson(service, ['worker', 'show', gone]))[0]?.state === 'down';
      });
      await change(service, 1);
      await level(service, 1);
      assert.deepEqual(await copiesOf(service), [{ worker: kept, state: 'in_sync' }]);
      await allThere(service);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until('its files are erased', async () => filesIn(folder).length === 0);
    await allThere(service);
    await change(service, 2);
    await level(service, 2);
  }
});

test('a copy that lacks writes is shown with how many, and is level again when its worker is', async (t) => {
  const service = await startService(t, { workers: 2 });
  await fill(service, { shards: 1, copies: 2 });
  const [name = ''] = service.workerNames;
  const worker = readFileSync(path.join(service.dataFolder, name, 'worker.id'), 'utf8').trim();
  const pid = service.pidOf(name);
  process.kill(pid, 'SIGSTOP');
  try {
    for (let id = POINTS; id < POINTS + 3; id += 1) {
      const body = { points: [pointOf(id)] };
      assert.equal((await service.fetch('PUT', '/collections/c/points', body)).status, 200);
    }
    const [behind] = await runJson(service, ['replicas', '--behind']);
    assert.deepEqual([behind?.worker_id, behind?.state], [worker, 'behind']);
    assert.ok(Number(behind?.versions_behind) >= 3, JSON.stringify(behind));
    const [status] = await runJson(service, ['status']);
    assert.deepEqual(status?.replicas, { total: 2, behind: 1 });
    assert.deepEqual(status?.replicas_behind, [behind]);
    const where = ['--env-file', service.envFile, '--admin-url', service.adminUrl];
    const { stdout } = await runCommand(['status', ...where]);
    assert.match(stdout, new RegExp(`replicas that lack writes[\\s\\S]*${worker} .* c .* 3 `));
    const answer = await service.fetch('GET', '/collections/c/cluster');
    const { result } = (await answer.json()) as { result: { remote_shards: { state: string }[] } };
    assert.match(String(result.remote_shards[0]?.state), /^(Recovery|Dead)$/);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await level(service, 2);
  await allThere(service, POINTS + 3);
});

test('rows that only one copy has lost are back after a comparison', async (t) => {
  const before = await startService(t);
  await fill(before, { shards: 2, copies: 2 });
  await level(before, 4);
  await before.stop();
  const [folder = ''] = foldersOf(before).values();
  const databases = globSync(path.join(folder, 'clients/**/points.db'));
  assert.equal(databases.length, 2);
  for (const file of databases) {
    const database = new Database(file);
    const { changes } = database.prepare('DELETE FROM points WHERE label % 7 = 0').run();
    assert.ok(changes > 100);
    database.close();
  }
  const service = await startService(t, { data: before.data });
  const [asked] = await runJson(service, ['replicas', 'compare', '--wait']);
  assert.equal(asked?.waiting, 0);
  await level(service, 4);
  // Whichever copy answers, it has all points.
  for (let i = 0; i < 6; i += 1) await allThere(service);
});

test('a copy is made while as much is written as the service takes', async (t) => {
  const service = await startService(t);
  await fill(service, { shards: 1, copies: 1 });
  let isOn = true;
  let written = POINTS;
  const write = async () => {
    while (isOn) {
      const points = Array.from({ length: 100 }, (_, i) => pointOf(written + i));
      written += points.length;
      const answer = await service.fetch('PUT', '/collections/c/points', { points });
      assert.equal(answer.status, 200, await answer.text());
    }
  };
  const writing = Promise.all([write(), write()]);
  writing.catch(() => undefined);
  const change = { params: { replication_factor: 2 } };
  assert.equal((await service.fetch('PATCH', '/collections/c', change)).status, 200);
  await level(service, 2);
  isOn = false;
  await writing;
  const ids = [...new Set([0, POINTS, written - 1])];
  for (let i = 0; i < 4; i += 1) {
    const read = await service.fetch('POST', '/collections/c/points', { ids });
    const { result } = (await read.json()) as { result: unknown[] };
    assert.equal(result.length, ids.length);
    const counted = await service.fetch('POST', '/collections/c/points/count', { exact: true });
    const { count } = ((await counted.json()) as { result: { count: number } }).result;
    assert.equal(count, written);
  }
  t.diagnostic(`${written - POINTS} points were written meanwhile`);
});
