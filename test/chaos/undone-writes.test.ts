/**
 * A collection whose writes need both of two replicas, and a worker that dies under them. A write that is
 * answered with 200 is there; one that is answered with 503 "nothing was changed" is nowhere,
 * although one replica may have had it on its disk.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '../../shared/base/random.ts';
import { numbersIn, untilAnswered, untilLevel } from '../harness/keyed-writes.ts';
import { byProfile } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Service, startService } from '../harness/service.ts';
import { WholeLog } from '../harness/whole-log.ts';

const KILLS = byProfile(5, 60);
const WRITERS = 12;
const IDS_EACH = 4;
const IDS = Array.from({ length: WRITERS * IDS_EACH }, (_, i) => i + 1);
const POINTS = '/collections/c/points';
const SPREAD = { replication_factor: 2, write_consistency_factor: 2 };
const LOAD_MS = 400;
const PAUSE_MS = 15;

/** What one writer knows of its points. */
interface Known {
  /** What the points show; absent while that is not known. */
  shown: Map<number, number>;
  acknowledged: number;
  /** Refused while they were being written, or before. */
  undone: number;
  unknown: number;
}

async function set(service: Service, id: number, n: number) {
  try {
    const body = { payload: { n }, points: [id] };
    const response = await service.fetch('POST', `${POINTS}/payload`, body);
    return { status: response.status, text: await response.text() };
  } catch (error) {
    return { status: 0, text: String(error) };
  }
}

async function writeAlone(service: Service, writer: number, known: Known, isOver: () => boolean) {
  for (let n = 1; !isOver(); n += 1) {
    const id = IDS[writer * IDS_EACH + (n % IDS_EACH)] ?? 0;
    const value = known.acknowledged + known.undone + known.unknown + 1;
    const { status, text } = await set(service, id, value);
    if (status === 200) {
      known.shown.set(id, value);
      known.acknowledged += 1;
    } else if (status === 503 && text.includes('nothing was changed')) {
      known.undone += 1;
      await sleep(PAUSE_MS);
    } else {
      known.unknown += 1;
      known.shown.delete(id);
      await sleep(PAUSE_MS);
    }
  }
}

async function check(service: Service, all: readonly Known[], at: string): Promise<void> {
  const numbers = await numbersIn(service, POINTS, IDS);
  for (const { shown } of all) {
    for (const [id, value] of shown) assert.equal(numbers.get(id), value, `${at}, id ${id}`);
  }
}

test('what was refused for want of replicas is nowhere, what was acknowledged is there', async (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_132));
  const service = await startService(t, { workers: 2 });
  const vectors = { size: 4, distance: 'Dot' };
  const points = IDS.map((id) => ({ id, vector: [id, 1, 1, 1], payload: { n: 0 } }));
  const create = { method: 'PUT', path: '/collections/c', body: { vectors, ...SPREAD } };
  for (const write of [create, { method: 'PUT', path: POINTS, body: { points } }]) {
    assert.equal((await untilAnswered(service, write)).status, 200);
  }
  const all = Array.from({ length: WRITERS }, (): Known => {
    return { shown: new Map(), acknowledged: 0, undone: 0, unknown: 0 };
  });
  const log = new WholeLog(() => service.up.log);
  for (let kill = 1; kill <= KILLS; kill += 1) {
    let over = false;
    const writing = all.map((known, i) => writeAlone(service, i, known, () => over));
    await sleep(random.below(LOAD_MS));
    const killed = service.killAndWait(random.pick(service.workerNames));
    await sleep(LOAD_MS);
    over = true;
    await Promise.all(writing);
    // Whoever is left alone answers before the other is back, and when it is level, either does.
    await check(service, all, `after kill ${kill}`);
    await killed;
    log.read();
    await untilLevel(service);
    await check(service, all, `levelled after kill ${kill}`);
  }
  const sum = (of: (known: Known) => number) => all.reduce((total, known) => total + of(known), 0);
  const counts = [sum((k) => k.acknowledged), sum((k) => k.undone), sum((k) => k.unknown)];
  log.read();
  const undone = log.text.split('writes_undone').length - 1;
  t.diagnostic(`${counts[0]} acknowledged, ${counts[1]} refused, ${counts[2]} unknown`);
  t.diagnostic(`${undone} times writes were undone`);
  assert.ok(sum((k) => k.acknowledged) > 0 && undone > 0);
});
