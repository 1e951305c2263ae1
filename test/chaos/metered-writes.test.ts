/**
 * Any process dies at any moment, alone or with all others, under writes that their callers repeat until
 * they are answered. In the end the ledger has what was acknowledged, to the point and the byte: also of
 * collections that were deleted meanwhile. The statement says the same, and every audit chain is whole.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '../../shared/base/clock.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { checkAuditChains } from '../harness/audit-chains.ts';
import { type KeyedWrite, untilAnswered, untilLevel } from '../harness/keyed-writes.ts';
import { byProfile } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Service, startService } from '../harness/service.ts';

const KILLS = byProfile(4, 200);
const PAUSE_MS_MAX = 1_500;
const WRITERS = 6;
const IDS = 30;
const DIMENSION = 4;
const VECTOR_BYTES = DIMENSION * Float32Array.BYTES_PER_ELEMENT;
const VECTORS = { size: DIMENSION, distance: 'Dot' };
const LASTING = 'lasting';
/** Until what was acknowledged is in the ledger. */
const PATIENCE_MS = 30_000;
const POLL_MS = 100;

interface Amounts {
  points_written: number;
  points_deleted: number;
  bytes_written: number;
}

/** Writes one after the other with ids of its own, and adds up what was acknowledged. */
class Writer {
  readonly done: Amounts = { points_written: 0, points_deleted: 0, bytes_written: 0 };
  readonly #service: Service;
  readonly #random: SeededRandom;
  readonly #name: string;
  readonly #there = new Set<number>();
  #writes = 0;

  constructor(service: Service, random: SeededRandom, name: string) {
    this.#service = service;
    this.#random = random;
    this.#name = name;
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const kind = this.#random.below(10);
      if (kind < 5) await this.#upsert(LASTING);
      else if (kind < 7) await this.#delete();
      else if (kind < 9) await this.#setPayload();
      else await this.#fleeting();
    }
  }

  async #ask(write: Omit<KeyedWrite, 'key'>, keyed = true): Promise<void> {
    this.#writes += 1;
    const key = keyed && { key: `${this.#name}-${this.#writes}` };
    const said = await untilAnswered(this.#service, { ...write, ...key });
    assert.equal(said.status, 200, JSON.stringify(said));
  }

  #pick(ids: readonly number[]): number[] {
    const chosen = ids.filter(() => this.#random.next() < 0.3);
    return chosen.length > 0 ? chosen : ids.slice(0, 1);
  }

  #idOf(n: number): number {
    return n * WRITERS + Number(this.#name);
  }

  async #upsert(collection: string): Promise<void> {
    const ids = this.#pick(Array.from({ length: IDS }, (_, n) => this.#idOf(n)));
    const payload = { text: 'x'.repeat(this.#random.below(50)) };
    const points = ids.map((id) => ({ id, vector: [id, 1, 2, 3], payload }));
    const path = `/collections/${collection}/points`;
    await this.#ask({ method: 'PUT', path, body: { points } });
    this.done.points_written += ids.length;
    this.done.bytes_written += ids.length * (VECTOR_BYTES + JSON.stringify(payload).length);
    if (collection === LASTING) for (const id of ids) this.#there.add(id);
  }

  async #delete(): Promise<void> {
    const ids = this.#pick(Array.from({ length: IDS }, (_, n) => this.#idOf(n)));
    const path = `/collections/${LASTING}/points/delete`;
    await this.#ask({ method: 'POST', path, body: { points: ids } });
    for (const id of ids) this.done.points_deleted += this.#there.delete(id) ? 1 : 0;
  }

  async #setPayload(): Promise<void> {
    if (this.#there.size === 0) return;
    const ids = this.#pick([...this.#there]);
    const payload = { n: this.#random.below(1_000) };
    const path = `/collections/${LASTING}/points/payload`;
    await this.#ask({ method: 'POST', path, body: { payload, points: ids } });
    this.done.points_written += ids.length;
    this.done.bytes_written += ids.length * JSON.stringify(payload).length;
  }

  /** A collection that is gone when its writes are hardly answered. */
  async #fleeting(): Promise<void> {
    const name = `fleeting-${this.#name}-${this.#writes}`;
    const path = `/collections/${name}`;
    const body = { vectors: VECTORS, replication_factor: 2 };
    // Again, it is there already; and gone already.
    const made = await untilAnswered(this.#service, { method: 'PUT', path, body });
    assert.ok(made.status === 200 || made.code === 'already_exists', JSON.stringify(made));
    await this.#upsert(name);
    await this.#ask({ method: 'DELETE', path, body: {} }, false);
  }
}

async function usageOf(service: Service): Promise<Amounts> {
  const path = '/v1/usage?from=2020-01-01&by=month';
  const response = await service.fetch('GET', path);
  const { result } = (await response.json()) as { result: { total: Amounts } };
  const { points_written, points_deleted, bytes_written } = result.total;
  return { points_written, points_deleted, bytes_written };
}

/** Points written, as the statement of all time has them. */
async function pointsBilled(service: Service): Promise<bigint> {
  const response = await service.fetch('GET', '/v1/statement?from=2026-01-01T00:00:00Z');
  const { result } = (await response.json()) as {
    result: { lines: { item: string; quantity: string }[] };
  };
  const written = result.lines.filter(({ item }) => item === 'points_written');
  return written.reduce((sum, { quantity }) => sum + BigInt(quantity), 0n);
}

/** Never more than was acknowledged, and soon all of it. */
async function untilUsed(service: Service, acknowledged: Amounts): Promise<void> {
  const giveUpAtMs = systemClock.monotonicMs() + PATIENCE_MS;
  for (;;) {
    const inLedger = await usageOf(service);
    if (isDeepStrictEqual(inLedger, acknowledged)) return;
    const isMore = NAMES.some((name) => inLedger[name] > acknowledged[name]);
    const isLate = systemClock.monotonicMs() > giveUpAtMs;
    if (isMore || isLate) assert.deepEqual(inLedger, acknowledged);
    await sleep(POLL_MS);
  }
}

const NAMES = ['points_written', 'points_deleted', 'bytes_written'] as const;

function sumOf(writers: readonly Writer[]): Amounts {
  const sum = { points_written: 0, points_deleted: 0, bytes_written: 0 };
  for (const { done } of writers) {
    for (const name of NAMES) sum[name] += done[name];
  }
  return sum;
}

test('whatever dies, the ledger has what was acknowledged', async (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_201));
  const service = await startService(t, { workers: 3 });
  const body = { vectors: VECTORS, shard_number: 2, replication_factor: 2 };
  await untilAnswered(service, { method: 'PUT', path: `/collections/${LASTING}`, body });
  const writers = Array.from({ length: WRITERS }, (_, i) => {
    return new Writer(service, new SeededRandom(random.below(2 ** 31)), String(i));
  });
  let isOver = false;
  const writing = Promise.all(writers.map((writer) => writer.run(() => isOver)));
  for (let kill = 0; kill < KILLS; kill += 1) {
    await sleep(random.below(PAUSE_MS_MAX));
    const one = random.pick(['coordinator', ...service.workerNames, 'all']);
    const names = one === 'all' ? ['coordinator', ...service.workerNames] : [one];
    await Promise.all(names.map((name) => service.killAndWait(name)));
  }
  isOver = true;
  await writing;
  const acknowledged = sumOf(writers);
  await untilUsed(service, acknowledged);
  // A start looks at all shards once more, and has nothing to add.
  await service.killAndWait('coordinator');
  await untilLevel(service);
  await untilUsed(service, acknowledged);
  assert.equal(await pointsBilled(service), BigInt(acknowledged.points_written), 'and so the bill');
  const entries = await checkAuditChains(service);
  t.diagnostic(
    `${KILLS} kills: ${JSON.stringify(acknowledged)}, ${entries} entries of audit chains`,
  );
});
